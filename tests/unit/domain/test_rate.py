"""The create rate: what refusals and accepted creates make of it."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.rate import CreateRate

quotas = st.floats(min_value=0.01, max_value=100)
replies = st.lists(st.booleans(), max_size=60)


def after(rate: CreateRate, accepted: list[bool]) -> CreateRate:
    return reduce(lambda rate, taken: rate.accepted() if taken else rate.refused(), accepted, rate)


@pytest.mark.parametrize(
    ("accepted", "now"),
    [
        ([], 2),
        ([True], 2),
        ([False], 1),
        ([False, False], 0.5),
        ([False, True], 1.2),
        ([False, True, False], 0.6),
        ([False] * 20, 1 / 60),
        ([False] * 20 + [True] * 10, 2),
    ],
)
def test_a_refusal_halves_it_and_an_accepted_create_adds_a_tenth_of_the_quota(accepted: list[bool], now: float) -> None:
    assert after(CreateRate.of(2), accepted).now == pytest.approx(now)


@given(quotas, replies)
def test_it_never_passes_the_quota_and_never_stands_still(most: float, accepted: list[bool]) -> None:
    assert 0 < after(CreateRate.of(most), accepted).now <= most


@given(quotas, replies)
def test_ten_accepted_creates_bring_it_back_whatever_was_before(most: float, accepted: list[bool]) -> None:
    assert after(CreateRate.of(most), [*accepted, *[True] * 10]).now == pytest.approx(most)


@given(quotas, replies, replies)
def test_two_programs_on_one_account_that_hear_the_same_come_nearer_to_each_other(
    most: float, before: list[bool], both: list[bool]
) -> None:
    one, other = CreateRate.of(most), after(CreateRate.of(most), before)
    assert abs(after(one, both).now - after(other, both).now) <= abs(one.now - other.now) + 1e-9
