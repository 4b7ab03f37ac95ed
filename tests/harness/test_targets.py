"""What can be named as a target, and what is said of a name that is none."""

from __future__ import annotations

from importlib import import_module

import pytest

from harness.target import INNOCENTS, SPECIMENS, Target, TargetError, innocent_names, parse_target, specimen_names


def test_the_reference_is_ours_and_has_our_version() -> None:
    target = parse_target("reference")
    assert (target.name, target.app) == ("reference", "harness.proxies.reference:build")


@pytest.mark.parametrize(
    ("text", "app"),
    [
        ("app:gateway:build", "gateway:build"),
        ("app:package.module:build", "package.module:build"),
        ("app:path/to/file.py:build", "path/to/file.py:build"),
        ("app:/srv/a b/file.py:build_app", "/srv/a b/file.py:build_app"),
        ("app:C:/gateway.py:build", "C:/gateway.py:build"),
    ],
)
def test_an_app_is_a_place_and_a_factory(text: str, app: str) -> None:
    """Its name is what people typed: it goes into reports and rerun lines."""
    assert parse_target(text) == Target(text, app)


@pytest.mark.parametrize("name", specimen_names())
def test_a_specimen_is_a_file_of_ours_that_says_what_catches_it(name: str) -> None:
    target = parse_target(f"specimen:{name}")
    assert target.app == f"{SPECIMENS / name}.py:build"
    module = import_module(f"harness.specimens.{name}")
    assert callable(module.build)
    assert module.CATCHES


@pytest.mark.parametrize("name", innocent_names())
def test_an_innocent_is_a_file_of_ours_too(name: str) -> None:
    target = parse_target(f"innocent:{name}")
    assert target.app == f"{INNOCENTS / name}.py:build"
    module = import_module(f"harness.innocents.{name}")
    assert callable(module.build)
    assert isinstance(module.CATCHES, tuple)


@pytest.mark.parametrize(
    "text", ["app:", "app:gateway", "app:gateway:", "app::build", "app:gateway:no-name", "app:a:1b"]
)
def test_an_app_without_place_or_factory_is_told_the_form(text: str) -> None:
    with pytest.raises(TargetError) as error:
        parse_target(text)
    assert str(error.value) == f"--target {text!r}: write app:MODULE_OR_FILE:FACTORY, as in app:gateway.py:build"


@pytest.mark.parametrize(
    ("kind", "names", "one"), [("specimen", specimen_names(), "deaf"), ("innocent", innocent_names(), "slow")]
)
def test_an_unknown_one_of_ours_is_told_which_there_are(kind: str, names: list[str], one: str) -> None:
    with pytest.raises(TargetError) as error:
        parse_target(f"{kind}:unicorn")
    said = f"--target '{kind}:unicorn': there is no such {kind}; there are {', '.join(names)}"
    assert str(error.value) == said
    assert one in names


@pytest.mark.parametrize("text", ["", "nonsense", "Reference", "./gateway.py:build", "specimen", "specimens:deaf"])
def test_any_other_name_is_told_what_there_is(text: str) -> None:
    with pytest.raises(TargetError) as error:
        parse_target(text)
    assert str(error.value).startswith(f"--target {text!r}: there is no such target; give 'reference', 'app:")
