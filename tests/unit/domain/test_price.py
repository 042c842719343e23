from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.price import Money, total_by_currency

AMOUNTS = st.builds(
    Money,
    amount=st.decimals(0, 10_000, places=4),
    currency=st.sampled_from(["CNY", "USD", "EUR"]),
)


def test_money_is_written_in_full() -> None:
    assert str(Money(amount=Decimal("1E+2"), currency="CNY")) == "100 CNY"


def test_small_amounts_add_up_exactly() -> None:
    dimes = [Money(amount=Decimal("0.1"), currency="USD")] * 3
    assert total_by_currency(dimes) == {"USD": Decimal("0.3")}


@given(st.lists(AMOUNTS))
def test_currencies_are_never_mixed(amounts: list[Money]) -> None:
    totals = total_by_currency(amounts)
    for currency in ("CNY", "USD", "EUR"):
        own = [money.amount for money in amounts if money.currency == currency]
        assert totals.get(currency) == (sum(own, Decimal(0)) if own else None)


@given(st.lists(AMOUNTS))
def test_the_lines_are_in_alphabetical_order(amounts: list[Money]) -> None:
    assert list(total_by_currency(amounts)) == sorted({money.currency for money in amounts})


def test_nothing_adds_up_to_no_line_at_all() -> None:
    assert total_by_currency([]) == {}
