"""Four clips of the batch that the service fails: two for what they show, two by errors of its own that do not pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from kf2v_pipeline.domain.policy import MAX_FAILED_TRIES
from kf2v_pipeline.localserver.fault import Fault

MODERATED = {"on": "task", "kind": "fail", "code": "DataInspectionFailed", "message": "Output data may be unsuitable."}
BROKEN = {"on": "task", "kind": "fail", "code": "InternalError", "message": "An internal error has occurred."}
FAILING = {
    "skyline-pan-1": MODERATED,
    "dune-pull-back-1": BROKEN,
    "otter-close-up-2": MODERATED,
    "heron-portrait-3": BROKEN,
}


def faults(prompts: Mapping[str, str]) -> tuple[Fault, ...]:
    """What the server's scenario needs for them.

    Args:
        prompts: The batch's, by clip.
    """
    return tuple(Fault(match=prompts[clip_id], **fault) for clip_id, fault in FAILING.items())


def created_tasks(prompts: Mapping[str, str]) -> Counter[str]:
    """The tasks that a batch needs in which they fail, by prompt: one a clip, and each retry of an internal error."""
    tries = {prompts[clip_id]: MAX_FAILED_TRIES for clip_id, fault in FAILING.items() if fault is BROKEN}
    return Counter(dict.fromkeys(prompts.values(), 1) | tries)
