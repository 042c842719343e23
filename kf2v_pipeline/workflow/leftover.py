"""Leftovers: attempts that go on although their row changed or went. They may be paid for, so they are followed.

Nothing is submitted for them again, and no outcome of the drive tells of them: their rows ask for something else now.
"""

from __future__ import annotations

from collections.abc import Collection

from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.storage.ledger import Ledger, Leftover


class Leftovers:
    """What one drive follows beside its clips.

    Args:
        manifest: Whose leftovers are followed also where the drive has no clip of that name; None for no others.
    """

    def __init__(self, ledger: Ledger, manifest: str | None) -> None:
        self._ledger = ledger
        self._manifest = manifest
        self._followed: set[tuple[str, str]] = set()

    def clip_ids(self) -> frozenset[str]:
        """The clips of the manifest that have any."""
        if self._manifest is None:
            return frozenset()
        return frozenset(leftover.clip.clip_id for leftover in self._ledger.leftovers(self._manifest))

    def follow(self, clip_ids: Collection[str], driven: Collection[Clip]) -> list[Leftover]:
        """Those of these clips that the drive follows from now on.

        Args:
            clip_ids: Clips that the drive holds.
            driven: What it drives anyway: as its rows were when it began.
        """
        mine = {(clip.clip_id, clip.fingerprint) for clip in driven} | self._followed
        held = frozenset(clip_ids)
        found = [
            leftover
            for leftover in self._ledger.leftovers()
            if leftover.clip.clip_id in held and _key(leftover.clip) not in mine
        ]
        self._followed.update(_key(leftover.clip) for leftover in found)
        return found

    def have(self, one: Clip | Attempt) -> bool:
        """Whether it is one that is followed, and not decided yet."""
        return _key(one) in self._followed

    def hold(self, clip_id: str) -> bool:
        """Whether the clip has one that is not decided yet."""
        return any(followed == clip_id for followed, _ in self._followed)

    def end(self, clip: Clip) -> None:
        """It is decided, or left to the next drive."""
        self._followed.discard(_key(clip))

    def __bool__(self) -> bool:
        return bool(self._followed)


def describe_end(attempt: Attempt) -> str:
    """What became of a leftover, in a sentence for people."""
    if attempt.state is State.STORED:
        return f"Clip {attempt.clip_id}: its row changed or went; the video that was paid for is {attempt.video_path}."
    why = f"{attempt.error_code}: {attempt.error_message}"
    return f"Clip {attempt.clip_id}: its row changed or went, and what it asked for before made no video ({why})"


def _key(one: Clip | Attempt) -> tuple[str, str]:
    return one.clip_id, one.fingerprint
