"""What a stored film measures, and what of it a person should know. Measuring belongs to ``media``.

Each threshold was measured on made films that have just one fault and on good ones that have none
(``python -m bench quality``); ``docs/quality.md`` has the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, get_args, get_type_hints


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What one film measures. None is what could not be measured, such as the likeness to a frame that can't be read.

    Attributes:
        first_frame_ssim: How like the film's first picture is to the first frame, 1 being the same (SSIM of luma, less
            where edges do not lie in the same places).
        last_frame_ssim: The same of its last picture and the last frame.
        swap_margin: How much better the two frames fit as they were sent than the other way round, as a difference
            of SSIM; negative where the film seems to run backwards.
        longest_freeze_s: The longest time, in seconds, in which the picture stands still.
        black_s: How many seconds of the film are black, where the frames are not.
        flashes: How often a picture, or up to three, break out of the film and it goes on as before.
        cuts: How often the film jumps to another picture and stays there.
        flicker: How much the brightness trembles from picture to picture, in levels of 255.
        conformity_flaws: In how many ways the file is not what the service promises; 0 is as promised.
    """

    first_frame_ssim: float | None = None
    last_frame_ssim: float | None = None
    swap_margin: float | None = None
    longest_freeze_s: float | None = None
    black_s: float | None = None
    flashes: int | None = None
    cuts: int | None = None
    flicker: float | None = None
    conformity_flaws: int | None = None

    def to_record(self) -> dict[str, Any]:
        """The numbers as a JSON object, which ``from_record`` reads back."""
        return {name: getattr(self, name) for name in FIELDS}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Quality:
        """The numbers that ``to_record`` wrote, here or in another version: what it did not measure is None."""
        return cls(**{name: record[name] for name in FIELDS if name in record})


FIELD_KINDS: Mapping[str, tuple[type, ...]] = {name: get_args(hint) for name, hint in get_type_hints(Quality).items()}
"""The numbers, in the order in which they are told, with the types that each may have."""

FIELDS = tuple(FIELD_KINDS)


class Severity(Enum):
    """What a flaw means for the film."""

    WARN = "warn"
    """A person should look; the film can be used."""
    ERROR = "error"
    """The file can't be used as a film."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One question that is asked of a film.

    Attributes:
        name: One word, as it stands in the tables.
        fields: The numbers that it needs; it is not asked where one of them is None.
        threshold: The last value that passes.
        at_least: Whether values below the threshold fail, or those above it.
        sentence: What is wrong where it fails, for people.
        value: The number that is compared, of the fields in their order.
    """

    name: str
    fields: tuple[str, ...]
    threshold: float
    at_least: bool
    severity: Severity
    sentence: str
    value: Callable[..., float] = lambda only: only

    def measure(self, quality: Quality) -> float | None:
        """The number that is compared; None where it could not be measured."""
        numbers = [getattr(quality, name) for name in self.fields]
        return None if None in numbers else self.value(*numbers)

    def passes(self, value: float) -> bool:
        """Whether a value is on the right side of the threshold."""
        return value >= self.threshold if self.at_least else value <= self.threshold


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """One check that a film did not pass.

    Attributes:
        check: Its name.
        value: What was measured.
        threshold: The last value that would have passed.
        sentence: What is wrong, for people.
    """

    check: str
    value: float
    threshold: float
    severity: Severity
    sentence: str


def _best_fit(first: float, last: float, margin: float) -> float:
    """How well the frames fit the film's ends, whichever way round they fit better."""
    as_sent = (first + last) / 2
    return max(as_sent, as_sent - margin)


def _by_name(*checks: Check) -> Mapping[str, Check]:
    return MappingProxyType({check.name: check for check in checks})


LIKE_FRAME = 0.7
"""How like its frame a picture must be at least (``docs/quality.md``)."""

CHECKS: Mapping[str, Check] = _by_name(
    Check(
        name="conformity",
        fields=("conformity_flaws",),
        threshold=0,
        at_least=False,
        severity=Severity.ERROR,
        sentence="The file is not what the service promises: no whole H.264 film of the length that was asked for.",
    ),
    Check(
        name="first_frame",
        fields=("first_frame_ssim",),
        threshold=LIKE_FRAME,
        at_least=True,
        severity=Severity.WARN,
        sentence="The film does not begin with its first frame.",
    ),
    Check(
        name="last_frame",
        fields=("last_frame_ssim",),
        threshold=LIKE_FRAME,
        at_least=True,
        severity=Severity.WARN,
        sentence="The film does not end with its last frame.",
    ),
    Check(
        name="swapped",
        fields=("swap_margin",),
        threshold=-0.1,
        at_least=True,
        severity=Severity.WARN,
        sentence="The film seems to run from the last frame to the first one.",
    ),
    Check(
        name="foreign",
        fields=("first_frame_ssim", "last_frame_ssim", "swap_margin"),
        threshold=0.5,
        at_least=True,
        severity=Severity.WARN,
        sentence="The film seems to be of other frames than those that were sent.",
        value=_best_fit,
    ),
    Check(
        name="frozen",
        fields=("longest_freeze_s",),
        threshold=1.8,
        at_least=False,
        severity=Severity.WARN,
        sentence="The picture stands still for a long time.",
    ),
    Check(
        name="black",
        fields=("black_s",),
        threshold=0.0,
        at_least=False,
        severity=Severity.WARN,
        sentence="Pictures of the film are black.",
    ),
    Check(
        name="flash",
        fields=("flashes",),
        threshold=0,
        at_least=False,
        severity=Severity.WARN,
        sentence="Single pictures break out of the film.",
    ),
    Check(
        name="cut",
        fields=("cuts",),
        threshold=0,
        at_least=False,
        severity=Severity.WARN,
        sentence="The film jumps to another picture instead of moving there.",
    ),
    Check(
        name="flicker",
        fields=("flicker",),
        threshold=1.2,
        at_least=False,
        severity=Severity.WARN,
        sentence="The brightness trembles.",
    ),
)
"""Every check, by name, in the order in which flaws are told."""


def flaws(quality: Quality) -> tuple[Flaw, ...]:
    """What a person should know of a film; empty where every check that could be asked passed."""
    found = []
    for check in CHECKS.values():
        value = check.measure(quality)
        if value is not None and not check.passes(value):
            flaw = Flaw(
                check=check.name,
                value=value,
                threshold=check.threshold,
                severity=check.severity,
                sentence=check.sentence,
            )
            found.append(flaw)
    return tuple(found)
