"""Attempts as the ledger would make them, for tests that need no ledger."""

from __future__ import annotations

from datetime import datetime

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.clip import Clip


def prepared(clip: Clip, *, at: datetime) -> Attempt:
    """The first attempt at a clip, as it was prepared then."""
    return Attempt(
        attempt_id=f"{clip.clip_id}-1",
        clip_id=clip.clip_id,
        fingerprint=clip.fingerprint,
        number=1,
        service=clip.service,
        model=clip.model,
        lane=clip.lane,
        owner="driver",
        prompt=clip.prompt,
        prepared_at=at,
    )
