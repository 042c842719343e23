"""The window that counts calls of a second."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.localserver.quota import RateWindow

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def test_a_client_that_paces_itself_is_never_turned_away() -> None:
    """Two a second, each up to 20 ms early or late: jitter is not the client's fault."""
    window = RateWindow()
    times = [BEGIN + timedelta(milliseconds=500 * n + (20 if n % 3 else -20)) for n in range(50)]
    assert all(window.admit(at, 2) for at in times)


def test_a_call_that_was_turned_away_does_not_count() -> None:
    window = RateWindow()
    assert [window.admit(BEGIN, 1) for _ in range(5)] == [True] + [False] * 4
    assert window.admit(BEGIN + timedelta(seconds=1), 1)


@given(st.lists(st.integers(0, 5000), max_size=60), st.integers(1, 5))
def test_no_second_holds_more_than_the_limit(offsets_ms: list[int], limit: int) -> None:
    window = RateWindow()
    times = [BEGIN + timedelta(milliseconds=offset) for offset in sorted(offsets_ms)]
    admitted = [at for at in times if window.admit(at, limit)]
    for at in admitted:
        assert sum(at <= other < at + timedelta(seconds=0.95) for other in admitted) <= limit
