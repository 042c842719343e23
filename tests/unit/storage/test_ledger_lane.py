"""A lane's quota, as the ledger hands it out: the rate of its creates, and its places."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path

import pytest

from kf2v_pipeline.domain.attempt import Attempt, Fact, FactKind
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.errors import NoPlace
from kf2v_pipeline.storage.ledger import Driver, Ledger, Places

NOON = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
FRAME = Frame(location="/a.png", sha256="a" * 64, width=640, height=360, size_bytes=5, format="PNG")


class Lanes:
    """A driver that prepares one clip after the other."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._numbers = count()

    def prepare(self, at: datetime, *, model: str = "kf2v", rate: float = 2, places: int = 9) -> Attempt | datetime:
        """The attempt at another clip, or when to ask again."""
        clip = Clip(
            clip_id=f"clip-{next(self._numbers)}",
            row=1,
            service="local",
            model=model,
            resolution="480P",
            first_frame=FRAME,
            last_frame=FRAME,
        )
        self.ledger.claim("one", [clip.clip_id], at=NOON, stale_after=timedelta(days=1))
        quota = Places(creates_per_second=rate, tasks_in_process=places)
        try:
            return self.ledger.prepare(clip, owner="one", at=at, places=quota)
        except NoPlace as full:
            return full.free_at

    def tell(self, attempt: Attempt | datetime, *kinds: FactKind) -> None:
        assert isinstance(attempt, Attempt)
        for kind in kinds:
            self.ledger.record(Fact(attempt_id=attempt.attempt_id, kind=kind, at=NOON))


@pytest.fixture
def lanes(tmp_path: Path) -> Iterator[Lanes]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        ledger.enlist(Driver(owner="one", host="host", pid=1), at=NOON)
        yield Lanes(ledger)


def test_creates_are_spaced_by_the_lanes_rate(lanes: Lanes) -> None:
    half = SECOND / 2
    assert isinstance(lanes.prepare(NOON), Attempt)
    assert lanes.prepare(NOON) == NOON + half
    assert lanes.prepare(NOON + half - timedelta(microseconds=1)) == NOON + half
    assert isinstance(lanes.prepare(NOON + half), Attempt)
    assert isinstance(lanes.prepare(NOON, model="other"), Attempt)


def test_a_rate_that_is_no_fraction_of_a_second_is_never_passed(lanes: Lanes) -> None:
    at, prepared = NOON, 0
    for _ in range(8):
        answer = lanes.prepare(at, rate=3)
        prepared += isinstance(answer, Attempt) and at < NOON + SECOND
        at = answer if isinstance(answer, datetime) else at
    assert prepared == 3


def test_a_rate_of_less_than_one_a_second_holds_too(lanes: Lanes) -> None:
    assert isinstance(lanes.prepare(NOON, rate=0.05), Attempt)
    assert lanes.prepare(NOON + 19 * SECOND, rate=0.05) == NOON + 20 * SECOND


@pytest.mark.parametrize("facts", [(), (FactKind.REPLY_LOST,), (FactKind.ACCEPTED,)])
def test_a_full_lane_is_to_be_asked_again_in_a_second(lanes: Lanes, facts: tuple[FactKind, ...]) -> None:
    lanes.tell(lanes.prepare(NOON - SECOND), *facts)
    assert lanes.prepare(NOON, places=1) == NOON + SECOND
    assert isinstance(lanes.prepare(NOON, places=2), Attempt)


@pytest.mark.parametrize("facts", [(FactKind.REFUSED,), (FactKind.ACCEPTED, FactKind.TASK_SUCCEEDED)])
def test_a_task_that_ended_gives_its_place_back(lanes: Lanes, facts: tuple[FactKind, ...]) -> None:
    lanes.tell(lanes.prepare(NOON - SECOND), *facts)
    assert isinstance(lanes.prepare(NOON, places=1), Attempt)


def test_a_create_that_finds_no_place_leaves_nothing_on_record(lanes: Lanes) -> None:
    first = lanes.prepare(NOON)
    lanes.prepare(NOON)
    lanes.prepare(NOON + SECOND, places=1)
    assert lanes.ledger.attempts() == (first,)


def test_a_task_holds_its_place_for_as_long_as_somebody_drives_its_clip_and_else_for_ten_minutes(lanes: Lanes) -> None:
    lanes.prepare(NOON)
    later = NOON + timedelta(minutes=10)
    assert isinstance(lanes.prepare(later, places=1), datetime)

    lanes.ledger.release("one", ["clip-0"])

    assert isinstance(lanes.prepare(later - SECOND, places=1), datetime)
    assert isinstance(lanes.prepare(later, places=1), Attempt)
