"""How often a drive does what. Why a lane is looked at when it is, is decided in ``domain.policy``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

from kf2v_pipeline.domain.policy import Pace

EAGER = Pace(closest=timedelta(seconds=0.5), patience=timedelta(seconds=0.2))
"""The pace where the service refuses the surplus: a late look leaves quota idle."""


def hurry(pace: Pace) -> Pace:
    """A pace that is as eager, or more so where it was already."""
    return replace(pace, closest=min(pace.closest, EAGER.closest), patience=min(pace.patience, EAGER.patience))


@dataclass(frozen=True, kw_only=True)
class Tempo:
    """How often a drive does what.

    Attributes:
        pace: How often a lane is looked at.
        confirm_grace: How long ``list`` may take to show a task, before an unconfirmed create counts as never landed.
        unreachable_after: A lane whose service can't be connected to for so long is stopped.
        stale_after: A driver that was silent for so long is gone, and its clips may be taken over.
        last_reply: How long a drive that is stopped waits for the reply to a create that is on its way.
        collectors: Downloads at the same time.
    """

    pace: Pace = field(default_factory=Pace)
    confirm_grace: timedelta = timedelta(seconds=60)
    unreachable_after: timedelta = timedelta(seconds=60)
    heartbeat_every: timedelta = timedelta(seconds=10)
    stale_after: timedelta = timedelta(seconds=60)
    claim_every: timedelta = timedelta(seconds=2)
    last_reply: timedelta = timedelta(seconds=5)
    collectors: int = 4


LOCAL_TEMPO = Tempo(
    pace=Pace(closest=timedelta(seconds=0.5), widest=timedelta(seconds=2)),
    confirm_grace=timedelta(seconds=5),
    unreachable_after=timedelta(seconds=10),
    claim_every=timedelta(seconds=0.5),
    collectors=2,
)
"""For a server on this machine, whose queries nobody else needs, and whose films come at once."""
