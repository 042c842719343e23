"""Rows that leave service and model to us: which lanes may make them, at what price, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from unit.workflow.test_plan import batch, ledger, plan_of, sole_problem

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.storage.ledger import Ledger
from kf2v_pipeline.workflow.plan import Plan

__all__ = ["batch", "ledger"]

FLASH, PLUS, NEW = "beijing/wan2.2-kf2v-flash", "beijing/wanx2.1-kf2v-plus", "beijing/wan2.7-i2v"


def auto(folder: Path, ledger: Ledger, *lanes: str, long_prompts: Any = "refuse", **row: str) -> Plan:
    values: Mapping[str, str] = {"service": "auto", "resolution": "720P", **row}
    return plan_of(folder, ledger, values, lanes=lanes, long_prompts=long_prompts)


def sole_clip(plan: Plan) -> Clip:
    assert plan.problems == ()
    (clip,) = plan.clips
    return clip


def test_a_row_may_leave_service_and_model_to_the_lanes(batch: Path, ledger: Ledger) -> None:
    clip = sole_clip(auto(batch, ledger, FLASH, "beijing/wan2.1-kf2v-plus", service="Auto"))
    assert (clip.service, clip.model, clip.lanes) == ("auto", "auto", (FLASH, PLUS))


def test_which_lanes_there_are_makes_no_other_video(batch: Path, ledger: Ledger) -> None:
    fingerprints = {
        sole_clip(auto(batch, ledger, *lanes)).fingerprint
        for lanes in ((FLASH,), (PLUS, FLASH), ("local/wan2.2-kf2v-flash",))
    }
    assert len(fingerprints) == 1
    assert sole_clip(auto(batch, ledger, service="beijing")).fingerprint not in fingerprints


def test_a_lane_that_cannot_make_it_is_passed_over(batch: Path, ledger: Ledger) -> None:
    assert sole_clip(auto(batch, ledger, PLUS, FLASH, NEW, resolution="480P")).lanes == (FLASH,)
    assert sole_clip(auto(batch, ledger, FLASH, NEW, prompt="x" * 801)).lanes == (NEW,)


def test_a_prompt_is_cut_only_where_every_lane_would_cut_it(batch: Path, ledger: Ledger) -> None:
    assert sole_clip(auto(batch, ledger, FLASH, NEW, prompt="x" * 801, long_prompts="cut")).lanes == (NEW,)
    plan = auto(batch, ledger, FLASH, NEW, prompt="x" * 5001, long_prompts="cut")
    assert (plan.clips[0].lanes, len(plan.clips[0].prompt or "")) == ((NEW,), 5000)


def test_the_price_is_the_most_that_a_lane_may_ask(batch: Path, ledger: Ledger) -> None:
    assert auto(batch, ledger, FLASH, PLUS).prices == {"c1": Money(amount=Decimal("3.50"), currency="CNY")}
    assert auto(batch, ledger, FLASH, "singapore/wan2.2-kf2v-flash").prices == {"c1": None}


@pytest.mark.parametrize(
    ("lanes", "row", "complaint"),
    [
        ((), {}, "service: auto means any of the lanes in KF2V_LANES, and it names none"),
        ((FLASH,), {"model": "wan2.7-i2v"}, "model: with service auto the lane says the model"),
        (
            (PLUS,),
            {"resolution": "480P"},
            "resolution: no lane in KF2V_LANES can make it: wanx2.1-kf2v-plus has no 480P",
        ),
        ((FLASH, NEW), {"resolution": ""}, "resolution: its lanes choose 720P or 1080P where it is empty"),
        ((FLASH, "mars/x"), {}, "service: the lane mars/x in KF2V_LANES can't be used, since "),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    batch: Path, ledger: Ledger, lanes: tuple[str, ...], row: dict[str, str], complaint: str
) -> None:
    plan = auto(batch, ledger, *lanes, **row)
    problem = sole_problem(plan)
    assert (problem.blocking, plan.clips) == (True, ())
    assert f"{problem.column}: {problem.what}".startswith(complaint)
    assert problem.fix
