"""How counts, lengths of time and amounts of money are said to people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal


def counted(count: int, noun: str) -> str:
    """The count with its noun, in the right number: ``1 clip``, ``3 clips``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


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
