"""One drive's clips that want an attempt, until a lane takes them. Sending them is the lane's work."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Protocol

from kf2v_pipeline.domain.clip import Clip

Leave = Callable[[Clip, str, str], None]
"""Leaves a clip to the next drive, with a code and a sentence."""

LANE_LEFT_OUT = "LaneLeftOut"
"""Code of a clip that is left since the drive was to leave its lane out."""


class Tell(Protocol):
    """Told of each lane that stops, as ``Listener.stopped`` is."""

    def __call__(self, lane: str, code: str, *, is_left: bool) -> None:
        """A lane takes no more clips."""


_Queue = deque[tuple[Clip, datetime | None]]


class Pool:
    """Clips in the order in which they are to be submitted: those of one lane, and those that several may make.

    Args:
        leave: What becomes of a clip once each of its lanes has stopped.
        tell: Told of each lane that stops, and of its code.
    """

    def __init__(self, leave: Leave, tell: Tell) -> None:
        self._leave = leave
        self._tell = tell
        self._own: defaultdict[str, _Queue] = defaultdict(deque)
        self._shared: _Queue = deque()
        self._wake: dict[str, Callable[[], None]] = {}
        self._stops: dict[str, tuple[str, str]] = {}
        self._left: set[str] = set()

    def join(self, lane: str, wake: Callable[[], None]) -> None:
        """Makes a lane one of those that take clips.

        Args:
            wake: Called whenever there may be one for it.
        """
        self._wake[lane] = wake

    def put(self, clip: Clip, not_before: datetime | None) -> None:
        """Takes a clip in; it is left at once where all of its lanes have stopped."""
        if self._is_lost(clip):
            self._leave(clip, *self._why_lost(clip))
            return
        (self._shared if clip.lanes else self._own[clip.lane]).append((clip, not_before))
        for lane in clip.possible_lanes:
            if lane in self._wake:
                self._wake[lane]()

    def take(self, lane: str, *, now: datetime, has_place: bool, is_blocked: Callable[[Clip], bool]) -> Clip | None:
        """The next clip for a lane, as that lane makes it; None where there is none at present.

        Args:
            has_place: Whether the lane could submit at once. Only then it takes one that another might make sooner.
        """
        if lane in self._stops:
            return None
        for queue in (self._own[lane], self._shared) if has_place else (self._own[lane],):
            for position, (clip, not_before) in enumerate(queue):
                is_due = not_before is None or not_before <= now
                if is_due and lane in clip.possible_lanes and not is_blocked(clip):
                    del queue[position]
                    return clip.in_lane(lane)
        return None

    def due_at(self, lane: str, *, now: datetime) -> Iterator[datetime]:
        """The instants from which on clips that wait may be taken."""
        for queue in (self._own[lane], self._shared):
            yield from (at for _, at in queue if at is not None and at > now)

    def leave_out(self, lane: str) -> None:
        """Notes that a lane is to take no clips from the beginning, which is no news to anybody."""
        self._stops[lane] = LANE_LEFT_OUT, f"Lane {lane} is left out of this run."

    def stop(self, lane: str, code: str, message: str, *, is_left: bool = False) -> None:
        """Notes that a lane takes no more clips; those that no other lane can take are left.

        Args:
            is_left: Whether its service tells nothing of the tasks that it has, either.
        """
        is_news = lane not in self._stops or self._stops[lane][0] != code or (is_left and lane not in self._left)
        self._stops[lane] = code, message
        if is_left:
            self._left.add(lane)
        if is_news:
            self._tell(lane, code, is_left=lane in self._left)
        lost = [clip for clip, _ in (*self._own.pop(lane, ()), *self._shared) if self._is_lost(clip)]
        self._shared = deque((clip, at) for clip, at in self._shared if not self._is_lost(clip))
        for clip in lost:
            self._leave(clip, code, message)

    def _why_lost(self, clip: Clip) -> tuple[str, str]:
        """Code and sentence of its last lane, but rather of one that stopped: that one is left out is no news."""
        stops = [self._stops[lane] for lane in reversed(clip.possible_lanes)]
        return next((stop for stop in stops if stop[0] != LANE_LEFT_OUT), stops[0])

    def _is_lost(self, clip: Clip) -> bool:
        return all(lane in self._stops for lane in clip.possible_lanes)
