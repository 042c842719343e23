"""A fault at every await: whatever a drive waits for may fail or be cancelled, and the next drive goes on.

Service and clock are simulated; engine, lanes, collector, ledger and storage are real.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from unit.workflow.simulated_service import DAY, MIDNIGHT
from unit.workflow.simulation import Night, make_clip

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.errors import Kf2vError, NotSent, ReplyLost, ServiceError, StorageError
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.workflow.collect import Collector
from kf2v_pipeline.workflow.outcome import DriveReport, Verdict
from kf2v_pipeline.workflow.tempo import Tempo

CLIPS = 2

FAULTS: dict[str, Callable[[], BaseException]] = {
    "cancelled": asyncio.CancelledError,
    "no reply": lambda: ReplyLost("call", "no reply came in time"),
    "not sent": lambda: NotSent("call", "no connection could be made"),
    "service error": lambda: ServiceError("InternalError", "Internal server error!", http_status=500),
    "disk full": lambda: OSError(errno.ENOSPC, "No space left on device"),
    "storage refuses": lambda: StorageError("/videos", "No space left on device", "make room there"),
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


class Outage:
    """Makes one place fail until an instant."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.ends_at = MIDNIGHT
        self.clock: Callable[[], datetime] = lambda: MIDNIGHT

    def __call__(self, place: str) -> None:
        if place == self.place and self.clock() < self.ends_at:
            raise FAULTS["storage refuses"]()  # noqa: RSE102 - it makes the error


class SnaredStore(Store):
    """A storage on this machine that may fail."""

    snare: Callable[[str], None]

    def put_file(self, local: Path, path: str, *, beside: str | None = None) -> None:
        self.snare("put_file")
        super().put_file(local, path, beside=beside)
        self.snare("put_file, put")

    def write_bytes(self, path: str, data: bytes, *, lasting: bool = True) -> None:
        self.snare("write_bytes")
        super().write_bytes(path, data, lasting=lasting)


class RealNight(Night):
    """A night whose videos are really downloaded, looked at and stored."""

    def __init__(self, folder: Path, clips: list[Clip], film: Path, *snares: Callable[[str], None]) -> None:
        def snare(place: str) -> None:
            for one in snares:
                one(place)

        folder.mkdir()
        super().__init__(folder, 0, clips=clips, trip=snare, film=film.read_bytes())
        store = SnaredStore.open(str(folder / "out"))
        assert isinstance(store, SnaredStore)
        store.snare = snare
        self.store = store
        self.collector = Collector(store, folder / "incoming")

    def assert_each_video_is_stored_for_its_clip(self) -> None:
        self.assert_nothing_was_paid_twice()
        for clip in self.clips:
            (attempt,) = [a for a in self.ledger.attempts([clip.clip_id]) if a.state is State.STORED]
            task = next(task for task in self.wan.tasks if task.task_id == attempt.task_id)
            assert task.prompt == clip.prompt
            assert self.store.read_bytes(attempt.video_path or "") == self.wan.video_of(task.task_id)


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Clips whose frames have to be uploaded."""
    frame = upload(tmp_path / "frame.png")
    return [make_clip(number, frame=frame) for number in range(CLIPS)]


def upload(path: Path) -> Frame:
    """A frame that is said to be so large that it has to be uploaded."""
    path.write_bytes(path.name.encode())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Frame(location=str(path), sha256=digest, width=1280, height=720, size_bytes=9_000_000, format="PNG")


@pytest.fixture
def film(make_film: Callable[..., Path]) -> Path:
    return make_film("film.mp4")


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


def ends(report: DriveReport) -> dict[str, tuple[Verdict, str | None]]:
    return {clip_id: (outcome.verdict, outcome.code) for clip_id, outcome in report.outcomes.items()}


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


def test_a_storage_that_refuses_a_video_that_left_it_ends_no_drive(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    storage = Outage("put_file")
    night = RealNight(tmp_path / "night", clips, film, storage)
    night.drive()
    storage.clock, storage.ends_at = night.wan.now, night.wan.now() + timedelta(seconds=10)
    night.store.remove(night.ledger.newest(clips)["c000"].video_path or "")

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
    is_away = False

    def refuse(passed: str) -> None:
        if is_away and passed == place:
            raise error

    night = RealNight(tmp_path / "night", clips, film, refuse)
    night.drive()
    night.store.remove(night.ledger.newest(clips)["c000"].video_path or "")
    is_away = True

    report = night.drive()

    assert ends(report) == {"c000": (Verdict.LEFT, "VideoUnreachable"), "c001": (Verdict.ALREADY_STORED, None)}
    assert str(error) in (report.outcomes["c000"].message or "")
    assert report.stops == ()
    is_away = False
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
    is_gone = False

    def refuse(passed: str) -> None:
        if is_gone and passed == place:
            raise error

    night = RealNight(tmp_path / "night", clips, film, refuse)
    night.drive()
    night.store.remove(night.ledger.newest(clips)["c000"].video_path or "")
    is_gone = True

    report = night.drive()

    assert ends(report) == {"c000": (Verdict.FAILED, "VideoMissing"), "c001": (Verdict.ALREADY_STORED, None)}
    night.close()


def test_a_video_that_left_the_storage_fails_its_clip_where_the_service_says_that_there_is_none(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    night = RealNight(tmp_path / "night", clips, film)
    night.drive()
    attempt = night.ledger.newest(clips)["c000"]
    night.store.remove(attempt.video_path or "")
    next(task for task in night.wan.tasks if task.task_id == attempt.task_id).fails_with = "InternalError"

    assert ends(night.drive())["c000"] == (Verdict.FAILED, "VideoMissing")
    night.close()


def test_a_video_that_left_the_storage_is_left_where_one_reading_does_not_know_its_task(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    """It may come from a replica that lags."""
    night = RealNight(tmp_path / "night", clips, film)
    night.drive()
    night.store.remove(night.ledger.newest(clips)["c000"].video_path or "")
    night.wan.lagging_gets = 1

    assert ends(night.drive())["c000"] == (Verdict.LEFT, "VideoUnreachable")
    assert ends(night.drive())["c000"] == (Verdict.ALREADY_STORED, None)
    night.close()


def test_a_video_that_takes_long_to_be_had_again_keeps_no_other_clip_from_being_submitted(
    clips: list[Clip], film: Path, tmp_path: Path
) -> None:
    night = RealNight(tmp_path / "night", clips[:1], film)
    night.drive()
    night.store.remove(night.ledger.newest(clips)["c000"].video_path or "")
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
    night.drive()
    attempt = night.ledger.newest(clips)["c000"]
    night.store.remove(attempt.video_path or "")
    begun.append(night.collector.incoming / f"{attempt.attempt_id}.part")

    assert ends(night.drive())["c000"] == (Verdict.LEFT, "VideoUnreachable")

    assert {outcome.verdict for outcome in night.drive().outcomes.values()} == {Verdict.ALREADY_STORED}
    night.assert_each_video_is_stored_for_its_clip()
    night.close()


def test_a_flawed_video_that_was_kept_is_fetched_again_as_it_was(clips: list[Clip], film: Path, tmp_path: Path) -> None:
    """It is what the service made and bills."""
    film.write_bytes(film.read_bytes()[:-99])
    night = RealNight(tmp_path / "night", clips, film)
    night.drive()
    attempt = night.ledger.newest(clips)["c000"]
    assert attempt.error_code == "VideoDamaged"
    night.store.remove(attempt.video_path or "")
    night.collector = Collector(night.store, night.collector.incoming)  # another process's

    assert ends(night.drive())["c000"] == (Verdict.ALREADY_STORED, None)

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
