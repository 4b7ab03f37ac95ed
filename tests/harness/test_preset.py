"""Presets: what a TOML file says of a proxy, and what is said of a file that does not keep the form."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from harness.preset import PLAIN, Declared, Endpoint, Install, PresetError, filled, is_field, upstream_places
from harness.preset_file import HOME, load_preset, preset_names, preset_of_command

WHOLE = """
    about = "a gateway"

    [install]
    pip = ["gateway[all]=={version}", "extra"]
    version = "1.2.3"
    hint = "some 10 MB"

    [start]
    command = ["{bin}/gateway", "--port", "{port}"]
    clean_env = true

    [start.env]
    UPSTREAM = "{upstream}"

    [start.files]
    "conf/gateway.json" = '{"listen": "{host}:{port}"}'

    [ready]
    path = "/health"
    seconds = 7

    [stop]
    signal = "SIGINT"
    seconds = 0.5

    [declares]
    fin = "half-close"
    pool = 4
    slots = 0
    incremental = true

    [routes.model]
    path = "/v1/speech"
    model = "kokoro"
    voice = "af_bella"

    [routes.model.headers]
    x-custom-host = "{upstream}"

    [routes.pass-through]

    [routes.pass-through.declares]
    fin = "abort"
    slots = 7
"""
LEAST = """
    [install]
    binary = "gateway"
    [start]
    command = ["gateway", "{port}"]
"""


def written(folder: Path, text: str, name: str = "gateway.toml") -> Path:
    path = folder / name
    path.write_text(dedent(text))
    return path


def trouble(folder: Path, text: str) -> str:
    """What is said of such a file, without its name, which comes first."""
    path = written(folder, text)
    with pytest.raises(PresetError) as error:
        load_preset(path)
    said = str(error.value)
    assert said.startswith(f"{path}: ")
    return said.removeprefix(f"{path}: ")


def test_every_field_is_read(tmp_path: Path) -> None:
    preset = load_preset(written(tmp_path, WHOLE))
    assert (preset.name, preset.about, preset.version) == ("gateway", "a gateway", "1.2.3")
    assert preset.install == Install(("gateway[all]=={version}", "extra"), hint="some 10 MB")
    assert preset.command == ("{bin}/gateway", "--port", "{port}")
    assert (dict(preset.env), preset.clean_env) == ({"UPSTREAM": "{upstream}"}, True)
    assert dict(preset.files) == {"conf/gateway.json": '{"listen": "{host}:{port}"}'}
    assert (preset.ready_path, preset.ready_seconds) == ("/health", 7.0)
    assert (preset.stop_signal, preset.stop_seconds) == ("SIGINT", 0.5)
    assert preset.routes == (
        Endpoint(
            "model",
            "/v1/speech",
            (("x-custom-host", "{upstream}"),),
            "kokoro",
            "af_bella",
            Declared("half-close", 4, 0, True),
        ),
        Endpoint("pass-through", declared=Declared("abort", 4, 7, True)),
    )


def test_what_is_not_said_is_as_usual(tmp_path: Path) -> None:
    """A binary has its version_command; one route without a name is OpenAI's own."""
    preset = load_preset(written(tmp_path, LEAST))
    assert (preset.about, preset.version, preset.install) == ("", "", Install(binary="gateway"))
    assert (preset.files, preset.env, preset.clean_env) == ({}, {}, False)
    assert (preset.ready_path, preset.ready_seconds, preset.stop_signal, preset.stop_seconds) == ("", 60, "SIGTERM", 5)
    assert preset.routes == (PLAIN,)
    assert (PLAIN.path, PLAIN.model, PLAIN.voice) == ("/v1/audio/speech", "tts-1", "alloy")
    assert Declared() == Declared(fin="abort", pool=None, slots=None, incremental=False)


