from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.attempt import SETTABLE, Remedy
from kf2v_pipeline.storage.detail import read_detail, storable, write_detail

ZONES = st.sampled_from([timezone.utc, timezone(timedelta(hours=8)), timezone(timedelta(hours=-5, minutes=-30))])
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=ZONES)  # noqa: DTZ001 - given zones here
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False)
NUMBERS = {"size_bytes", "width", "height", "frames"}


def values_of(name: str) -> st.SearchStrategy[Any]:
    if name.endswith("_at"):
        return INSTANTS
    if name in {"cost", "reserved"}:
        return AMOUNTS
    if name == "remedy":
        return st.sampled_from(Remedy)
    if name in NUMBERS:
        return st.integers()
    if name in {"fps", "duration_s"}:
        return st.floats(allow_nan=False, allow_infinity=False)
    return st.text()


DETAILS = st.fixed_dictionaries({}, optional={name: st.none() | values_of(name) for name in sorted(SETTABLE)})


@given(DETAILS)
def test_a_detail_comes_back_as_it_was_written(detail: dict[str, Any]) -> None:
    back = read_detail(write_detail(detail))
    assert back == detail
    assert {name: type(value) for name, value in back.items()} == {name: type(value) for name, value in detail.items()}


def test_a_detail_can_be_read_by_people() -> None:
    at = datetime(2025, 6, 1, 20, tzinfo=timezone(timedelta(hours=8)))
    detail = {"cost": Decimal("0.50"), "ended_at": at, "remedy": Remedy.RETRY, "task_id": "t-1"}
    assert json.loads(write_detail(detail)) == {
        "cost": "0.50",
        "ended_at": "2025-06-01T12:00:00+00:00",
        "remedy": "retry",
        "task_id": "t-1",
    }


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no zone"):
        write_detail({"ended_at": datetime(2025, 6, 1)})  # noqa: DTZ001 - the point


def test_a_value_that_could_not_be_read_back_is_refused() -> None:
    with pytest.raises(TypeError, match="can't hold"):
        write_detail({"task_id": b"t-1"})


def test_a_field_of_another_version_is_given_as_it_is() -> None:
    assert read_detail('{"left_behind": "2025-06-01"}') == {"left_behind": "2025-06-01"}


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_whatever_the_service_says_can_be_stored(text: str) -> None:
    kept = storable(text)
    assert "\0" not in kept
    assert kept.encode().decode() == kept
    assert len(kept) == len(text)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_text_that_can_be_stored_stays_as_it_is(text: str) -> None:
    assert storable(text) == text


@pytest.mark.parametrize("value", [None, 1, 1.5, Decimal(1), Remedy.RETRY])
def test_only_text_is_looked_at(value: object) -> None:
    assert storable(value) is value
