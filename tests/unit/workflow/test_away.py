"""Videos that left the storage: had again, left to the next drive, or missing for good."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from unit.workflow.real_night import Outage, RealNight
from unit.workflow.simulation import make_clip

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.errors import NotSent, ReplyLost, ServiceError
from kf2v_pipeline.workflow.collect import Collector
from kf2v_pipeline.workflow.outcome import DriveReport, Verdict


class Trouble:
    """Makes one place fail for as long as it lasts."""

    def __init__(self, place: str, error: Exception) -> None:
        self.place, self.error, self.lasts = place, error, False

    def __call__(self, place: str) -> None:
        if self.lasts and place == self.place:
            raise self.error


def lose_first_video(night: RealNight) -> Attempt:
    """Stores all, and takes the first clip's video away; gives its attempt."""
    night.drive()
    attempt = night.ledger.newest(night.clips)["c000"]
    night.store.remove(attempt.video_path or "")
    return attempt


def ends(report: DriveReport) -> dict[str, tuple[Verdict, str | None]]:
    return {clip_id: (outcome.verdict, outcome.code) for clip_id, outcome in report.outcomes.items()}


def test_a_storage_that_refuses_a_video_that_left_it_ends_no_drive(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    storage = Outage("put_file")
    night = RealNight(tmp_path / "night", clips, film, storage)
    lose_first_video(night)
    storage.clock, storage.ends_at = night.wan.now, night.wan.now() + timedelta(seconds=10)

    verdicts = {clip_id: outcome.verdict for clip_id, outcome in night.drive().outcomes.items()}

    assert verdicts == {"c000": Verdict.LEFT, "c001": Verdict.ALREADY_STORED}
    night.loop.pass_time(timedelta(minutes=1))
    assert {outcome.verdict for outcome in night.drive().outcomes.values()} == {Verdict.ALREADY_STORED}
    night.assert_each_video_is_stored_for_its_clip()
    night.close()


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("get", ReplyLost("get", "no reply came in time")),
        ("get", NotSent("get", "no connection could be made")),
        ("get", ServiceError("Throttling.RateQuota", "Requests rate limit exceeded.", http_status=429)),
        ("get", ServiceError("InternalError", "Internal server error!", http_status=500)),
        ("get", ServiceError("InvalidApiKey", "Invalid API-key provided.", http_status=401)),
        ("download", ReplyLost("download", "no reply came in time")),
        ("download, half of it here", ReplyLost("download", "the connection broke")),
    ],
    ids=["no reply", "not sent", "throttled", "failed inside", "wrong key", "no video", "half a video"],
)
def test_a_video_that_left_the_storage_and_cannot_be_had_at_the_moment_is_left_to_the_next_drive(
    place: str, error: Exception, clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    trouble = Trouble(place, error)
    night = RealNight(tmp_path / "night", clips, film, trouble)
    lose_first_video(night)
    trouble.lasts = True

    report = night.drive()

    assert ends(report) == {"c000": (Verdict.LEFT, "VideoUnreachable"), "c001": (Verdict.ALREADY_STORED, None)}
    assert str(error) in (report.outcomes["c000"].message or "")
    assert report.stops == ()
    trouble.lasts = False
    assert {outcome.verdict for outcome in night.drive().outcomes.values()} == {Verdict.ALREADY_STORED}
    night.assert_each_video_is_stored_for_its_clip()
    night.close()


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("get", ServiceError("TaskNotExist", "The task does not exist.", http_status=404)),
        ("download", ServiceError("VideoUrlRefused", "HTTP 403; it may have expired", http_status=403)),
    ],
    ids=["no task", "no video"],
)
def test_a_video_that_left_the_storage_and_that_the_service_has_no_more_fails_its_clip(
    place: str, error: Exception, clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    trouble = Trouble(place, error)
    night = RealNight(tmp_path / "night", clips, film, trouble)
    lose_first_video(night)
    trouble.lasts = True

    report = night.drive()

    assert ends(report) == {"c000": (Verdict.FAILED, "VideoMissing"), "c001": (Verdict.ALREADY_STORED, None)}
    night.close()


def test_a_video_that_left_the_storage_fails_its_clip_where_the_service_says_that_there_is_none(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    night = RealNight(tmp_path / "night", clips, film)
    attempt = lose_first_video(night)
    next(task for task in night.wan.tasks if task.task_id == attempt.task_id).fails_with = "InternalError"

    assert ends(night.drive())["c000"] == (Verdict.FAILED, "VideoMissing")
    night.close()


def test_a_video_that_left_the_storage_is_left_where_one_reading_does_not_know_its_task(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    """It may come from a replica that lags."""
    night = RealNight(tmp_path / "night", clips, film)
    lose_first_video(night)
    night.wan.lagging_gets = 1

    assert ends(night.drive())["c000"] == (Verdict.LEFT, "VideoUnreachable")
    assert ends(night.drive())["c000"] == (Verdict.ALREADY_STORED, None)
    night.close()


def test_a_video_that_takes_long_to_be_had_again_keeps_no_other_clip_from_being_submitted(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    night = RealNight(tmp_path / "night", clips[:1], film)
    lose_first_video(night)
    night.clips = clips
    night.ledger.want("manifest.csv", clips, at=night.wan.now())
    night.wan._get_takes_s = 600.0
    began_at = night.wan.now()

    night.drive(for_s=60)

    first = night.ledger.newest(clips)["c001"]
    assert first.prepared_at - began_at < timedelta(seconds=5)
    night.close()


def test_a_service_that_cannot_be_reached_is_not_asked_for_every_video_that_left_the_storage(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    many = [make_clip(number, frame=clips[0].first_frame) for number in range(6)]
    night = RealNight(tmp_path / "night", many, film)
    night.drive()
    for attempt in night.ledger.newest(many).values():
        night.store.remove(attempt.video_path or "")
    asked = night.wan.calls["get"]
    night.wan.gone_from = night.wan.now()

    report = night.drive()

    assert set(ends(report).values()) == {(Verdict.LEFT, "VideoUnreachable")}
    assert night.wan.calls["get"] - asked == 3
    assert sum("can't be fetched again" in notice for notice in night.notices) == 6
    night.close()


def test_a_video_that_left_the_storage_and_arrives_damaged_is_fetched_once_more_by_the_next_drive(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    begun: list[Path] = []

    def leave_a_false_beginning(place: str) -> None:
        if place == "get" and begun:
            begun.pop().write_bytes(bytes(99))

    night = RealNight(tmp_path / "night", clips, film, leave_a_false_beginning)
    attempt = lose_first_video(night)
    begun.append(night.collector.incoming / f"{attempt.attempt_id}.part")

    assert ends(night.drive())["c000"] == (Verdict.LEFT, "VideoUnreachable")

    assert {outcome.verdict for outcome in night.drive().outcomes.values()} == {Verdict.ALREADY_STORED}
    night.assert_each_video_is_stored_for_its_clip()
    night.close()


def test_a_flawed_video_that_was_kept_is_fetched_again_as_it_was(clips: list[Clip], film: Path, tmp_path: Path) -> None:
    """It is what the service made and bills."""
    film.write_bytes(film.read_bytes()[:-99])
    night = RealNight(tmp_path / "night", clips, film)
    assert lose_first_video(night).error_code == "VideoDamaged"
    night.collector = Collector(night.store, night.collector.incoming)  # another process's

    assert ends(night.drive())["c000"] == (Verdict.ALREADY_STORED, None)

    night.assert_each_video_is_stored_for_its_clip()
    night.close()
