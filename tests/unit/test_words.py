"""How numbers are said to people."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from kf2v_pipeline.words import counted, flawed, length, money


@pytest.mark.parametrize(("count", "said"), [(0, "0 clips"), (1, "1 clip"), (2, "2 clips")])
def test_a_noun_has_the_number_of_its_count(count: int, said: str) -> None:
    assert counted(count, "clip") == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3599.7, "1 h 0 min"), (90_061, "25 h 1 min")],
)
def test_a_length_of_time_has_the_two_units_that_matter(seconds: float, said: str) -> None:
    assert length(timedelta(seconds=seconds)) == said


def test_amounts_stand_side_by_side_and_never_together() -> None:
    amounts = {"CNY": Decimal("1.5"), "EUR": Decimal(0), "USD": Decimal("0.125")}
    assert money(amounts, nothing="nothing") == "1.50 CNY + 0.12 USD"
    assert money({}, nothing="nothing") == "nothing"


def test_videos_worth_a_look_are_named_and_many_are_counted() -> None:
    assert flawed({}) is None
    assert flawed({"a": ["cut"]}) == "1 video is worth a look: a (cut)."
    many = {f"clip-{n}": ["cut", "flicker"] for n in range(7)}
    assert flawed(many) == (
        "7 videos are worth a look: " + ", ".join(f"clip-{n} (cut, flicker)" for n in range(5)) + " and 2 more."
    )
