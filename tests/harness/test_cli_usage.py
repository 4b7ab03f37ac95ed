"""What cannot be carried out: exit code 2, and one line that says what would do."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from builders import blocked_lockstep, record
from commands import streamproof

from harness.cli import main
from harness.scenario import load_scenarios
from harness.trace import save

APP = "def build(upstream_url): ...\n"


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command says when it refuses; it says it once, to stderr, and nothing else."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("streamproof: ")
    assert said.err.count("\n") == 1
    return said.err.removeprefix("streamproof: ").rstrip()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (
            "nonsense",
            "--target 'nonsense': there is no such target; give 'reference', 'app:MODULE_OR",
        ),
        ("specimen:unicorn", "--target 'specimen:unicorn': there is no such specimen; there are "),
        ("app:gateway.py", "--target 'app:gateway.py': write app:MODULE_OR_FILE:FACTORY, as in app:gateway.py:build"),
        ("app:gone.py:build", "--target 'app:gone.py:build': there is no file gone.py"),
        ("app:gateway.py:bild", "--target 'app:gateway.py:bild': gateway.py has no callable 'bild'; it has build"),
        ("app:nowhere:build", "--target 'app:nowhere:build': there is no module nowhere here; a file is named by its"),
        (
            "app:odd.py:build",
            "--target 'app:odd.py:build': odd.py:build has loops = 'uvloop'; give asyncio or trio",
        ),
    ],
)
def test_a_target_that_is_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, says: str
) -> None:
    (tmp_path / "gateway.py").write_text(APP)
    (tmp_path / "odd.py").write_text(APP + "build.loops = 'uvloop'\n")
    monkeypatch.chdir(tmp_path)
    assert refused(capsys, "run", "--target", target).startswith(says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-n", "0"], "-n 0: give the number of copies, 1 to 32"),
        (["-n", "33"], "-n 33: give the number of copies, 1 to 32"),
        (["--loops", "uvloop"], "--loops 'uvloop': 'uvloop' is no event loop; give asyncio or trio, or both"),
        (["--loops", ""], "--loops '': '' is no event loop; give asyncio or trio, or both"),
        (["--loops", "proxy=trio"], "--loops 'proxy=trio': name each station once, of upstream, target, client; found"),
        (["--loops", "target=trio"], "--loops 'target=trio': say upstream=…,target=…,client=… with a loop each"),
        (
            ["--loops", "upstream=trio,client=trio"],
            "--loops 'upstream=trio,client=trio': say target=… too; it runs in a process of ours",
        ),
        (["--target-loops", "uvloop"], "--target-loops 'uvloop': give asyncio or trio, or both with a comma"),
        (["--target-loops", ""], "--target-loops '': give asyncio or trio, or both with a comma"),
    ],
)
def test_loops_that_are_none(capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    assert refused(capsys, "run", *words).startswith(says)


def test_a_url_needs_an_address_for_its_upstream(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "run", "--target", "http://127.0.0.1:4000/v1") == (
        "--upstream-bind is missing: a proxy that runs elsewhere must know our upstream before it starts; choose "
        "an address, as in --upstream-bind 127.0.0.1:9900, and give the proxy http://127.0.0.1:9900/v1"
    )


@pytest.mark.parametrize("text", ["9900", ":9900", "h:", "h:x", "h:0", "h:65536", "h:-1"])
def test_an_address_that_is_none(capsys: pytest.CaptureFixture[str], text: str) -> None:
    words = ("run", "--target", "http://127.0.0.1:4000/v1", "--upstream-bind", text)
    assert refused(capsys, *words) == f"--upstream-bind {text!r}: write HOST:PORT, as in 127.0.0.1:9900"


@pytest.mark.parametrize(
    "words", [("--header", "a: b"), ("--path", "/v1/audio/speech"), ("--model", "m"), ("--voice", "v")]
)
def test_a_preset_takes_no_options(capsys: pytest.CaptureFixture[str], words: tuple[str, str]) -> None:
    assert refused(capsys, "run", "--target", "litellm", *words) == (
        "--header, --path, --model and --voice go with app:, cmd: and URL targets; a preset has its own"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--header", "bread"), "'bread': write 'NAME: VALUE' in ASCII, as in 'Authorization: Bearer sk-...'"),
        (("--header", "a b: c"), "'a b: c': write 'NAME: VALUE' in ASCII, as in 'Authorization: Bearer sk-...'"),
        (("--header", "a: \u00fc"), "'a: \u00fc': write 'NAME: VALUE' in ASCII, as in 'Authorization: Bearer sk-...'"),
        (("--path", "v1"), "'v1': begin it with /, in ASCII, as in /v1/audio/speech"),
        (("--path", "/\u00fc"), "'/\u00fc': begin it with /, in ASCII, as in /v1/audio/speech"),
    ],
)
def test_an_option_that_cannot_be_sent(capsys: pytest.CaptureFixture[str], words: tuple[str, str], says: str) -> None:
    for command in (["run"], ["probe", "http://h"]):
        with pytest.raises(SystemExit) as left:
            main([*command, *words])
        assert left.value.code == 2
        assert says in capsys.readouterr().err


def test_targets_has_every_preset_with_its_routes_and_how_to_get_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMPROOF_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["targets"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0].startswith("reference ")
    assert lines[0].endswith(" ready")
    assert "litellm 1.102.4 made on first use (some 500 MB, in an environment of its own)" in lines
    assert "routes: litellm/model, litellm/pass-through" in lines
    assert "any version: litellm==1.102.4" in lines
    assert "nginx not on this machine; apt-get install nginx-light, or whatever your system calls it" in lines
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--json", "--junit", "--write-expect"])
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str
) -> None:
    """The end is a bad time to learn that there is no such folder."""
    place = tmp_path / "no" / "report"
    assert refused(capsys, "run", option, str(place)) == (
        f"{option} {str(place)!r}: No such file or directory; name a file in a folder that exists"
    )
    assert refused(capsys, "run", option, str(tmp_path)) == (
        f"{option} {str(tmp_path)!r}: Is a directory; name a file in a folder that exists"
    )


def test_a_place_for_traces_that_is_no_folder_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "folder"):
        said = refused(capsys, "run", "--trace", str(place))
        assert said.startswith(f"--trace {str(place)!r}: ")
        assert said.endswith("; name a folder that can be written")


def test_a_server_that_is_not_installed_is_told_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.run_command.find_spec", lambda name: None if name == "uvicorn" else find_spec(name))
    assert refused(capsys, "run", "--server", "uvicorn").startswith("--server 'uvicorn': it is not installed; ")


@pytest.mark.parametrize(
    "words",
    [[], ["bake"], ["run", "--no-such-option"], ["run", "--server", "gunicorn"], ["judge"], ["run", "reference"]],
)
def test_a_command_that_there_is_not(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("usage: streamproof")


def test_an_expression_that_selects_nothing_is_told_where_the_names_are() -> None:
    done = streamproof("run", "-k", "nosuchthing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "streamproof: no scenario is selected by -k 'nosuchthing'; `streamproof list` shows their names\n"
    )


def test_an_expression_that_is_none_is_told_where_it_goes_wrong() -> None:
    done = streamproof("run", "-k", "lockstep and (")
    assert done.returncode == 2
    assert "Wrong expression passed to '-k': lockstep and (" in done.stderr
    assert "Traceback" not in done.stderr


def test_traces_that_are_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert refused(capsys, "judge", str(tmp_path)) == f"trace {tmp_path}: there is no .json file in this folder"
    place = tmp_path / "trace.json"
    assert refused(capsys, "judge", str(place)).startswith(f"trace {place}: ")
    place.write_text("{}")
    assert refused(capsys, "judge", str(place)) == (
        f"trace {place}: field 'schema' is None: this version reads traces of schema 1"
    )


def test_a_trace_of_a_scenario_that_there_is_not(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = save(record(scenario="delivery/by_pigeon"), tmp_path)
    save(blocked_lockstep(), tmp_path)
    assert refused(capsys, "judge", str(tmp_path)) == (
        f"trace {place}: it is of scenario 'delivery/by_pigeon', which this version does not have"
    )


def test_list_has_every_scenario_with_kind_claim_and_variants(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for scenario, variants in zip(lines[::2], lines[1::2], strict=True):
        name, kind, claim = scenario.split(maxsplit=2)
        known = load_scenarios()[name]
        assert (kind, claim) == (known.kind, known.claim)
        assert variants.strip().split(", ") == list(known.variants)
    assert len(lines) == 2 * len(load_scenarios())