def test_what_a_preset_declares_holds_for_a_route_without_a_name_too(tmp_path: Path) -> None:
    preset = load_preset(written(tmp_path, LEAST + '[declares]\nfin = "half-close"'))
    assert preset.routes == (Endpoint(declared=Declared("half-close")),)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("about = 5", "field 'about' is 5: give a string"),
        ("install = 5", "field 'install' is 5: give a table"),
        ("routes.model = 5", "[routes]: field 'model' is 5: give a table"),
        ("install.pip = 'x'", "[install]: field 'pip' is 'x': give a list of strings"),
        ("install.pip = [5]", "[install]: field 'pip' is [5]: give a list of strings"),
        ("install.binary = 5", "[install]: field 'binary' is 5: give a string"),
        ("install.hint = true", "[install]: field 'hint' is True: give a string"),
        ("install.version_command = 'x -v'", "[install]: field 'version_command' is 'x -v': give a list of strings"),
        (
            "install.binary = ''",
            "[install]: say either 'pip', a list of packages, or 'binary', a program's name",
        ),
        (
            "install.pip = ['gateway']",
            "[install]: say either 'pip', a list of packages, or 'binary', a program's name",
        ),
        (
            "install.pip = ['g=={version}']\ninstall.binary = ''",
            "[install]: field 'version' is missing: say which version {version} stands for",
        ),
        (
            "install.pip = ['{upstream}']\ninstall.binary = ''",
            "[install]: {upstream} in '{upstream}' stands for nothing; there are version",
        ),
        ("start.command = 'x'", "[start]: field 'command' is 'x': give a list of strings"),
        (
            "start.command = []",
            "[start]: field 'command' has no words: give the command, as a list of them",
        ),
        (
            "start.command = ['--to={upsteam}']",
            "[start]: {upsteam} in '--to={upsteam}' stands for nothing; there are upstream, upstream_root, "
            "upstream_address, host, port, dir, bin, here, version",
        ),
        (
            "start.env = {TO = '{up}'}",
            "[start]: {up} in '{up}' stands for nothing; there are upstream, upstream_root, "
            "upstream_address, host, port, dir, bin, here, version",
        ),
        ("start.env = {A = 1}", "[start]: field 'env' is {'A': 1}: give a table of strings"),
        ("start.files = 'x'", "[start]: field 'files' is 'x': give a table of strings"),
        ("start.files = {'../x' = ''}", "[start]: file '../x': name it as it is called below {dir}"),
        ("start.files = {'/x' = ''}", "[start]: file '/x': name it as it is called below {dir}"),
        ("start.clean_env = 1", "[start]: field 'clean_env' is 1: give a truth value"),
        ("ready.path = 5", "[ready]: field 'path' is 5: give a string"),
        ("ready.seconds = 'x'", "[ready]: field 'seconds' is 'x': give a number"),
        ("ready.seconds = true", "[ready]: field 'seconds' is True: give a number"),
        ("ready.seconds = 0", "[ready]: field 'seconds' is 0.0: give seconds, above 0 and up to 3600"),
        ("ready.seconds = nan", "[ready]: field 'seconds' is nan: give seconds, above 0 and up to 3600"),
        ("stop.seconds = 3601", "[stop]: field 'seconds' is 3601.0: give seconds, above 0 and up to 3600"),
        (
            "stop.signal = 'SIGHUP'",
            "[stop]: field 'signal' is 'SIGHUP': choose one of SIGTERM, SIGINT, SIGQUIT, SIGKILL",
        ),
        ("declares.fin = 'maybe'", "[declares]: field 'fin' is 'maybe': choose one of abort, half-close"),
        ("declares.fin = ['abort']", "[declares]: field 'fin' is ['abort']: choose one of abort, half-close"),
        ("declares.pool = -1", "[declares]: field 'pool' is -1: give how many, 0 or more"),
        ("declares.slots = 1.5", "[declares]: field 'slots' is 1.5: give a whole number"),
        ("declares.incremental = 'yes'", "[declares]: field 'incremental' is 'yes': give a truth value"),
        ("routes.m.path = 'v1'", "[routes]: [m]: field 'path' is 'v1': begin it with /"),
        ("routes.m.model = 5", "[routes]: [m]: field 'model' is 5: give a string"),
        ("routes.m.headers = {a = 1}", "[routes]: [m]: field 'headers' is {'a': 1}: give a table of strings"),
        ("routes.m.headers = {'a b' = 'c'}", "[routes]: [m]: header 'a b' is 'c': give a name and ASCII text"),
        ("routes.m.headers = {a = 'ü'}", "[routes]: [m]: header 'a' is 'ü': give a name and ASCII text"),
        (
            "routes.m.headers = {a = '{port}'}",
            "[routes]: [m]: {port} in '{port}' stands for nothing; there are upstream, upstream_root, upstream_address",
        ),
        ("routes.m.declares.pool = 'x'", "[routes]: [m]: [declares]: field 'pool' is 'x': give a whole number"),
        ("comand = []", "unknown field 'comand'; see docs/adding-a-target.md"),
        ("install.pips = []", "[install]: unknown field 'pips'; see docs/adding-a-target.md"),
        ("start.cmd = []", "[start]: unknown field 'cmd'; see docs/adding-a-target.md"),
        ("ready.second = 5", "[ready]: unknown field 'second'; see docs/adding-a-target.md"),
        ("stop.sig = 5", "[stop]: unknown field 'sig'; see docs/adding-a-target.md"),
        ("declares.fins = 5", "[declares]: unknown field 'fins'; see docs/adding-a-target.md"),
        ("routes.m.paths = 5", "[routes]: [m]: unknown field 'paths'; see docs/adding-a-target.md"),
        ("routes.m.declares.x = 5", "[routes]: [m]: [declares]: unknown field 'x'; see docs/adding-a-target.md"),
    ],
)
def test_a_field_that_is_wrong_is_named_with_its_value_and_the_remedy(tmp_path: Path, change: str, says: str) -> None:
    plain = {"install.binary": "'gateway'", "start.command": "['gateway', '{port}']"}
    given = dict(line.split(" = ", 1) for line in change.splitlines())
    if "install" in given:
        plain = {"start.command": plain["start.command"]}
    assert trouble(tmp_path, "\n".join(f"{name} = {value}" for name, value in {**plain, **given}.items())) == says


