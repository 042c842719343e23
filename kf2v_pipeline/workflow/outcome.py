"""What a drive tells while it goes on, and what it ends with. Showing it belongs to the layers above."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.domain.clip import Clip

VIDEO_UNREACHABLE = "VideoUnreachable"
"""Code of a clip that is left since its stored video is not in the storage any more, and can't be fetched again now."""


class Verdict(str, Enum):
    """How one clip ended for one drive."""

    STORED = "stored"
    ALREADY_STORED = "already_stored"
    FAILED = "failed"
    LEFT = "left"
    """Undecided: it stays planned or in flight, and the next drive goes on with it."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one clip ended for one drive.

    Attributes:
        attempt: The newest attempt; None where none was made.
        code: Why it is not stored, in the service's or our own word; None where it is.
        message: The same in a sentence.
    """

    clip: Clip
    verdict: Verdict
    attempt: Attempt | None
    code: str | None = None
    message: str | None = None


class Listener(Protocol):
    """Whoever wants to hear how a drive goes; each call returns at once and raises nothing."""

    def begun(self, clips: int) -> None:
        """A drive over so many clips begins."""

    def moved(self, clip_id: str, state: State) -> None:
        """A clip's newest attempt came into this state."""

    def ended(self, outcome: Outcome) -> None:
        """A clip is decided, or left for the next drive."""

    def noticed(self, sentence: str) -> None:
        """Something that a person should read once, such as a lane that stopped."""

    def stopped(self, lane: str, code: str, *, is_left: bool) -> None:
        """A lane takes no more clips in this drive; a sentence tells people.

        Args:
            is_left: Whether its service tells nothing of the tasks that it has, either: they wait for the next drive.
        """


class Silence:
    """A listener that does nothing."""

    def begun(self, clips: int) -> None:
        """Ignored."""

    def moved(self, clip_id: str, state: State) -> None:
        """Ignored."""

    def ended(self, outcome: Outcome) -> None:
        """Ignored."""

    def noticed(self, sentence: str) -> None:
        """Ignored."""

    def stopped(self, lane: str, code: str, *, is_left: bool) -> None:
        """Ignored."""


@dataclass(frozen=True, kw_only=True)
class DriveReport:
    """What one drive ended with.

    Attributes:
        outcomes: One per clip that was to be driven, by clip_id. Left out of ``repr``, which asyncio makes of a result
            when it gives a signal's handler back (Python 3.11): with 100,000 of them it took seconds.
        created_tasks: Tasks that this drive made, or found that it had made.
        stops: A sentence for each lane that stopped.
    """

    outcomes: Mapping[str, Outcome] = field(repr=False)
    created_tasks: int
    stops: tuple[str, ...]

    def of(self, verdict: Verdict) -> tuple[Outcome, ...]:
        """The outcomes with that verdict, in the order in which they came."""
        return tuple(outcome for outcome in self.outcomes.values() if outcome.verdict is verdict)
