"""Clips, and attempts to make them, as the tests of the ledger put them on record."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from kf2v_pipeline.domain.attempt import Attempt, Fact, FactKind
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.storage.ledger import Ledger

NOON = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
STALE = timedelta(minutes=1)
WESTERN = timezone(timedelta(hours=-7))
MANY = 2_000  # more than fits into one IN list, twice


def make_frame(name: str = "a") -> Frame:
    return Frame(location=f"/{name}.png", sha256=name[0] * 64, width=640, height=360, size_bytes=5, format="PNG")


def make_clip(clip_id: str = "cat", **changes: Any) -> Clip:
    values: dict[str, Any] = {
        "clip_id": clip_id,
        "row": 1,
        "service": "local",
        "model": "kf2v",
        "resolution": "480P",
        "first_frame": make_frame("a"),
        "last_frame": make_frame("b"),
        "prompt": "A cat wakes up.",
        "carried": {"scene": "Küche 厨房", "take": 3},
    }
    return Clip(**values | changes)


def make_clips(number: int) -> list[Clip]:
    return [make_clip(f"clip-{n}", row=n + 1, prompt=f"Take {n}") for n in range(number)]


def yuan(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="CNY")


def prepare(
    ledger: Ledger, clip: Clip | None = None, *, owner: str = "one", at: datetime = NOON, **money: Any
) -> Attempt:
    clip = clip or make_clip()
    ledger.claim(owner, [clip.clip_id], at=NOON, stale_after=STALE)
    return ledger.prepare(clip, owner=owner, at=at, **money)


def record(ledger: Ledger, attempt: Attempt, *kinds: FactKind, **detail: Any) -> Attempt:
    """Records facts one after the other; the detail comes with the last one."""
    for kind in kinds:
        told = detail if kind is kinds[-1] else {}
        attempt = ledger.record(Fact(attempt_id=attempt.attempt_id, kind=kind, at=NOON, detail=told))
    return attempt


TO_STORED = (FactKind.ACCEPTED, FactKind.TASK_SUCCEEDED, FactKind.VIDEO_STORED)


def ids(found: Any) -> list[str]:
    return [each.clip_id for each in found]
