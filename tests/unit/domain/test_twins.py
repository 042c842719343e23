"""Which task is whose, told by how like films are to frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.quality import LIKE_FRAME
from kf2v_pipeline.domain.twins import CLEAR, pair_up

Likeness = dict[tuple[str, str], float | None]

CASES: dict[str, tuple[Likeness, dict[str, str]]] = {
    "each film is like its own frames": (
        {("a", "1"): 0.95, ("a", "2"): 0.2, ("b", "1"): 0.1, ("b", "2"): 0.9},
        {"a": "1", "b": "2"},
    ),
    "the frames of both are the same": (
        {("a", "1"): 0.95, ("a", "2"): 0.94, ("b", "1"): 0.95, ("b", "2"): 0.94},
        {},
    ),
    "one film is like both, the other like none": (
        {("a", "1"): 0.95, ("a", "2"): 0.2, ("b", "1"): 0.9, ("b", "2"): 0.2},
        {},
    ),
    "two films are like one attempt's frames": (
        {("a", "1"): 0.95, ("a", "2"): 0.9, ("b", "1"): 0.1, ("b", "2"): 0.1},
        {},
    ),
    "only one create made a task": ({("a", "1"): 0.95, ("b", "1"): 0.1}, {"a": "1"}),
    "the film is like nobody's frames": ({("a", "1"): 0.5, ("b", "1"): 0.1}, {}),
    "the other's frames could not be read": ({("a", "1"): 0.95, ("b", "1"): None}, {}),
    "another film could not be read": ({("a", "1"): 0.95, ("a", "2"): None}, {}),
    "a third pair that could not be looked at is no rival": (
        {("a", "1"): 0.95, ("a", "2"): 0.1, ("b", "1"): 0.1, ("b", "2"): None},
        {"a": "1"},
    ),
    "nothing to compare": ({}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_task_is_an_attempts_only_where_pictures_leave_no_doubt(name: str) -> None:
    likeness, pairs = CASES[name]
    assert pair_up(likeness) == pairs


@given(
    st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from("123")), st.none() | st.floats(-1, 1), max_size=9)
)
def test_no_task_is_given_to_two_attempts_and_each_is_clearly_the_most_like(likeness: Likeness) -> None:
    pairs = pair_up(likeness)
    assert len(set(pairs.values())) == len(pairs)
    for attempt_id, task_id in pairs.items():
        own = likeness[attempt_id, task_id]
        rivals = [v for (a, t), v in likeness.items() if (a == attempt_id) != (t == task_id)]
        assert own is not None
        assert own >= LIKE_FRAME
        assert all(rival is not None and own - rival >= CLEAR - 1e-9 for rival in rivals)
