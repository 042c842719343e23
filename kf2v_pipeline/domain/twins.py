"""Which of several attempts with one prompt made which task, told by pictures. Measuring them is ``media``'s work."""

from __future__ import annotations

from collections.abc import Mapping

from kf2v_pipeline.domain.quality import LIKE_FRAME

CLEAR = 0.2
"""How much more like than to anything else: films of other frames are further off by far (``docs/quality.md``)."""


def pair_up(likeness: Mapping[tuple[str, str], float | None]) -> dict[str, str]:
    """The tasks that certainly are of these attempts, by attempt_id.

    An attempt and a task belong together where the film is like the attempt's frames, clearly less like those of every
    other attempt, and where no other task's film comes near to it. Where something that counts could not be looked at,
    nothing is said.

    Args:
        likeness: By attempt_id and task_id, for each task that the attempt may have made: SSIM of the film's less like
            end with the attempt's frame; None where it could not be measured.
    """
    pairs = {}
    for (attempt_id, task_id), value in likeness.items():
        rivals = [
            other
            for (other_attempt, other_task), other in likeness.items()
            if (other_attempt == attempt_id) != (other_task == task_id)
        ]
        if value is not None and value >= LIKE_FRAME and all(r is not None and r <= value - CLEAR for r in rivals):
            pairs[attempt_id] = task_id
    return pairs
