"""Scenarios are files: their ids are their paths, and a file that does not keep the form is told what is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import pytest

from harness.preset import Declared, Endpoint
from harness.record import Record
from harness.scenario import HOME, ScenarioError, load_scenarios
from harness.verdict import Kind

GOOD = {
    "CLAIM": "CLAIM = 'Bread is bread.'",
    "KIND": "KIND = 'required'",
    "CITES": "CITES = ('owner/repo#1',)",
    "VARIANTS": "VARIANTS = {'plain': 1}",
    "play": "async def play(stage): ...",
    "judge": "def judge(record): return ()",
}
SHARING = {**GOOD, "VARIANTS": "", "play": "", "SHARES": "SHARES = 'family/stages'"}


def write(home: Path, name: str, **changes: str) -> Path:
    """A scenario file of the usual form but for some of its parts."""
    path = home / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join({**GOOD, **changes}.values()) + "\n")
    return path


def test_ids_are_paths_in_order(tmp_path: Path) -> None:
    for name in ("b/second", "a/zebra", "b/first"):
        write(tmp_path, name)
    assert list(load_scenarios(tmp_path)) == ["a/zebra", "b/first", "b/second"]
    assert [scenario.id for scenario in load_scenarios(tmp_path).values()] == ["a/zebra", "b/first", "b/second"]


def test_a_scenario_has_what_its_file_says(tmp_path: Path) -> None:
    write(tmp_path, "a/plain")
    write(tmp_path, "a/special", NEEDS="NEEDS = ('a/plain',)", SLOW="SLOW = True", ALONE="ALONE = APART = True")
    plain, special = load_scenarios(tmp_path).values()
    assert (plain.claim, plain.kind, plain.cites) == ("Bread is bread.", "required", ("owner/repo#1",))
    assert dict(plain.variants) == {"plain": 1}
    assert (plain.needs, plain.slow, plain.alone, plain.apart, plain.shares) == ((), False, False, False, "")
    assert plain.staging == "a/plain"
    assert (special.needs, special.slow, special.alone, special.apart) == (("a/plain",), True, True, True)


def test_everything_needs_an_answer_unless_it_says_otherwise(tmp_path: Path) -> None:
    write(tmp_path, "fidelity/answers")
    write(tmp_path, "a/plain")
    write(tmp_path, "a/other", NEEDS="NEEDS = ('a/plain',)")
    write(tmp_path, "a/none", NEEDS="NEEDS = ()")
    needs = {name: scenario.needs for name, scenario in load_scenarios(tmp_path).items()}
    assert needs == {
        "fidelity/answers": (),
        "a/plain": ("fidelity/answers",),
        "a/other": ("a/plain",),
        "a/none": (),
    }


def test_needs_that_go_in_a_circle_are_named(tmp_path: Path) -> None:
    write(tmp_path, "a/one", NEEDS="NEEDS = ('a/two',)")
    write(tmp_path, "a/two", NEEDS="NEEDS = ('a/three',)")
    write(tmp_path, "a/three", NEEDS="NEEDS = ('a/one',)")
    with pytest.raises(ScenarioError) as error:
        load_scenarios(tmp_path)
    assert str(error.value).endswith("NEEDS: what it needs must not need it in turn")


def test_files_that_begin_with_an_underscore_are_no_scenarios(tmp_path: Path) -> None:
    write(tmp_path, "a/_helpers", CLAIM="")
    write(tmp_path, "a/__init__", CLAIM="")
    write(tmp_path, "a/real")
    assert list(load_scenarios(tmp_path)) == ["a/real"]


def test_only_one_level_of_families_is_read(tmp_path: Path) -> None:
    write(tmp_path, "top", CLAIM="")
    write(tmp_path, "a/deeper/still", CLAIM="")
    write(tmp_path, "a/real")
    assert list(load_scenarios(tmp_path)) == ["a/real"]


def test_an_empty_folder_has_no_scenarios(tmp_path: Path) -> None:
    assert load_scenarios(tmp_path) == {}


def test_a_scenario_that_shares_has_the_play_and_the_variants_of_the_one_that_stages(tmp_path: Path) -> None:
    write(tmp_path, "family/stages")
    write(tmp_path, "family/judges", **SHARING)
    scenarios = load_scenarios(tmp_path)
    stages, judges = scenarios["family/stages"], scenarios["family/judges"]
    assert (judges.play, judges.variants) == (stages.play, stages.variants)
    assert judges.judge is not stages.judge
    assert (judges.shares, judges.staging) == ("family/stages", "family/stages")


def test_a_scenario_may_stand_before_the_one_it_shares_with(tmp_path: Path) -> None:
    write(tmp_path, "z/stages")
    write(tmp_path, "a/judges", **{**SHARING, "SHARES": "SHARES = 'z/stages'"})
    assert load_scenarios(tmp_path)["a/judges"].staging == "z/stages"


@pytest.mark.parametrize(
    ("changes", "field", "remedy"),
    [
        ({"CLAIM": ""}, "CLAIM", "say the claim in one sentence"),
        ({"CLAIM": "CLAIM = 'no full stop'"}, "CLAIM", "say the claim in one sentence"),
        ({"CLAIM": "CLAIM = 5"}, "CLAIM", "say the claim in one sentence"),
        ({"KIND": ""}, "KIND", "choose one of required, desired, observed"),
        ({"KIND": "KIND = 'optional'"}, "KIND", "choose one of required, desired, observed"),
        ({"CITES": ""}, "CITES", "name the bugs or the standard behind it, in a tuple"),
        ({"CITES": "CITES = ()"}, "CITES", "name the bugs or the standard behind it, in a tuple"),
        ({"CITES": "CITES = 'owner/repo#1'"}, "CITES", "name the bugs or the standard behind it, in a tuple"),
        ({"VARIANTS": ""}, "VARIANTS", "give at least one variant, name to value"),
        ({"VARIANTS": "VARIANTS = {}"}, "VARIANTS", "give at least one variant, name to value"),
        ({"VARIANTS": "VARIANTS = ['a']"}, "VARIANTS", "give at least one variant, name to value"),
        ({"play": ""}, "play", "define `async def play(stage)`, or SHARES"),
        ({"play": "play = 5"}, "play", "define `async def play(stage)`, or SHARES"),
        ({"judge": ""}, "judge", "define `def judge(record)`"),
        ({"judge": "judge = 5"}, "judge", "define `def judge(record)`"),
        ({"NEEDS": "NEEDS = 'a/stages'"}, "NEEDS", "name scenarios in a tuple"),
        ({"NEEDS": "NEEDS = ('a/gone',)"}, "NEEDS", "name other scenarios that there are"),
        ({"NEEDS": "NEEDS = ('b/wrong',)"}, "NEEDS", "name other scenarios that there are"),
        ({"SHARES": "SHARES = 'a/gone'"}, "SHARES", "'a/gone' is no scenario; name the id of one that stages"),
        ({"SHARES": "SHARES = 'a/stages'"}, "play", "a scenario with SHARES has no play of its own"),
        (
            {**SHARING, "SHARES": "SHARES = 'a/judges'"},
            "SHARES",
            "'a/judges' stages nothing itself; name the id of one that stages",
        ),
    ],
)
def test_a_file_that_does_not_keep_the_form_is_named_with_field_and_remedy(
    tmp_path: Path, changes: dict[str, str], field: str, remedy: str
) -> None:
    write(tmp_path, "a/stages")
    write(tmp_path, "a/judges", **{**SHARING, "SHARES": "SHARES = 'a/stages'"})
    path = write(tmp_path, "b/wrong", **changes)
    with pytest.raises(ScenarioError) as error:
        load_scenarios(tmp_path)
    assert str(error.value) == f"scenario {path}: {field}: {remedy}"


def test_scenarios_are_loaded_by_path_not_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package `scenarios` elsewhere on the path cannot get in between, and two folders can hold the same id."""
    write(tmp_path, "elsewhere/scenarios/delivery/lockstep", CLAIM="CLAIM = 'Not this one.'")
    (tmp_path / "elsewhere" / "scenarios" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    write(tmp_path, "mine/delivery/lockstep", CLAIM="CLAIM = 'But this one.'")
    assert load_scenarios(tmp_path / "mine")["delivery/lockstep"].claim == "But this one."
    assert "client holds each chunk" in load_scenarios()["delivery/lockstep"].claim
    assert "scenarios.delivery.lockstep" not in sys.modules


def test_a_judge_may_use_what_its_module_defines(tmp_path: Path) -> None:
    """Dataclasses look their module up in sys.modules; it must be there."""
    lines = ["from dataclasses import dataclass", "@dataclass", "class Grain:", "    size: 'int' = 5"]
    code = "\n".join([*lines, "def judge(record): return () if Grain().size == 5 else None"])
    write(tmp_path, "a/b", judge=code)
    assert list(load_scenarios(tmp_path)["a/b"].judge(Record("t", "a/b", "v", None))) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("name", load_scenarios())
def test_our_own_scenarios_keep_the_form(name: str) -> None:
    scenario = load_scenarios()[name]
    assert (HOME / f"{name}.py").is_file()
    assert scenario.kind in get_args(Kind)
    assert scenario.shares == "" or load_scenarios()[scenario.shares].play is scenario.play
    assert all(variant and "[" not in variant and " " not in variant for variant in scenario.variants), (
        "a variant's name stands in brackets and in -k"
    )
    assert set(scenario.needs) <= set(load_scenarios())


def test_a_variant_may_be_about_a_feature_that_a_target_lacks(tmp_path: Path) -> None:
    """By the target's own word; "" stands for all variants, and who shares a staging shares what it is about."""
    variants = "VARIANTS = {'fin': 1, 'reset': 2}"
    write(tmp_path, "family/stages", VARIANTS=variants, FEATURES="FEATURES = {'fin': 'fin'}")
    write(tmp_path, "family/judges", **SHARING)
    write(tmp_path, "family/whole", VARIANTS=variants, FEATURES="FEATURES = {'': 'slots'}")
    scenarios = load_scenarios(tmp_path)
    endpoint = Endpoint(declared=Declared(fin="half-close", slots=0))
    for name in ("family/stages", "family/judges"):
        assert "half-close" in scenarios[name].lacking("fin", endpoint)
        assert scenarios[name].lacking("reset", endpoint) == ""
    assert "no limit" in scenarios["family/whole"].lacking("reset", endpoint)
    assert {scenario.lacking("fin", Endpoint()) for scenario in scenarios.values()} == {""}


@pytest.mark.parametrize(
    ("features", "says"),
    [
        ("{'fine': 'fin'}", "FEATURES: name variants that there are, or '' for all"),
        ("{'plain': 'wings'}", "FEATURES: choose of fin, slots, incremental"),
    ],
)
def test_a_feature_that_is_none_is_told(tmp_path: Path, features: str, says: str) -> None:
    path = write(tmp_path, "a/plain", FEATURES=f"FEATURES = {features}")
    with pytest.raises(ScenarioError) as error:
        load_scenarios(tmp_path)
    assert str(error.value) == f"scenario {path}: {says}"
