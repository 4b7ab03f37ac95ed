"""Traces as files: one a record, found again by file or folder, and refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import blocked_lockstep, conversation, pairing, record

from harness.record import TraceError
from harness.trace import find, load, save


def test_a_saved_record_is_loaded_as_it_was(tmp_path: Path) -> None:
    subject = blocked_lockstep()
    assert load(save(subject, tmp_path)) == subject


def test_the_file_is_named_after_what_was_run(tmp_path: Path) -> None:
    path = save(blocked_lockstep(), tmp_path)
    assert path.parent == tmp_path
    assert path.name.startswith("app-gateway-build_delivery.lockstep_chunked-512_asyncio-trio-asyncio")
    assert path.suffix == ".json"


def test_no_two_records_of_a_run_share_a_file(tmp_path: Path) -> None:
    """Also where the names of two targets differ only in what a file name cannot hold."""
    subjects = [
        record(conversation(), target=target, variant=variant, loops=loops)
        for target in ("app:a/gateway.py:build", "app:a-gateway.py:build", "app:a/gateway.py-build")
        for variant in ("reset", "fin")
        for loops in (
            pairing("trio", "trio", "trio"),
            pairing("trio", "trio", "asyncio"),
            pairing("trio", None, "trio"),
        )
    ]
    assert len({save(subject, tmp_path) for subject in subjects}) == len(subjects)
    assert sorted(load(path).target for path in find([tmp_path])) == sorted(s.target for s in subjects)


def test_a_target_deep_in_the_file_system_still_has_a_file(tmp_path: Path) -> None:
    """A file name holds 255 bytes."""
    subject = record(conversation(), target="app:" + "/deep" * 80 + "/gateway.py:build")
    assert load(save(subject, tmp_path)) == subject


def test_the_same_run_again_replaces_its_file(tmp_path: Path) -> None:
    assert save(blocked_lockstep(), tmp_path) == save(blocked_lockstep(), tmp_path)


def test_a_folder_stands_for_the_traces_in_it(tmp_path: Path) -> None:
    one = save(record(conversation(), variant="b"), tmp_path)
    two = save(record(conversation(), variant="a"), tmp_path)
    (tmp_path / "notes.txt").write_text("not a trace")
    assert find([tmp_path]) == sorted([one, two])
    assert find([one, tmp_path]) == [one, *sorted([one, two])]


def test_an_empty_folder_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(TraceError) as error:
        find([tmp_path])
    assert str(error.value) == f"trace {tmp_path}: there is no .json file in this folder"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Expecting value"),
        (b'{"schema": 1, ', "Expecting property name"),
        (b"\xff\xfe\x00", "decode"),
        (b"[" * 100_000, ""),
        (json.dumps({"schema": 7}).encode(), "field 'schema' is 7: this version reads traces of schema 1"),
        (json.dumps({"schema": 1}).encode(), "is missing"),
    ],
    ids=["empty", "cut", "no text", "nested without end", "another schema", "no fields"],
)
def test_a_file_that_is_no_trace_is_refused_by_name(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(content)
    with pytest.raises(TraceError) as error:
        load(path)
    assert str(error.value).startswith(f"trace {path}: ")
    assert says in str(error.value)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "gone.json"
    with pytest.raises(TraceError, match="No such file"):
        load(find([path])[0])


def test_a_trace_that_was_cut_off_while_it_was_written_is_refused_wherever_the_cut_is(tmp_path: Path) -> None:
    path = save(blocked_lockstep(), tmp_path)
    data = path.read_bytes()
    for end in range(0, len(data) - 1, 97):
        path.write_bytes(data[:end])
        with pytest.raises(TraceError):
            load(path)
