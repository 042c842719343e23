"""Budgets, what was billed, and how long tasks took; the integration tests say it of PostgreSQL, too."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from unit.storage.made_attempts import NOON, SECOND, TO_STORED, WESTERN, make_clip, make_clips, prepare, record, yuan

from kf2v_pipeline.domain.attempt import FactKind
from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.errors import BudgetReached, LedgerError
from kf2v_pipeline.storage.ledger import Ledger


def test_a_budget_may_be_reached_and_not_passed(ledger: Ledger) -> None:
    money = {"reserve": yuan("0.1"), "budget": yuan("0.3")}
    for clip in make_clips(3):
        prepare(ledger, clip, **money)
    with pytest.raises(BudgetReached) as caught:
        prepare(ledger, make_clip("more"), **money)
    error = caught.value
    assert (error.limit, error.committed, error.wanted, error.currency) == ("0.3", "0.3", "0.1", "CNY")
    assert ledger.attempts(["more"]) == ()


@pytest.mark.parametrize(
    ("facts", "bill", "left"),
    [
        ((), None, "0.5"),
        ((FactKind.ACCEPTED, FactKind.TASK_SUCCEEDED), "0.2", "0.8"),
        (TO_STORED, "0.9", "0.1"),
        (TO_STORED, None, "0.5"),
        ((FactKind.REFUSED,), None, "1"),
        ((FactKind.ACCEPTED, FactKind.TASK_FAILED), None, "1"),
        ((FactKind.ACCEPTED, FactKind.TASK_FAILED), "0.5", "0.5"),
        ((FactKind.ACCEPTED, FactKind.TASK_CANCELED), None, "1"),
        ((FactKind.ACCEPTED, FactKind.TASK_VANISHED), None, "0.5"),
        ((FactKind.REPLY_LOST,), None, "0.5"),
        ((FactKind.REPLY_LOST, FactKind.GIVEN_UP), None, "0.5"),
    ],
)
def test_a_budget_counts_the_bill_or_else_what_may_still_be_billed(
    ledger: Ledger, facts: tuple[FactKind, ...], bill: str | None, left: str
) -> None:
    record(ledger, prepare(ledger, reserve=yuan("0.5")), *facts, **({"cost": Decimal(bill)} if bill else {}))
    budget = yuan("1")
    with pytest.raises(BudgetReached):
        prepare(ledger, make_clip("next"), reserve=yuan(left + "1"), budget=budget, daily_budget=budget)
    prepare(ledger, make_clip("next"), reserve=yuan(left), budget=budget, daily_budget=budget)


def test_a_budget_is_the_owners_and_a_daily_budget_is_everybodys(ledger: Ledger) -> None:
    prepare(ledger, make_clip("a"), owner="one", reserve=yuan("1"))
    prepare(ledger, make_clip("b"), owner="two", reserve=yuan("1"), budget=yuan("1"))
    with pytest.raises(BudgetReached):
        prepare(ledger, make_clip("c"), owner="two", reserve=yuan("1"), daily_budget=yuan("2"))


def test_a_day_is_a_day_of_utc(ledger: Ledger) -> None:
    midnight = datetime(2025, 6, 2, tzinfo=timezone.utc)
    daily = {"reserve": yuan("1"), "daily_budget": yuan("1")}
    prepare(ledger, make_clip("a"), at=midnight - timedelta(microseconds=1), **daily)
    prepare(ledger, make_clip("b"), at=midnight.astimezone(WESTERN), **daily)
    with pytest.raises(BudgetReached):
        prepare(ledger, make_clip("c"), at=midnight + timedelta(hours=23), **daily)


def test_a_budget_does_not_count_other_currencies(ledger: Ledger) -> None:
    prepare(ledger, make_clip("a"), reserve=Money(amount=Decimal(100), currency="USD"))
    prepare(ledger, make_clip("b"), reserve=yuan("1"), budget=yuan("1"))


def test_a_budget_in_another_currency_holds_nothing_back_and_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="paid in USD, and the budget is in CNY"):
        prepare(ledger, reserve=Money(amount=Decimal(1), currency="USD"), budget=yuan("1"))


def test_a_price_that_is_learned_from_the_bill_counts_from_then_on(ledger: Ledger) -> None:
    attempt = prepare(ledger, budget=yuan("1"))
    record(ledger, attempt, *TO_STORED, cost=Decimal(1), currency="CNY")
    with pytest.raises(BudgetReached):
        prepare(ledger, make_clip("next"), reserve=yuan("0.01"), budget=yuan("1"))


def test_spend_is_what_was_billed_by_currency(ledger: Ledger) -> None:
    bills = [
        ("a", "one", "0.1", "CNY"),
        ("b", "one", "0.2", "USD"),
        ("c", "two", "0.1", "CNY"),
        ("d", "one", "0.1", "CNY"),
    ]
    for hour, (name, owner, bill, currency) in enumerate(bills):
        at = NOON + timedelta(hours=hour)
        attempt = prepare(
            ledger, make_clip(name), owner=owner, at=at, reserve=Money(amount=Decimal(9), currency=currency)
        )
        record(ledger, attempt, *TO_STORED, cost=Decimal(bill))
    prepare(ledger, make_clip("open"), reserve=yuan("5"))
    usd = Money(amount=Decimal("0.2"), currency="USD")
    assert ledger.spend() == (yuan("0.3"), usd)
    assert ledger.spend(owner="one") == (yuan("0.2"), usd)
    assert ledger.spend(since=NOON + timedelta(hours=2)) == (yuan("0.2"),)
    assert ledger.spend(owner="nobody") == ()


def test_durations_are_those_of_the_lanes_newest_successes(ledger: Ledger) -> None:
    minutes = count(1)

    def finish(name: str, took_s: int, *facts: FactKind, **clip: Any) -> None:
        at = NOON + timedelta(minutes=next(minutes))
        attempt = record(
            ledger, prepare(ledger, make_clip(name, **clip)), FactKind.ACCEPTED, submitted_at=at - took_s * SECOND
        )
        record(ledger, attempt, *facts, ended_at=at)

    finish("a", 100, FactKind.TASK_SUCCEEDED)
    finish("b", 200, FactKind.TASK_SUCCEEDED, FactKind.VIDEO_STORED)
    finish("failed", 300, FactKind.TASK_FAILED)
    finish("other", 400, FactKind.TASK_SUCCEEDED, model="other")
    started = record(ledger, prepare(ledger, make_clip("c")), FactKind.ACCEPTED, submitted_at=NOON)
    record(ledger, started, FactKind.TASK_SUCCEEDED, started_at=NOON + SECOND, ended_at=NOON + timedelta(hours=1))
    assert ledger.durations("local/kf2v") == (3599 * SECOND, 200 * SECOND, 100 * SECOND)
    assert ledger.durations("local/kf2v", limit=1) == (3599 * SECOND,)
    assert ledger.durations("local/unknown") == ()
