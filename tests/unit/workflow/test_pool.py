"""Who takes which clip, and when."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from unit.workflow.simulation import make_clip

from kf2v_pipeline.domain.clip import AUTO, Clip
from kf2v_pipeline.workflow.pool import Pool

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
LATER = NOON + timedelta(minutes=1)
ONE, TWO = "beijing/one", "beijing/two"


@pytest.fixture
def left() -> list[tuple[str, str]]:
    """Clips that were left, with the code."""
    return []


@pytest.fixture
def told() -> list[tuple[str, str, bool]]:
    """Lanes that stopped, with the code, and whether they were left."""
    return []


@pytest.fixture
def pool(left: list[tuple[str, str]], told: list[tuple[str, str, bool]]) -> Pool:
    def tell(lane: str, code: str, *, is_left: bool) -> None:
        told.append((lane, code, is_left))

    return Pool(lambda clip, code, _message: left.append((clip.clip_id, code)), tell)


def clip_of(clip_id: str, *lanes: str) -> Clip:
    """A clip of one lane, or of any of several."""
    clip = make_clip(0).evolve(clip_id=clip_id)
    if len(lanes) > 1:
        return clip.evolve(service=AUTO, model=AUTO, lanes=lanes)
    return clip.evolve(service="beijing", model=lanes[0].partition("/")[2])


def take(pool: Pool, lane: str, *, now: datetime = NOON, has_place: bool = True, blocked: str = "") -> str | None:
    clip = pool.take(lane, now=now, has_place=has_place, is_blocked=lambda clip: clip.clip_id == blocked)
    assert clip is None or clip.lane == lane
    return clip and clip.clip_id


def test_a_clip_of_one_lane_is_that_lanes_also_while_it_has_no_place(pool: Pool) -> None:
    pool.put(clip_of("a", ONE), None)
    assert take(pool, TWO) is None
    assert take(pool, ONE, has_place=False) == "a"
    assert take(pool, ONE) is None


def test_a_clip_of_several_lanes_goes_to_the_first_that_has_a_place_and_keeps_its_fingerprint(pool: Pool) -> None:
    clip = clip_of("a", ONE, TWO)
    pool.put(clip, None)
    assert take(pool, ONE, has_place=False) is None
    taken = pool.take(TWO, now=NOON, has_place=True, is_blocked=lambda _: False)
    assert taken is not None
    assert (taken.service, taken.model, taken.fingerprint) == ("beijing", "two", clip.fingerprint)
    assert take(pool, ONE) is None


def test_what_is_not_due_or_blocked_waits_and_holds_up_no_other(pool: Pool) -> None:
    for clip_id, at in (("a", LATER), ("b", None), ("c", None)):
        pool.put(clip_of(clip_id, ONE, TWO), at)
    assert take(pool, ONE, blocked="b") == "c"
    assert list(pool.due_at(ONE, now=NOON)) == [LATER]
    assert take(pool, ONE, blocked="b") is None
    assert take(pool, TWO, now=LATER) == "a"


def test_a_clip_is_left_once_all_of_its_lanes_have_stopped(pool: Pool, left: list[tuple[str, str]]) -> None:
    for clip in (clip_of("a", ONE), clip_of("b", ONE, TWO), clip_of("c", TWO)):
        pool.put(clip, None)
    pool.stop(ONE, "BadKey", "…")
    assert left == [("a", "BadKey")]
    assert take(pool, ONE) is None
    pool.stop(TWO, "BudgetReached", "…")
    assert left[1:] == [("c", "BudgetReached"), ("b", "BudgetReached")]
    pool.put(clip_of("d", ONE, TWO), None)
    assert left[3:] == [("d", "BudgetReached")]


def test_the_lanes_that_may_take_a_clip_are_woken(pool: Pool) -> None:
    woken: list[str] = []
    pool.join(ONE, lambda: woken.append(ONE))
    pool.join(TWO, lambda: woken.append(TWO))
    pool.put(clip_of("a", TWO), None)
    assert woken == [TWO]
    pool.put(clip_of("b", ONE, TWO), None)
    assert woken == [TWO, ONE, TWO]


def test_a_lane_that_stops_is_told_of_once_for_each_reason(pool: Pool, told: list[tuple[str, str, bool]]) -> None:
    for code in ("BudgetReached", "BudgetReached", "Arrearage"):
        pool.stop(ONE, code, "...")
    assert told == [(ONE, "BudgetReached", False), (ONE, "Arrearage", False)]


def test_a_lane_that_is_left_after_it_stopped_is_news_once(pool: Pool, told: list[tuple[str, str, bool]]) -> None:
    pool.stop(ONE, "Arrearage", "...")
    for _ in range(2):
        pool.stop(ONE, "Arrearage", "...", is_left=True)
    assert told == [(ONE, "Arrearage", False), (ONE, "Arrearage", True)]


def test_a_lane_that_is_left_out_takes_no_clip_and_is_no_news(
    pool: Pool, left: list[tuple[str, str]], told: list[tuple[str, str, bool]]
) -> None:
    pool.leave_out(ONE)
    pool.put(clip_of("own", ONE), None)
    pool.put(clip_of("shared", ONE, TWO), None)
    assert left == [("own", "LaneLeftOut")]
    assert take(pool, ONE) is None
    assert take(pool, TWO) == "shared"
    assert told == []


@pytest.mark.parametrize(("stopped", "left_out"), [(ONE, TWO), (TWO, ONE)])
def test_a_clip_of_several_lanes_is_left_for_the_one_that_stopped_not_for_one_that_is_left_out(
    stopped: str, left_out: str, pool: Pool, left: list[tuple[str, str]]
) -> None:
    pool.leave_out(left_out)
    pool.stop(stopped, "BudgetReached", "...")
    pool.put(clip_of("a", ONE, TWO), None)
    assert left == [("a", "BudgetReached")]
