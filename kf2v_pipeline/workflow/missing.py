"""Frames that can't be read when their clips are to be sent: whether a clip is put off. Reading is ``frames``' work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.policy import FRAME_WAITS
from kf2v_pipeline.errors import FrameError
from kf2v_pipeline.workflow.desk import Desk

OUTAGE_CLIPS = 3
"""Clips that can't be read, while no other can, before the place of the frames is taken to be out of reach."""


class MissingFrames:
    """One lane's clips whose frames could not be read.

    Args:
        plan: Takes a clip back, to be sent from an instant on.
    """

    def __init__(self, desk: Desk, plan: Callable[[Clip, datetime | None], None]) -> None:
        self._desk = desk
        self._plan = plan
        self._found = 0
        self._missed: dict[str, tuple[int, int]] = {}

    def found(self, clip: Clip) -> None:
        """A clip's frames could be read."""
        self._found += 1
        self._missed.pop(clip.clip_id, None)

    def put_off(self, clip: Clip, error: FrameError) -> bool:
        """Plans a clip for later, or leaves it to the next drive; False where its frame is of no use.

        A frame that can't be read is read again later, a few times. After that it is gone, unless many are: then it is
        where they lie that is out of reach, and no clip fails for it.
        """
        if not error.is_away:
            return False
        times, found_then = self._missed.get(clip.clip_id, (0, self._found))
        self._missed[clip.clip_id] = times + 1, found_then
        if times < len(FRAME_WAITS):
            self._plan(clip, self._desk.clock() + FRAME_WAITS[times])
        elif self._found == found_then and len(self._missed) >= OUTAGE_CLIPS:
            self._desk.leave(clip, "FramesUnreachable", f"Frames can't be read at the moment ({error.what}).")
        else:
            return False
        return True
