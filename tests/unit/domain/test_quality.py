"""What is told of a film follows from its numbers, and from no more than was measured."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.quality import CHECKS, FIELDS, Quality, Severity, flaws

GOOD = Quality(
    first_frame_ssim=0.98,
    last_frame_ssim=0.97,
    swap_margin=0.5,
    longest_freeze_s=0.1,
    black_s=0.0,
    flashes=0,
    cuts=0,
    flicker=0.05,
    conformity_flaws=0,
)

qualities = st.builds(
    Quality,
    **{name: st.none() | st.floats(-1, 5) | st.integers(0, 9) for name in FIELDS},
)


def names(quality: Quality) -> list[str]:
    return [flaw.check for flaw in flaws(quality)]


def test_a_good_film_has_no_flaw() -> None:
    assert flaws(GOOD) == ()


def test_what_was_not_measured_is_no_flaw() -> None:
    assert flaws(Quality()) == ()


@pytest.mark.parametrize("check", [check for check in CHECKS.values() if len(check.fields) == 1], ids=lambda c: c.name)
def test_the_threshold_itself_passes_and_what_lies_behind_it_fails(check) -> None:
    beyond = math.nextafter(check.threshold, -math.inf if check.at_least else math.inf)
    assert names(Quality(**{check.fields[0]: check.threshold})) == []
    (flaw,) = flaws(Quality(**{check.fields[0]: beyond}))
    assert (flaw.check, flaw.value, flaw.threshold) == (check.name, beyond, check.threshold)
    assert (flaw.severity, flaw.sentence) == (check.severity, check.sentence)


def test_a_film_that_runs_backwards_is_swapped_and_not_foreign() -> None:
    found = names(Quality(first_frame_ssim=0.2, last_frame_ssim=0.2, swap_margin=-0.75))
    assert "swapped" in found
    assert "foreign" not in found


def test_a_film_that_fits_neither_way_is_foreign_and_not_swapped() -> None:
    found = names(Quality(first_frame_ssim=0.2, last_frame_ssim=0.2, swap_margin=0.01))
    assert "foreign" in found
    assert "swapped" not in found


def test_only_a_file_that_is_no_film_is_an_error() -> None:
    assert {check.name for check in CHECKS.values() if check.severity is Severity.ERROR} == {"conformity"}


def test_every_number_has_a_check() -> None:
    assert {name for check in CHECKS.values() for name in check.fields} == set(FIELDS)


@given(qualities)
def test_numbers_come_back_from_json_as_they_were(quality: Quality) -> None:
    assert Quality.from_record(json.loads(json.dumps(quality.to_record()))) == quality


def test_numbers_of_another_version_are_left_out() -> None:
    assert Quality.from_record({"cuts": 1, "sharpness": 3.0}) == Quality(cuts=1)
