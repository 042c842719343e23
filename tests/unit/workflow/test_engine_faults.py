"""A fault at every await: whatever a drive waits for may fail or be cancelled, and the next drive goes on.

Service and clock are simulated; engine, lanes, collector, ledger and storage are real.
"""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from unit.workflow.real_night import Outage, RealNight, no_room, upload
from unit.workflow.simulated_service import DAY, MIDNIGHT
from unit.workflow.simulation import make_clip

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.errors import Kf2vError, NotSent, ReplyLost, ServiceError
from kf2v_pipeline.workflow.outcome import Verdict
from kf2v_pipeline.workflow.tempo import Tempo

CLIPS = 2

FAULTS: dict[str, Callable[[], BaseException]] = {
    "cancelled": asyncio.CancelledError,
    "no reply": lambda: ReplyLost("call", "no reply came in time"),
    "not sent": lambda: NotSent("call", "no connection could be made"),
    "service error": lambda: ServiceError("InternalError", "Internal server error!", http_status=500),
    "disk full": lambda: OSError(errno.ENOSPC, "No space left on device"),
    "storage refuses": no_room,
}
"""A client says of a timeout and of a connection that broke alike that the reply is lost."""

ANSWERS = ("no reply", "not sent", "service error")
OWN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("create", "list", "get", "upload", "download"), ANSWERS),
    **dict.fromkeys(("create, carried out", "download, half of it here"), ("no reply",)),
    **dict.fromkeys(("put_file", "put_file, put", "write_bytes"), ("storage refuses",)),
    **dict.fromkeys(("read_frames", "check_and_promote", "find_stored", "missing"), ()),
}
"""Every place that a drive waits at, and the faults that are the tool's own way of failing there: they end no drive."""

ENDS_BEFORE = {"find_stored": "download", "missing": "put_file"}
"""Places that only a drive waits at which goes on with another's work, and where that one ended."""

FOREIGN = ("cancelled", "disk full", "storage refuses")
CASES = [(place, fault) for place, own in OWN.items() for fault in dict.fromkeys((*own, *FOREIGN))]


class Snare:
    """Lets one passing of one place fail."""

    def __init__(self, place: str, fault: str, at: int) -> None:
        self.place, self.at, self.passed = place, at, 0
        self._fault = FAULTS[fault]

    def __call__(self, place: str) -> None:
        if place == self.place:
            self.passed += 1
            if self.passed == self.at:
                raise self._fault()


def drives(night: RealNight) -> Iterator[str]:
    """Drives until nothing is left, and tells how each of them ended."""
    for _ in range(10):
        try:
            report = night.drive(for_s=3600)
        except (asyncio.CancelledError, Kf2vError, OSError) as error:
            yield type(error).__name__
        else:
            yield "well"
            assert not report.of(Verdict.FAILED)
            if not report.of(Verdict.LEFT):
                return
    raise AssertionError("clips are left after ten drives")