def test_a_command_that_is_missing(tmp_path: Path) -> None:
    assert trouble(tmp_path, "install.binary = 'gateway'") == (
        "[start]: field 'command' has no words: give the command, as a list of them"
    )


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    said = trouble(tmp_path, "about = 'a\nb'")
    assert said.startswith("it is not TOML: ")
    assert "line 1" in said
    (tmp_path / "gateway.toml").write_bytes(b"about = '\xff'")
    with pytest.raises(PresetError, match="it is not TOML: 'utf-8' codec"):
        load_preset(tmp_path / "gateway.toml")
    with pytest.raises(FileNotFoundError):
        load_preset(tmp_path / "gone.toml")


def test_places_are_filled_and_other_braces_stay() -> None:
    places = {"port": 80, "upstream": "http://u/v1"}
    assert filled('{"a": {port}, "b": "{upstream}/{other}"} {dir} ${port} {{port}}', places) == (
        '{"a": 80, "b": "http://u/v1/{other}"} {dir} $80 {80}'
    )


def test_what_was_filled_in_is_not_filled_again() -> None:
    assert filled("{dir}", {"dir": "{port}", "port": 80}) == "{port}"


def test_the_places_of_an_upstream() -> None:
    assert upstream_places("http://127.0.0.1:9/v1") == {
        "upstream": "http://127.0.0.1:9/v1",
        "upstream_root": "http://127.0.0.1:9",
        "upstream_address": "127.0.0.1:9",
    }


