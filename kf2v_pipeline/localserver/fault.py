"""Faults that a scenario orders: which call or task they meet. Carrying them out belongs to the routes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

OPERATIONS = ("create", "get", "list", "cancel", "policy", "upload", "download", "task")
"""What a fault can meet: one of the calls, or the task itself."""

KINDS = {
    "throttle": "429 Throttling.RateQuota; nothing is done",
    "error": "an error of `status`, `code`, `message`; nothing is done",
    "html": "an HTML page of `status` (502 by default), as a proxy gives; nothing is done",
    "error_late": "the same as error, but the call has been carried out",
    "cut": "carried out, then the connection ends without a reply (download: after half of the bytes)",
    "garbage": "carried out, then a reply that is no JSON",
    "truncated": "carried out, then half of the reply's JSON",
    "slow": "carried out; the reply comes `delay_s` later (download: its second half)",
    "expired": "download only: the address has expired",
    "fail": "task only: FAILED with `code` and `message` instead of its film",
    "vanish": "task only: every look at it says UNKNOWN, though it goes on and is billed",
}
"""Every kind of fault and what it does."""

BEFORE = frozenset({"throttle", "error", "html", "expired"})
"""Faults that keep the call from being carried out."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault and when it comes.

    Attributes:
        on: The operation that it meets, one of ``OPERATIONS``.
        kind: One of ``KINDS``.
        rate: Share of the calls that it meets, 0 to 1.
        count: How many calls it meets at most; None for no end.
        skip: How many calls that it could meet are spared first.
        match: Only calls about a prompt that contains this text; None for all.
        model: Only calls about this model; None for all.
        status: HTTP status of an error or a page.
        code: Code of an error or of a failed task.
        delay_s: How late a slow reply comes, in real seconds.
    """

    on: str
    kind: str
    rate: float = 1.0
    count: int | None = None
    skip: int = 0
    match: str | None = None
    model: str | None = None
    status: int | None = None
    code: str | None = None
    message: str | None = None
    delay_s: float = 5.0

    def __post_init__(self) -> None:
        if self.on not in OPERATIONS:
            raise ValueError(f"a fault is on one of {', '.join(OPERATIONS)}, not on {self.on!r}")
        if self.kind not in KINDS:
            raise ValueError(f"a fault's kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        if (self.kind in ("fail", "vanish")) != (self.on == "task"):
            raise ValueError(f"a fault of kind {self.kind!r} can't be on {self.on!r}: fail and vanish are for tasks")
        if self.kind == "expired" and self.on != "download":
            raise ValueError("a fault of kind 'expired' is only for downloads")
        if not 0 <= self.rate <= 1:
            raise ValueError(f"a fault's rate is between 0 and 1, not {self.rate}")

    def meets(self, on: str, prompt: str | None, model: str | None) -> bool:
        """Whether such a call could be met."""
        return (
            self.on == on
            and (self.match is None or self.match in (prompt or ""))
            and (self.model is None or self.model == model)
        )


class FaultPlan:
    """Draws the fault of each call: the same seed and the same calls give the same faults."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self._faults = [(fault, random.Random(f"{seed}/{number}")) for number, fault in enumerate(faults)]  # noqa: S311  a script, no secret
        self._could = [0] * len(self._faults)
        self._did = [0] * len(self._faults)

    def draw(self, on: str, *, prompt: str | None = None, model: str | None = None) -> Fault | None:
        """The fault that this call meets, the first of the scenario's; None for none."""
        drawn = None
        for number, (fault, rng) in enumerate(self._faults):
            if not fault.meets(on, prompt, model):
                continue
            self._could[number] += 1
            hit = rng.random() < fault.rate
            spent = fault.count is not None and self._did[number] >= fault.count
            if drawn is None and hit and not spent and self._could[number] > fault.skip:
                self._did[number] += 1
                drawn = fault
        return drawn
