"""What one call of list selects: windows of time, filters, pages."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.localserver.listing import select
from kf2v_pipeline.localserver.refusal import Refused
from kf2v_pipeline.localserver.task import Status, Task

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)


def task(number: int, *, hours_ago: float, **fields: object) -> Task:
    values = {"model": "wan2.2-kf2v-flash", "api_key_id": "1", **fields}
    created_at = NOW - timedelta(hours=hours_ago)
    return Task(task_id=str(number), request_id="r", created_at=created_at, **values)  # type: ignore[arg-type]  # fields by name


TASKS = [
    task(0, hours_ago=0),
    task(1, hours_ago=1, status=Status.SUCCEEDED),
    task(2, hours_ago=2, model="wan2.1-kf2v-plus", api_key_id="2"),
    task(3, hours_ago=23),
    task(4, hours_ago=25),
]


def ids(**query: str) -> list[str]:
    return [found.task_id for found in select(TASKS, query, NOW).tasks]


def test_the_default_is_the_last_day() -> None:
    assert ids() == ["0", "1", "2", "3"]


def test_times_are_in_utc_plus_8() -> None:
    assert ids(start_time="20260301190000", end_time="20260301200000") == ["0", "1"]
    assert ids(end_time="20260228190000") == ["4"]
    assert ids(start_time="20260301180001") == ["0", "1"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "SUCCEEDED"}, ["1"]),
        ({"status": "CANCELED"}, []),
        ({"model_name": "wan2.1-kf2v-plus"}, ["2"]),
        ({"task_id": "3"}, ["3"]),
        ({"api_key_id": "2"}, ["2"]),
        ({"page_size": "3"}, ["0", "1", "2"]),
        ({"page_size": "3", "page_no": "2"}, ["3"]),
        ({"page_no": "9"}, []),
    ],
)
def test_filters_and_pages(query: dict[str, str], found: list[str]) -> None:
    assert ids(**query) == found


def test_the_largest_page_has_a_hundred() -> None:
    page = select([task(n, hours_ago=1) for n in range(250)], {"page_size": "5000", "page_no": "3"}, NOW)
    assert (len(page.tasks), page.total, page.page_size) == (50, 250, 100)


@pytest.mark.parametrize(
    "query",
    [
        {"status": "DONE"},
        {"page_no": "0"},
        {"page_size": "-1"},
        {"page_size": "ten"},
        {"page_size": "٣"},
        {"start_time": "2026-03-01"},
        {"end_time": "20261301000000"},
        {"start_time": "20260227000000", "end_time": "20260301000000"},
        {"start_time": "20260301000000", "end_time": "20260228000000"},
    ],
)
def test_what_can_not_be_read_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(Refused) as caught:
        select(TASKS, query, NOW)
    assert caught.value.refusal.code == "InvalidParameter"


NAMES = ("start_time", "end_time", "status", "page_no", "page_size", "model_name")


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=20)))
def test_no_query_breaks_it(query: dict[str, str]) -> None:
    with contextlib.suppress(Refused):
        select(TASKS, query, NOW)
