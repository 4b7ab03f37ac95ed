"""What can be named as a target, and what is said of a name that is none."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from harness.preset import Endpoint
from harness.preset_file import preset_names
from harness.target import (
    INNOCENTS,
    SPECIMENS,
    UNSAID,
    Target,
    TargetError,
    innocent_names,
    parse_target,
    parse_targets,
    specimen_names,
)

GATEWAY = """
install.binary = "gateway"
start.command = ["gateway", "{port}"]
"""


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


def one(text: str, endpoint: Endpoint = UNSAID) -> Target:
    (target,) = parse_targets(text, endpoint)
    return target


def refused(text: str) -> str:
    with pytest.raises(TargetError) as error:
        parse_targets(text)
    said = str(error.value)
    assert said.startswith(f"--target {text!r}: ")
    return said.removeprefix(f"--target {text!r}: ")


@pytest.mark.parametrize(
    ("text", "root", "path"),
    [
        ("http://127.0.0.1:4000/v1", "http://127.0.0.1:4000", "/v1/audio/speech"),
        ("http://127.0.0.1:4000/v1/", "http://127.0.0.1:4000", "/v1/audio/speech"),
        ("http://localhost", "http://localhost", "/audio/speech"),
        ("http://[::1]:4000/api/tts", "http://[::1]:4000", "/api/tts/audio/speech"),
    ],
)
def test_a_url_is_a_base_url(text: str, root: str, path: str) -> None:
    target = one(text)
    assert (target.name, target.url, target.endpoint.path, target.preset, target.app) == (text, root, path, None, "")
    assert (target.stands_as, target.takes_options) == (text, True)


@pytest.mark.parametrize("path", ["/speak", "/v1/audio/speech"])
def test_a_path_that_was_said_is_from_the_root(path: str) -> None:
    """Also where it is the usual one, which the base URL does not end in."""
    target = one("http://127.0.0.1:4000/api", Endpoint(path=path, headers=(("a", "b"),), model="m", voice="v"))
    assert target.url == "http://127.0.0.1:4000"
    assert target.endpoint == Endpoint("", path, (("a", "b"),), "m", "v")


@pytest.mark.parametrize(
    "text",
    [
        "http://",
        "http://:4000/v1",
        "http://h:port/v1",
        "http://h:99999/v1",
        "http://[::1/v1",
        "http://h/v1?key=1",
        "http://h/v1#top",
        "http://h/v 1",
    ],
)
def test_a_url_that_is_no_base_url_is_told_the_form(text: str) -> None:
    assert refused(text) == "give the proxy's base URL, as in http://127.0.0.1:4000/v1"


def test_a_url_behind_tls_cannot_be_watched() -> None:
    assert refused("https://h/v1") == "the wire is watched on plain TCP; give its http:// address"


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(TargetError) as error:
        parse_targets("http://me:secret@h/v1")
    assert str(error.value) == "--target: a name and a password in a URL are shown in reports; say them with --header"


def test_a_command_is_split_as_a_shell_does() -> None:
    text = "cmd:gateway --port {port} --to '{upstream}/x y'"
    target = one(text, Endpoint(path="", model="m"))
    assert target.preset is not None
    assert target.preset.command == ("gateway", "--port", "{port}", "--to", "{upstream}/x y")
    assert target.endpoint == Endpoint(model="m")
    assert (target.name, target.stands_as, target.takes_options) == (text, text, True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cmd:", "write cmd:'gateway --port {port} --upstream {upstream}'"),
        ("cmd:  ", "write cmd:'gateway --port {port} --upstream {upstream}'"),
        ("cmd:gateway 'x", "No closing quotation"),
        (
            "cmd:gateway --port 80",
            "cmd:gateway --port 80: it must say where to listen: write {port}, and {upstream} for the upstream",
        ),
    ],
)
def test_a_command_that_is_none(text: str, says: str) -> None:
    assert refused(text) == says


def test_a_preset_stands_up_all_its_routes_in_one_process() -> None:
    model, through = parse_targets("litellm")
    assert (model.name, through.name) == ("litellm/model", "litellm/pass-through")
    assert model.endpoint.path != through.endpoint.path
    assert model.preset is through.preset
    assert model.stands_as == through.stands_as == "litellm"
    assert not model.takes_options
    assert one("litellm/model").name == "litellm/model"


def test_a_preset_in_another_version_is_another_target() -> None:
    for target in (one("litellm==1.83.8/model"), parse_targets("litellm==1.83.8")[0]):
        assert (target.name, target.version, target.stands_as) == ("litellm==1.83.8/model", "1.83.8", "litellm==1.83.8")
        assert target.preset is not None
        assert target.preset.version == "1.83.8"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("litellm/nowhere", "litellm has no route 'nowhere'; there are model, pass-through"),
        ("litellm==", "version '': give a release, as in litellm==1.102.4"),
        ("litellm==new/model", "version 'new': give a release, as in litellm==1.102.4"),
        ("nginx==1.22", "nginx is the one that this machine has; its version cannot be chosen"),
        ("gone.toml", "No such file or directory"),
        ("gone.toml/route", "No such file or directory"),
    ],
)
def test_a_preset_that_there_is_not(text: str, says: str) -> None:
    assert refused(text) == says


def test_a_file_in_the_presets_form(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(GATEWAY)
    target = one(str(path))
    assert (target.name, target.stands_as, target.endpoint, target.takes_options) == (
        str(path),
        str(path),
        Endpoint(),
        False,
    )
    assert refused(f"{path}/model") == "gateway has no route 'model'; there are none by name"
    path.write_text(GATEWAY + "routes.a.path = '/a'\nroutes.b.path = '/b'")
    assert [target.name for target in parse_targets(str(path))] == [f"{path}/a", f"{path}/b"]
    chosen = one(f"{path}/b")
    assert (chosen.endpoint.path, chosen.stands_as) == ("/b", str(path))
    path.write_text("about = 5" + GATEWAY)
    assert refused(str(path)) == f"{path}: field 'about' is 5: give a string"


def test_files_of_the_same_name_do_not_stand_as_one(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "gateway.toml").write_text(GATEWAY)
    assert len({one(str(tmp_path / folder / "gateway.toml")).stands_as for folder in ("a", "b")}) == 2


def test_an_app_in_a_folder_called_like_a_preset_is_an_app() -> None:
    assert one("app:my.toml/gateway.py:build").app == "my.toml/gateway.py:build"


def test_an_app_takes_the_options_too() -> None:
    endpoint = Endpoint(path="", headers=(("a", "b"),), voice="v")
    target = one("app:gateway:build", endpoint)
    assert (target.endpoint, target.takes_options) == (Endpoint(headers=(("a", "b"),), voice="v"), True)
    assert one("app:gateway:build") == parse_target("app:gateway:build")


def test_a_name_that_is_none_is_told_the_presets() -> None:
    assert f"a preset ({', '.join(preset_names())})" in refused("nonsense")
