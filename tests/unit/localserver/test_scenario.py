"""Scenarios: read from files and mappings, wrong ones refused with the nearest right word."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest

from kf2v_pipeline.localserver.fault import Fault, FaultPlan
from kf2v_pipeline.localserver.model import MODELS
from kf2v_pipeline.localserver.scenario import Duration, Scenario, ScenarioError

FLASH = MODELS["wan2.2-kf2v-flash"]
SCRIPT = {
    "seed": 3,
    "speed": 60,
    "durations": [{"match": "kitten", "median_s": 10}, {"median_s": 120, "sigma": 0.4}],
    "in_process": {"wan2.2-kf2v-flash": 1},
    "faults": [{"on": "create", "kind": "cut", "rate": 0.5}, {"on": "list", "kind": "html", "status": 503}],
}


def rng(seed: int) -> random.Random:
    return random.Random(seed)


def test_a_json_file_says_all() -> None:
    scenario = Scenario.from_mapping(SCRIPT)
    assert scenario.faults[1] == Fault(on="list", kind="html", status=503)
    assert scenario.durations[0] == Duration(median_s=10, match="kitten")
    assert scenario.in_process_of(FLASH, 0) == 1
    assert scenario.submit_rps_of(FLASH) == 2


def test_json_and_toml_say_the_same(tmp_path: Path) -> None:
    as_json, as_toml = tmp_path / "s.json", tmp_path / "s.toml"
    as_json.write_text(json.dumps({"seed": 1, "durations": 5, "faults": [{"on": "get", "kind": "throttle"}]}))
    as_toml.write_text('seed = 1\ndurations = 5\n[[faults]]\non = "get"\nkind = "throttle"\n')
    if sys.version_info < (3, 11):
        with pytest.raises(ScenarioError, match=r"needs Python 3\.11"):
            Scenario.load(as_toml)
    else:
        assert Scenario.load(as_json) == Scenario.load(as_toml)
    assert Scenario.load(as_json).durations == (Duration(median_s=5),)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"sped": 2}, "did you mean speed?"),
        ({"faults": [{"on": "create", "knd": "cut"}]}, "did you mean kind?"),
        ({"faults": [{"on": "create", "kind": "explode"}]}, "kind is one of throttle"),
        ({"faults": [{"on": "craete", "kind": "cut"}]}, "is on one of create"),
        ({"faults": [{"on": "create", "kind": "vanish"}]}, "fail and vanish are for tasks"),
        ({"faults": [{"on": "create", "kind": "cut", "rate": 2}]}, "between 0 and 1"),
        ({"faults": [{"kind": "cut"}]}, "on"),
        ({"durations": [{"median_s": -1}]}, "can't be negative"),
        ({"surplus": "drop"}, "'queue' or 'reject'"),
        ({"speed": "fast"}, "speed in a scenario is a float"),
        ({"seed": 1.5}, "seed in a scenario is a int"),
        ({"stand_in": 1}, "stand_in in a scenario is a bool"),
        ({"stand_in_px": 63}, "an even number of pixels"),
        ({"speed": 0}, "more than 0"),
        ({"in_process": {"wan2.2-kf2v-flsh": 1}}, "did you mean wan2.2-kf2v-flash?"),
        ({"submit_rps": 0}, "at least 1"),
        ({"faults": [{"on": "get", "kind": "cut", "count": "3"}]}, "count in a fault is a int"),
        ({"keys": "sk-a"}, "keys is a list"),
        ([1], "object of names and values"),
    ],
)
def test_what_can_not_be_used_is_said_in_one_sentence(raw: object, says: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_mapping(raw)
    assert says in str(caught.value)


@pytest.mark.parametrize("content", [None, "{", "\x00\xff"])
def test_an_unreadable_file_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "script.json"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ScenarioError, match=r"script\.json"):
        Scenario.load(path)


def test_durations_are_drawn_by_prompt_and_seed() -> None:
    scenario = Scenario.from_mapping(SCRIPT)
    assert scenario.duration_for("a kitten", rng(1)).total_seconds() == 10
    draws = [scenario.duration_for(None, rng(seed)).total_seconds() for seed in range(200)]
    assert len(set(draws)) == 200
    assert 90 < sorted(draws)[100] < 150
    assert Scenario().duration_for("x", rng(1)).total_seconds() == 0


def test_a_fault_comes_so_often_after_so_many() -> None:
    plan = FaultPlan([Fault(on="create", kind="cut", skip=2, count=3)], seed=0)
    drawn = [plan.draw("create") is not None for _ in range(8)]
    assert drawn == [False, False, True, True, True, False, False, False]
    assert plan.draw("get") is None


def test_the_same_seed_gives_the_same_faults() -> None:
    faults = [Fault(on="get", kind="throttle", rate=0.3)]

    def drawn(seed: int) -> list[bool]:
        plan = FaultPlan(faults, seed)
        return [plan.draw("get") is not None for _ in range(300)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert 60 < sum(drawn(1)) < 120


def test_a_fault_meets_only_what_it_matches() -> None:
    plan = FaultPlan([Fault(on="create", kind="cut", match="cat", model=FLASH.name)], seed=0)
    assert plan.draw("create", prompt="a cat", model=FLASH.name)
    assert plan.draw("create", prompt="a dog", model=FLASH.name) is None
    assert plan.draw("create", prompt="a cat", model="other") is None
    assert plan.draw("create", prompt=None, model=FLASH.name) is None