@pytest.mark.parametrize(
    "case",
    [
        *(pytest.param((*case, 1), id="-".join(case)) for case in CASES),
        *(pytest.param((*case, 50), id="-".join((*case, "ever again")), marks=pytest.mark.chaos) for case in CASES),
    ],
)
def test_a_fault_at_any_await_costs_nothing_and_loses_nothing(
    case: tuple[str, str, int], clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    """In an ordinary test run only the first passing of each place fails; ``make chaos`` takes each of them."""
    place, fault, passings = case
    for at in range(1, passings + 1):
        snare = Snare(place, fault, at)
        night = RealNight(
            tmp_path / str(at), clips, film, snare, Snare(ENDS_BEFORE.get(place, "nowhere"), "cancelled", 2)
        )
        endings = list(drives(night))
        night.assert_each_video_is_stored_for_its_clip()
        night.close()
        if fault in OWN[place]:
            assert endings == ["well"], f"the drive did not survive passing {at}"
        if snare.passed < at:
            break
    assert snare.passed, "the place was never passed"


def test_a_frame_that_is_away_for_a_minute_fails_no_clip(clips: list[Clip], film: Path, tmp_path: Path) -> None:
    frame = Path(clips[0].first_frame.location)
    content = frame.read_bytes()
    frame.unlink()
    night = RealNight(tmp_path / "night", clips, film)
    night.loop.call_later(60, frame.write_bytes, content)

    report = night.drive()

    assert {outcome.verdict for outcome in report.outcomes.values()} == {Verdict.STORED}
    night.assert_each_video_is_stored_for_its_clip()
    night.close()


def test_a_frame_that_stays_away_fails_its_clip_until_a_person_asks(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    frame = Path(clips[0].first_frame.location)
    content = frame.read_bytes()
    frame.unlink()
    night = RealNight(tmp_path / "night", clips, film)

    assert {outcome.code for outcome in night.drive().outcomes.values()} == {"FrameUnusable"}
    assert night.wan.tasks == []
    frame.write_bytes(content)
    assert {outcome.verdict for outcome in night.drive().outcomes.values()} == {Verdict.FAILED}
    asked = night.drive(asked=[clip.clip_id for clip in clips])
    assert {outcome.verdict for outcome in asked.outcomes.values()} == {Verdict.STORED}
    night.close()


def test_an_outage_of_the_place_where_frames_lie_fails_no_clip(film: Path, tmp_path: Path) -> None:
    clips = [make_clip(number, frame=upload(tmp_path / f"{number}.png")) for number in range(5)]
    gone = [Path(clip.first_frame.location) for clip in clips]
    content = [path.read_bytes() for path in gone]
    for path in gone:
        path.unlink()
    night = RealNight(tmp_path / "night", clips, film)

    report = night.drive()

    assert {(outcome.verdict, outcome.code) for outcome in report.outcomes.values()} <= {
        (Verdict.LEFT, "FramesUnreachable")
    }
    for path, what in zip(gone, content, strict=True):
        path.write_bytes(what)
    assert len(night.drive().of(Verdict.STORED)) == 5
    night.close()


def test_one_frame_that_is_gone_among_others_fails_its_clip_alone(film: Path, tmp_path: Path) -> None:
    clips = [make_clip(number, frame=upload(tmp_path / f"{number}.png")) for number in range(5)]
    Path(clips[2].first_frame.location).unlink()
    night = RealNight(tmp_path / "night", clips, film)

    verdicts = {clip_id: outcome.verdict for clip_id, outcome in night.drive().outcomes.items()}

    others = {clip.clip_id: Verdict.STORED for clip in clips if clip is not clips[2]}
    assert verdicts == {**others, "c002": Verdict.FAILED}
    night.close()


def test_a_storage_that_fails_for_longer_than_the_service_keeps_the_video_loses_nothing(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    """The film is here: it is kept, and promoted as soon as the storage takes it."""
    storage = Outage("put_file")
    night = RealNight(tmp_path / "night", clips, film, storage)
    storage.clock, storage.ends_at = night.wan.now, MIDNIGHT + 2 * DAY
    night.drive(for_s=600)
    night.loop.pass_time(2 * DAY - timedelta(seconds=610))

    report = night.drive()

    assert {outcome.verdict for outcome in report.outcomes.values()} == {Verdict.STORED}
    night.assert_each_video_is_stored_for_its_clip()
    night.close()


def test_videos_that_cannot_be_had_keep_no_other_from_being_collected(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    """As many of them as there are downloads side by side."""
    bad = Tempo().collectors
    more = [make_clip(number, frame=clips[0].first_frame) for number in range(bad + 1)]
    night = RealNight(tmp_path / "night", more, film)
    night.wan.refused_videos.update(f"task-{number}" for number in range(bad))

    report = night.drive(for_s=3600)

    assert [outcome.clip.clip_id for outcome in report.of(Verdict.STORED)] == [more[-1].clip_id]
    night.close()


def test_a_video_that_cannot_be_had_is_left_to_the_next_drive_with_its_lane(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    def go(place: str) -> None:
        if place == "download" and night.wan.calls[place] == 1:
            night.wan.gone_from = night.wan.now()

    more = [make_clip(number, frame=clips[0].first_frame) for number in range(6)]
    night = RealNight(tmp_path / "night", more, film, go)
    night.wan.refused_videos.add("task-0")

    report = night.drive()

    assert Counter(outcome.code for outcome in report.of(Verdict.LEFT)) == {"ServiceUnreachable": 6}
    assert len(report.stops) == len([sentence for sentence in night.notices if "stopped" in sentence]) == 1
    night.wan.gone_from = None
    night.wan.refused_videos.clear()
    assert {outcome.verdict for outcome in night.drive_to_the_end().outcomes.values()} == {Verdict.STORED}
    night.assert_each_video_is_stored_for_its_clip()
    night.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotSent("get", "no connection could be made"), "ServiceUnreachable"),
        (ServiceError("InvalidApiKey", "Invalid API-key provided.", http_status=401), "InvalidApiKey"),
    ],
    ids=["out of reach", "refused"],
)
def test_a_drive_that_has_nothing_but_videos_to_collect_ends_where_the_service_tells_nothing(
    error: Exception, code: str, clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    """Nobody looks at a task any more: only whoever collects can find out."""
    is_away = False

    def refuse(place: str) -> None:
        if is_away and place == "get":
            raise error

    night = RealNight(tmp_path / "night", clips, film, refuse)
    night.wan.refused_videos.update(("task-0", "task-1"))
    night.drive(for_s=1800)
    assert {attempt.state for attempt in night.ledger.attempts()} == {State.SUCCEEDED}
    is_away, began_at = True, night.wan.now()

    report = night.drive()

    assert Counter(outcome.code for outcome in report.of(Verdict.LEFT)) == {code: CLIPS}
    assert night.wan.now() - began_at < timedelta(minutes=5)
    assert {attempt.state for attempt in night.ledger.attempts()} == {State.SUCCEEDED}
    night.close()


def test_a_video_that_is_here_already_is_stored_although_its_lane_was_left(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    def go(place: str) -> None:
        if place == "put_file":
            night.wan.gone_from = night.wan.now()

    storage = Outage("put_file")
    more = [make_clip(number, frame=clips[0].first_frame) for number in range(4)]
    night = RealNight(tmp_path / "night", more, film, go, storage)
    storage.clock, storage.ends_at = night.wan.now, MIDNIGHT + timedelta(hours=2)

    report = night.drive()

    assert Counter(outcome.verdict for outcome in report.outcomes.values()) == {Verdict.STORED: 1, Verdict.LEFT: 3}
    night.close()
