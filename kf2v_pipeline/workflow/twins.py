"""Tells the tasks of creates with one prompt apart, where replies were lost: by their films' first and last picture.

What a prompt and a time can tell is ``reconcile``'s; which likeness is enough is ``domain.twins``'s.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.reading import Reading
from kf2v_pipeline.domain.twins import pair_up
from kf2v_pipeline.errors import ServiceError, TransportError, VideoError
from kf2v_pipeline.media.likeness import compare_ends
from kf2v_pipeline.media.reel import Luma, read_reel
from kf2v_pipeline.storage.store import scratch_film
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.workflow.desk import Desk
from kf2v_pipeline.workflow.reconcile import Candidate, Decision, adopt, may_be_proved

_TRIES = 3
"""How often a film is asked for; after that only a person can tell."""


class Twins:
    """Looks at the films of one lane's strangers, each of them once."""

    def __init__(self, desk: Desk, client: WanClient) -> None:
        self._desk = desk
        self._client = client
        self._ends: dict[str, Luma] = {}
        self._failures: Counter[str] = Counter()
        self._likeness: dict[tuple[str, str], float | None] = {}

    async def tell_apart(
        self,
        attempts: Sequence[Attempt],
        candidates: Sequence[Candidate],
        *,
        others: Sequence[Attempt],
        decided: Sequence[Decision],
    ) -> list[Decision]:
        """Decides what pictures can decide of what ``reconcile`` had to leave open.

        Args:
            attempts: Unconfirmed attempts of the lane that are to be decided.
            candidates: Tasks that no attempt is known to have made.
            others: Attempts of the lane that others decide, and that may have made a candidate all the same.
            decided: What was decided about some of them by other evidence.
        """
        settled = {decision.attempt_id for decision in decided}
        taken = {decision.detail.get("task_id") for decision in decided}
        free = [candidate for candidate in candidates if candidate.task.task_id not in taken]
        pairs = [
            (attempt, candidate)
            for attempt in (*attempts, *others)
            if attempt.attempt_id not in settled
            for candidate in free
            if may_be_proved(attempt, candidate)
        ]
        mine = {attempt.attempt_id: attempt for attempt in attempts}
        if not any(attempt.attempt_id in mine for attempt, _ in pairs):
            return []
        likeness = {(a.attempt_id, c.task.task_id): await self._compare(a, c) for a, c in pairs}
        by_task = {candidate.task.task_id: candidate for candidate in free}
        return [
            adopt(mine[attempt_id], by_task[task_id])
            for attempt_id, task_id in pair_up(likeness).items()
            if attempt_id in mine
        ]

    async def _compare(self, attempt: Attempt, candidate: Candidate) -> float | None:
        """How like the attempt's frames the film's less like end is; None where that can't be told now."""
        key = attempt.attempt_id, candidate.task.task_id
        if key in self._likeness:
            return self._likeness[key]
        ends = None if candidate.reading is None else await self._ends_of(candidate.reading)
        if ends is None:
            return None
        clip = self._desk.ledger.clips_of([attempt.attempt_id]).get(attempt.attempt_id)
        found = None if clip is None else await asyncio.to_thread(self._measure, clip, ends)
        self._likeness[key] = found
        return found

    def _measure(self, clip: Clip, ends: Luma) -> float | None:
        frames = self._desk.frames
        last_frame = frames.picture(clip, "last_frame")
        likeness = compare_ends(ends, frames.picture(clip, "first_frame"), last_frame)
        if likeness.first is None or clip.last_frame is None:
            return likeness.first
        return None if likeness.last is None else min(likeness.first, likeness.last)

    async def _ends_of(self, reading: Reading) -> Luma | None:
        """The film's first and last picture; None where it can't be had or read."""
        task_id = reading.task_id
        if task_id not in self._ends and self._failures[task_id] < _TRIES:
            ends = await self._fetch(reading.video_url) if reading.video_url else None
            if ends is None:
                self._failures[task_id] += 1
            else:
                self._ends[task_id] = ends
        return self._ends.get(task_id)

    async def _fetch(self, video_url: str) -> Luma | None:
        try:
            with scratch_film(self._desk.incoming) as film:
                async with self._client.download(video_url) as body:
                    with film.open("wb") as file:
                        async for chunk in body:
                            file.write(chunk)
                return await asyncio.to_thread(_read_ends, film)
        except (ServiceError, TransportError, VideoError, OSError):
            return None


def _read_ends(film: Path) -> Luma | None:
    pictures = read_reel(film).pictures
    return np.stack((pictures[0], pictures[-1])) if len(pictures) else None
