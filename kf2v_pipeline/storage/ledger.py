"""The ledger: what is wanted, what was paid, what is in flight, whose it is. Its parts are the modules beside it."""

from __future__ import annotations

from kf2v_pipeline.storage.attempt import Attempts
from kf2v_pipeline.storage.backlog import Backlog, Leftover
from kf2v_pipeline.storage.claim import Claim, Claims, Driver
from kf2v_pipeline.storage.frame import KnownFrames
from kf2v_pipeline.storage.lane import Places
from kf2v_pipeline.storage.quality import Cut, Qualities
from kf2v_pipeline.storage.spend import Spend
from kf2v_pipeline.storage.wanted import Change, Wanted

__all__ = ["Change", "Claim", "Cut", "Driver", "Ledger", "Leftover", "Places"]


class Ledger(Wanted, KnownFrames, Claims, Attempts, Qualities, Spend, Backlog):
    """Facts, append-only, and what they fold into: the truth about money. Dagster's events repeat it for people.

    Each method is one short transaction, and may be called from any thread. Nothing is held in memory, so processes
    and hosts that open the same address share one ledger.
    """
