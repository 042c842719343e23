"""How counts, lengths of time and amounts of money are said to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

_NAMED = 5
"""Videos that are named in one line."""


def counted(count: int, noun: str) -> str:
    """The count with its noun, in the right number: ``1 clip``, ``3 clips``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def flawed(flaws: Mapping[str, Sequence[str]]) -> str | None:
    """One line about videos that a person should look at; None where there are none.

    Args:
        flaws: Names of the checks that failed, by clip_id, of those where some did.
    """
    if not flaws:
        return None
    named = [f"{clip_id} ({', '.join(names)})" for clip_id, names in list(flaws.items())[:_NAMED]]
    rest = f" and {len(flaws) - _NAMED} more" if len(flaws) > _NAMED else ""
    verb = "is" if len(flaws) == 1 else "are"
    return f"{counted(len(flaws), 'video')} {verb} worth a look: {', '.join(named)}{rest}."


def length(time: timedelta) -> str:
    """A length of time in the two units that matter."""
    minutes, seconds = divmod(round(time.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def money(amounts: Mapping[str, Decimal], *, nothing: str) -> str:
    """Amounts by currency; the other words where there is none."""
    return " + ".join(f"{amount:.2f} {currency}" for currency, amount in amounts.items() if amount) or nothing
