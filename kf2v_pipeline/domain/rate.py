"""How fast a lane creates: halved whenever the service refuses a create, raised by each that it takes. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

_LEAST = 1 / 60
"""Creates a second that are always tried: the vendor says that a minute is enough after a rate limit."""

_STEPS = 10
"""Accepted creates that bring the rate from nothing back to the quota's."""


@dataclass(frozen=True, kw_only=True)
class CreateRate:
    """Additive increase, multiplicative decrease: programs that share an account come to share its rate.

    Attributes:
        most: Creates a second that the quota allows.
        now: Creates a second that are sent.
    """

    most: float
    now: float

    @classmethod
    def of(cls, most: float) -> CreateRate:
        """The rate to begin with: all that the quota allows."""
        return cls(most=most, now=most)

    def refused(self) -> CreateRate:
        """After a 429: half of it."""
        return replace(self, now=max(self.now / 2, min(_LEAST, self.most)))

    def accepted(self) -> CreateRate:
        """After a create that was taken: a tenth of the quota's more."""
        return replace(self, now=min(self.now + self.most / _STEPS, self.most))
