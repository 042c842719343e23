"""Money, as the ledger adds it up: what is billed, and whether a reservation fits a budget. It knows no prices."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal

from sqlalchemy import Connection, bindparam, func, insert, select, update

from kf2v_pipeline.domain.attempt import FREE_STATES, Attempt
from kf2v_pipeline.domain.price import Money, total_by_currency
from kf2v_pipeline.errors import BudgetReached, LedgerError
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.database import Database

_attempt = schema.attempt.c
_commitment = schema.commitment.c

_AMOUNTS = select(_commitment.scope, _commitment.currency, _commitment.amount).where(
    _commitment.scope.in_([bindparam("of_owner"), bindparam("of_day")])
)
_NEW_AMOUNT = insert(schema.commitment)
_CHANGE_AMOUNT = update(schema.commitment).where(
    _commitment.scope == bindparam("of_scope"), _commitment.currency == bindparam("of_currency")
)


class Spend(Database):
    """The ledger's money."""

    def spend(self, *, owner: str | None = None, since: datetime | None = None) -> tuple[Money, ...]:
        """What was billed, a line per currency in alphabetical order; reservations do not count.

        Args:
            owner: Only the attempts of this driver; None for all.
            since: Only attempts that were prepared since then; None for all.
        """
        conditions = []
        if owner is not None:
            conditions.append(_attempt.owner == owner)
        if since is not None:
            conditions.append(_attempt.prepared_at >= since)
        query = select(_attempt.currency, _attempt.cost, func.count()).where(
            *conditions, _attempt.cost.is_not(None), _attempt.currency.is_not(None)
        )
        with self._read() as connection:
            lines = connection.execute(query.group_by(_attempt.currency, _attempt.cost)).all()
        # The database only counts equal bills: SQLite can't add up exactly.
        totals = total_by_currency(Money(amount=cost * count, currency=currency) for currency, cost, count in lines)
        return tuple(Money(amount=amount, currency=currency) for currency, amount in totals.items())


def check_budgets(
    connection: Connection, attempt: Attempt, *, budget: Money | None, daily_budget: Money | None
) -> None:
    """Refuses an attempt whose reservation would pass what its owner, or its UTC day, may cost.

    Raises:
        BudgetReached: It would pass one of them.
        LedgerError: A budget is in another currency than the reservation, so it could not hold it back.
    """
    if budget is None and daily_budget is None:
        return
    amounts = _amounts(connection, attempt)
    for limit, scope, per_day in zip((budget, daily_budget), _scopes(attempt), (False, True), strict=True):
        if limit is None:
            continue
        if attempt.currency not in (None, limit.currency):
            raise LedgerError(
                f"Clip {attempt.clip_id} is paid in {attempt.currency}, and the budget is in {limit.currency}: "
                f"give a budget in {attempt.currency}."
            )
        wanted = attempt.reserved or Decimal(0)
        committed = amounts.get((scope, limit.currency), Decimal(0))
        if committed + wanted > limit.amount:
            raise BudgetReached(
                limit=f"{limit.amount:f}",
                committed=f"{committed:f}",
                wanted=f"{wanted:f}",
                currency=limit.currency,
                per_day=per_day,
            )


def keep_committed(connection: Connection, before: Attempt | None, after: Attempt) -> None:
    """Brings the sums of the attempt's owner and day up to date with what became of it.

    Args:
        connection: In the transaction that writes the attempt.
        before: None where the attempt is new.
        after: As it is written.
    """
    old, new = _committed(before), _committed(after)
    if old == new:
        return
    amounts = _amounts(connection, after)
    freed = replace(old, amount=-old.amount) if old else None
    for currency, amount in total_by_currency(money for money in (freed, new) if money).items():
        _add(connection, _scopes(after), Money(amount=amount, currency=currency), amounts)


def _committed(attempt: Attempt | None) -> Money | None:
    """What the attempt takes from a budget: its bill, else its reservation, unless it ended without a bill."""
    if attempt is None or attempt.currency is None:
        return None
    amount = attempt.reserved if attempt.cost is None and attempt.state not in FREE_STATES else attempt.cost
    return Money(amount=amount, currency=attempt.currency) if amount is not None else None


def _scopes(attempt: Attempt) -> tuple[str, str]:
    """Whose budgets an attempt counts against: its owner's and its day's, always in this order."""
    return f"owner/{attempt.owner}", f"day/{attempt.prepared_at.astimezone(timezone.utc).date()}"


def _amounts(connection: Connection, attempt: Attempt) -> dict[tuple[str, str], Decimal]:
    """What the attempts of its owner, and of its day, take so far, by scope and currency."""
    of_owner, of_day = _scopes(attempt)
    found = connection.execute(_AMOUNTS, {"of_owner": of_owner, "of_day": of_day})
    return {(row.scope, row.currency): row.amount for row in found}


def _add(connection: Connection, scopes: tuple[str, str], money: Money, before: dict[tuple[str, str], Decimal]) -> None:
    currency = money.currency
    known = [
        {"of_scope": scope, "of_currency": currency, "amount": before[scope, currency] + money.amount}
        for scope in scopes
        if (scope, currency) in before
    ]
    fresh = [
        {"scope": scope, "currency": currency, "amount": money.amount}
        for scope in scopes
        if (scope, currency) not in before
    ]
    if known:
        connection.execute(_CHANGE_AMOUNT, known)
    if fresh:
        connection.execute(_NEW_AMOUNT, fresh)
