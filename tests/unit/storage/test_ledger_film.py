"""What films measure, and the cuts that were made of them; the integration tests say it of PostgreSQL, too."""

from __future__ import annotations

from dataclasses import replace

from unit.storage.made_attempts import MANY, NOON, SECOND, make_clip, prepare

from kf2v_pipeline.domain.quality import Quality
from kf2v_pipeline.storage.ledger import Cut, Ledger


def test_what_a_film_measures_is_kept_as_it_was_measured_last(ledger: Ledger) -> None:
    first, second = prepare(ledger), prepare(ledger, make_clip("dog"))
    unmeasured = prepare(ledger, make_clip("cow"))
    ledger.write_quality(first.attempt_id, Quality(cuts=1), at=NOON)
    ledger.write_quality(first.attempt_id, Quality(cuts=0, flicker=0.25), at=NOON + SECOND)
    ledger.write_quality(second.attempt_id, Quality(first_frame_ssim=0.991), at=NOON)
    known = ledger.qualities([first.attempt_id, second.attempt_id, unmeasured.attempt_id])
    assert known == {
        first.attempt_id: Quality(cuts=0, flicker=0.25),
        second.attempt_id: Quality(first_frame_ssim=0.991),
    }


def test_any_number_of_films_can_be_asked_for(ledger: Ledger) -> None:
    attempt = prepare(ledger)
    ledger.write_quality(attempt.attempt_id, Quality(cuts=2), at=NOON)
    assert ledger.qualities([*map(str, range(MANY)), attempt.attempt_id]) == {attempt.attempt_id: Quality(cuts=2)}


def test_a_film_has_a_cut_for_each_aspect_and_fit_that_was_asked_for(ledger: Ledger) -> None:
    attempt_id = prepare(ledger).attempt_id
    tall = Cut(aspect="9:16", fit="crop", cut_path="videos/cat/a.mp4", width=720, height=1280)
    refused = Cut(aspect="9:16", fit="pad", cut_path=None, width=None, height=None, flaw="It is too small.")
    for cut in (replace(tall, width=704), tall, refused):
        ledger.write_cut(attempt_id, cut, at=NOON)
    assert ledger.cuts([attempt_id]) == {
        (attempt_id, "9:16", "crop"): tall,
        (attempt_id, "9:16", "pad"): refused,
    }