def test_header_fields_may_name_the_upstream() -> None:
    endpoint = Endpoint(headers=(("x-host", "{upstream_root}/"), ("x-json", '{"a": {port}}')))
    assert endpoint.headers_for("http://u:9/v1") == {"x-host": "http://u:9/", "x-json": '{"a": {port}}'}


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("x-a", "b c", True),
        ("X_a!", "", True),
        ("", "b", False),
        ("x a", "b", False),
        ("x:", "b", False),
        ("x\n", "b", False),
        ("x", "b\r\nc: d", False),
        ("x", "\u00fc", False),
    ],
)
def test_what_can_be_sent_as_a_field(name: str, value: str, fits: bool) -> None:
    assert is_field(name, value) is fits


def test_a_version_can_be_chosen_where_the_packages_name_it(tmp_path: Path) -> None:
    preset = load_preset(written(tmp_path, WHOLE))
    assert preset.with_version("1.83.8.post1+local").version == "1.83.8.post1+local"
    assert preset.version == "1.2.3"
    for wrong in ("", "latest", "1;rm", "1 2", "-1", "1/2"):
        with pytest.raises(PresetError) as error:
            preset.with_version(wrong)
        assert str(error.value) == f"version {wrong!r}: give a release, as in gateway==1.2.3"


def test_a_version_of_what_the_machine_has_cannot_be_chosen(tmp_path: Path) -> None:
    with pytest.raises(PresetError) as error:
        load_preset(written(tmp_path, LEAST)).with_version("1.0")
    assert str(error.value) == "gateway is the one that this machine has; its version cannot be chosen"


def test_a_command_is_a_preset_of_one_route() -> None:
    route = Endpoint(path="/speak")
    preset = preset_of_command("cmd:x", ("x", "--port={port}"), route)
    assert (preset.name, preset.command, preset.install, preset.routes) == (
        "cmd:x",
        ("x", "--port={port}"),
        Install(binary="x"),
        (route,),
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("x",), "cmd:x: it must say where to listen: write {port}, and {upstream} for the upstream"),
        (
            ("x", "{port}", "{upstraem}"),
            "cmd:x: {upstraem} in '{upstraem}' stands for nothing; there are upstream, upstream_root, "
            "upstream_address, host, port, dir, bin, here, version",
        ),
    ],
)
def test_a_command_that_cannot_be_used(words: tuple[str, ...], says: str) -> None:
    with pytest.raises(PresetError) as error:
        preset_of_command("cmd:x", words, PLAIN)
    assert str(error.value) == says


@pytest.mark.parametrize(
    ("declared", "feature", "says"),
    [
        (Declared(), "fin", ""),
        (
            Declared(fin="half-close"),
            "fin",
            "it declares that a FIN from its client is a half-close, not a departure",
        ),
        (Declared(), "slots", ""),
        (Declared(slots=5), "slots", ""),
        (Declared(slots=0), "slots", "it declares that it has no limit of open requests"),
        (Declared(), "incremental", "it does not declare that it knows the field Incremental (RFC 10036)"),
        (Declared(incremental=True), "incremental", ""),
    ],
)
def test_what_a_target_lacks_by_its_own_word(declared: Declared, feature: str, says: str) -> None:
    assert Endpoint(declared=declared).lacks(feature) == says


@pytest.mark.parametrize("name", preset_names())
def test_the_presets_that_come_with_streamproof_load(name: str) -> None:
    preset = load_preset(HOME / f"{name}.toml")
    assert preset.name == name
    assert preset.about
    assert preset.install.hint
    assert len({route.path for route in preset.routes}) == len(preset.routes) > 1
    assert all(route.name for route in preset.routes)
    text = "".join((*preset.command, *preset.files.values()))
    assert "{port}" in text
    assert "{upstream" in text


def test_the_presets_are_those_that_are_promised() -> None:
    assert {"litellm", "nginx"} <= set(preset_names())
