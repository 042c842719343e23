"""What a lane and a collector may ask of the drive that they work for. The engine is the one that answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from kf2v_pipeline.domain.attempt import Attempt, FactKind
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.price import Budget
from kf2v_pipeline.storage.ledger import Driver, Ledger
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.workflow.frames import FrameSender
from kf2v_pipeline.workflow.pool import Pool
from kf2v_pipeline.workflow.tempo import Tempo


class Desk(Protocol):
    """One drive, as seen by those who work for it."""

    ledger: Ledger
    store: Store
    clock: Callable[[], datetime]
    driver: Driver
    tempo: Tempo
    budget: Budget
    buys: bool
    frames: FrameSender
    incoming: Path
    pool: Pool

    def tries(self, attempt: Attempt) -> int:
        """Attempts that count against the limits, this one among them."""

    def record(self, attempt: Attempt, kind: FactKind, **detail: object) -> Attempt:
        """Writes a fact, tells the listener, and gives the attempt as it is now."""

    def may_send(self, attempt: Attempt) -> bool:
        """Whether a prepared attempt is still this drive's to send."""

    def collect(self, clip: Clip, attempt: Attempt, video_url: str | None) -> None:
        """Queues a succeeded attempt for download, the soonest to expire first."""

    def decide(self, clip: Clip, attempt: Attempt) -> bool:
        """Ends a clip whose attempt has ended; False where another attempt may follow."""

    def leave(self, clip: Clip, code: str, message: str) -> None:
        """Leaves a clip to the next drive."""

    def notice(self, sentence: str, *, stops: bool = False) -> None:
        """Tells a person something once; ``stops`` where a lane stopped for it."""
