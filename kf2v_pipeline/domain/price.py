"""Money: exact amounts in one currency. Price lists are data of ``wan.catalog``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, kw_only=True)
class Money:
    """An exact amount.

    Attributes:
        currency: ISO 4217 code, such as ``CNY``.
    """

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most that may be spent, in whatever currency a clip is paid in; None for no limit.

    Attributes:
        per_run: By one run.
        per_day: By all runs of a UTC day together.
    """

    per_run: Decimal | None = None
    per_day: Decimal | None = None

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit."""
        return self.per_run is not None or self.per_day is not None


NO_LIMIT = Budget()


def limit_for(price: Money | None, amount: Decimal | None) -> Money | None:
    """A limit in the currency that is paid in; None where there is no limit, or nothing to pay."""
    return Money(amount=amount, currency=price.currency) if price and amount is not None else None


def total_by_currency(amounts: Iterable[Money]) -> dict[str, Decimal]:
    """The sums, a line per currency in alphabetical order; currencies are never mixed."""
    sums: dict[str, Decimal] = {}
    for money in amounts:
        sums[money.currency] = sums.get(money.currency, Decimal(0)) + money.amount
    return dict(sorted(sums.items()))
