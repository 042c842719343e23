"""Collects a paid video: downloads, checks, promotes it, and only then says that it is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Lock
from typing import Any

from kf2v_pipeline.domain.attempt import OPEN_STATES, Attempt, FactKind, Remedy
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.reading import Reading, TaskStatus
from kf2v_pipeline.errors import ServiceError, SettingsError, StorageError, TransportError, VideoError
from kf2v_pipeline.media.preview import PreviewMaker, Previews
from kf2v_pipeline.media.probe import Film, probe
from kf2v_pipeline.storage.layout import sidecar_path, video_path
from kf2v_pipeline.storage.ledger import Ledger
from kf2v_pipeline.storage.sidecar import read_sidecar, write_sidecar
from kf2v_pipeline.storage.store import COPY_PREFIX, Store, sha256_of
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.wan.fault import judge
from kf2v_pipeline.wan.wire import describe_create
from kf2v_pipeline.workflow.desk import Desk
from kf2v_pipeline.workflow.driver import living_drivers
from kf2v_pipeline.workflow.finish import Finisher
from kf2v_pipeline.workflow.lane import Lane
from kf2v_pipeline.workflow.picture import write_previews

WAIT = timedelta(seconds=1)
"""How long a video waits after the first failure; twice as long after each further one, up to ``LONGEST_WAIT``."""

LONGEST_WAIT = timedelta(seconds=64)

NOTICED_WAIT = timedelta(seconds=4)
"""A person is told when a wait has come to this, once."""

_AT_WORK = Lock()
"""One film at a time is looked at, and put in place on this machine: decoding takes all cores, and threads side by side
wait for each other at every picture. Stores elsewhere take several at a time."""


class Collector:
    """Collects videos into one store.

    Args:
        incoming: A folder on this machine where downloads wait until the store has them; what was left there, half a
            download or a whole one, is gone on with.
        finisher: Measures what was stored, and cuts it; None leaves that to whoever writes the tables.
    """

    def __init__(self, store: Store, incoming: Path, finisher: Finisher | None = None) -> None:
        self._store = store
        self.incoming = incoming
        self._finisher = finisher
        self._refused: dict[str, str] = {}
        self._waits: dict[str, timedelta] = {}

    def sweep(self, ledger: Ledger, *, at: datetime, stale_after: timedelta) -> None:
        """Removes what processes that died left lying here: films of attempts that are decided, and half-made copies.

        Nothing is removed while a driver lives, since it may be at work with them, and no film that the ledger does
        not know: it may be paid for, and its ledger may come back from a backup.
        """
        found = list(self.incoming.glob("*"))
        if not found or living_drivers(ledger, at=at, stale_after=stale_after):
            return
        open_ids = {attempt.attempt_id for attempt in ledger.attempts(states=OPEN_STATES)}
        for path in found:
            is_decided = path.stem not in open_ids and bool(ledger.facts(path.stem))
            if is_decided or path.name.startswith(COPY_PREFIX):
                with suppress(OSError):  # it is only in the way
                    path.unlink()

    async def collect(self, desk: Desk, lane: Lane, clip: Clip, attempt: Attempt, video_url: str | None) -> None:
        """Tries once to store the video of a succeeded attempt, and then ends its clip.

        While the video can be had it is never given up: what fails is queued again, after longer and longer waits in
        which others are collected. Only where the lane was left meanwhile, a video of which not all is here is left to
        the next drive too: it stays paid for, and that drive asks anew.

        Args:
            lane: The attempt's.
            video_url: Where the video lies; None to ask the service for it.
        """
        try:
            detail = await asyncio.to_thread(self._find_stored, clip, attempt) if video_url is None else None
            if detail is None:
                detail = await self._store_video(lane, clip, attempt, video_url, at=desk.clock)
        except (ServiceError, TransportError, VideoError, StorageError) as error:
            if desk.clock() >= attempt.expires_at and not self._film(attempt).exists():
                desk.decide(clip, self._expire(desk, attempt))
                return
            if lane.left and not isinstance(error, StorageError) and not self._film(attempt).exists():
                desk.leave(clip, *lane.left)
                return
            wait = self._waits[attempt.attempt_id] = min(
                2 * self._waits.get(attempt.attempt_id, WAIT / 2), LONGEST_WAIT
            )
            if wait == NOTICED_WAIT:
                desk.notice(f"Clip {clip.clip_id}: its video is paid for and not stored yet: {error}; trying again.")
            again_url = video_url if isinstance(error, StorageError) else None
            loop = asyncio.get_running_loop()
            loop.call_later(wait.total_seconds(), desk.collect, clip, attempt, again_url)
        else:
            await self._finish(desk, clip, desk.record(attempt, FactKind.VIDEO_STORED, **detail))

    async def _finish(self, desk: Desk, clip: Clip, attempt: Attempt) -> None:
        """Ends a clip whose video is stored; before that it is measured and cut, which can't fail it."""
        try:
            if self._finisher is not None and self._finisher.has_work_with(clip):
                for sentence in await asyncio.to_thread(self._finisher.finish, clip, attempt, self._film(attempt)):
                    desk.notice(sentence)
        finally:
            self._film(attempt).unlink(missing_ok=True)
            desk.decide(clip, attempt)

    async def restore(self, lane: Lane, clip: Clip, attempt: Attempt) -> bool:
        """Puts a stored video that is not in the store any more back there, if the service still has it.

        A service that refuses to be asked for one old task may still make others: its lane goes on.

        Returns:
            False where the service says that it has it no more.

        Raises:
            ServiceError, TransportError, VideoError: It can't be had now, and the service may have it all the same.
            StorageError: The store does not take it.
        """
        stored_at, video_url = attempt.stored_at, None
        if attempt.sha256 is not None:
            self._refused[attempt.attempt_id] = attempt.sha256  # what was kept once is kept again, whatever its flaw
        try:
            if not self._film(attempt).exists():
                reading = await lane.client.get(attempt.task_id or "")
                if reading.status in (TaskStatus.FAILED, TaskStatus.CANCELED):
                    return False
                video_url = _address_in(reading)  # one that does not know the task may be a replica that lags
            await self._store_video(lane, clip, attempt, video_url, at=lambda: stored_at)
        except ServiceError as error:
            if _says_gone(error):
                return False
            raise
        self._film(attempt).unlink(missing_ok=True)
        return True

    async def _ask(self, lane: Lane, attempt: Attempt) -> str:
        try:
            reading = await lane.client.get(attempt.task_id or "")
        except (ServiceError, TransportError) as error:
            lane.note_look(error)
            raise
        lane.note_look(None)
        return _address_in(reading)

    def _expire(self, desk: Desk, attempt: Attempt) -> Attempt:
        return desk.record(
            attempt,
            FactKind.VIDEO_EXPIRED,
            error_code="VideoExpired",
            error_message="The video was paid for, and could not be stored while the service kept it (24 hours); "
            "ask for the clip by name to pay for another one.",
            remedy=Remedy.PERSON,
        )

    def _find_stored(self, clip: Clip, attempt: Attempt) -> Mapping[str, Any] | None:
        """What is on record of the attempt's video beside it, where a process ended just after it was stored."""
        path = sidecar_path(clip.clip_id, clip.fingerprint)
        try:
            if not self._store.exists(path):
                return None
            told, facts = read_sidecar(self._store.read_bytes(path))
        except ValueError:
            return None
        detail = facts[-1].detail
        video_at = detail["video_path"]
        is_there = (
            told.attempt_id == attempt.attempt_id
            and self._store.size_bytes(video_at) == detail["size_bytes"]
            and self._store.sha256(video_at) == detail["sha256"]
        )
        return detail if is_there else None

    def _film(self, attempt: Attempt) -> Path:
        """Where the attempt's video lies on this machine, once all of it is here, until it is in the store."""
        return self.incoming / f"{attempt.attempt_id}.mp4"

    async def _store_video(
        self,
        lane: Lane,
        clip: Clip,
        attempt: Attempt,
        video_url: str | None,
        *,
        at: Callable[[], datetime | None],
    ) -> Mapping[str, Any]:
        film = self._film(attempt)
        if not film.exists():
            await self._download(lane.client, video_url or await self._ask(lane, attempt), film)
        is_left = Event()
        request = _request_of(lane.client, clip)
        try:
            detail, flaw = await asyncio.to_thread(
                self._check_and_promote, film, clip, attempt, request=request, at=at, is_left=is_left
            )
        except asyncio.CancelledError:
            is_left.set()
            raise
        if flaw is not None:
            self._refused[attempt.attempt_id] = detail["sha256"]
            film.unlink(missing_ok=True)
            raise flaw
        return detail

    def _check_and_promote(
        self,
        film: Path,
        clip: Clip,
        attempt: Attempt,
        *,
        request: Mapping[str, Any] | None,
        at: Callable[[], datetime | None],
        is_left: Event,
    ) -> tuple[Mapping[str, Any], VideoError | None]:
        """Checks a video that is here and puts it into the store, in one go, since each change of threads takes time.

        Args:
            is_left: Set once nobody waits for it: what was not begun by then is the next drive's.

        Returns:
            What the attempt is to know of its video; and its flaw, for which it was not put into the store.

        Raises:
            StorageError: The store does not take it.
        """
        detail, flaw, pictures = _inspect(film)
        if flaw is not None:
            if self._refused.get(attempt.attempt_id) != detail["sha256"]:
                return detail, flaw
            # Twice the same bytes: this is what the service made and bills, so it is kept, and its flaw is told.
            detail |= {"error_code": "VideoDamaged", "error_message": f"The service's own file is flawed: {flaw}."}
        detail |= {"video_path": video_path(clip.clip_id, clip.fingerprint), "stored_at": at()}
        if not is_left.is_set():
            self._promote(film, clip, replace(attempt, **detail), request, pictures)
        return detail, None

    async def _download(self, client: WanClient, video_url: str, film: Path) -> None:
        """Streams the video to a file, going on where an earlier try ended; it gets its name once all of it is here."""
        part = film.with_suffix(".part")
        try:
            async with client.download(video_url, start_byte=_start_byte(part)) as body:
                with part.open("r+b" if body.start_byte else "wb") as file:
                    file.seek(body.start_byte)
                    async for chunk in body:
                        file.write(chunk)
                    size_bytes = file.tell()
            if body.total_bytes is not None and size_bytes != body.total_bytes:
                raise TransportError("download", f"{size_bytes} of {body.total_bytes} bytes arrived")
            part.replace(film)
        except OSError as error:
            raise StorageError(str(part), str(error), "make room for the download") from error

    def _promote(
        self, film: Path, clip: Clip, attempt: Attempt, request: Mapping[str, Any] | None, pictures: Previews | None
    ) -> None:
        """Puts a checked video into the store, its sidecar before it and its pictures after it.

        Whoever finds the sidecar without that very video knows that the video is still to come.

        Args:
            attempt: As it is once the video is stored.
            pictures: None where none could be made of it.
        """
        path = video_path(clip.clip_id, clip.fingerprint)
        beside = sidecar_path(clip.clip_id, clip.fingerprint)
        sidecar = write_sidecar(clip, attempt, request=request)
        with _AT_WORK if self._store.local_path(path) else nullcontext():
            self._store.write_bytes(beside, sidecar)
            self._store.put_file(film, path, beside=beside)
            if pictures is not None:
                with suppress(StorageError):  # the gallery makes missing pictures; the video is what was paid for
                    write_previews(self._store, pictures, clip.clip_id, clip.fingerprint)


def _says_gone(error: ServiceError) -> bool:
    """Whether a refusal is about the task or its video; a wrong key or a busy service says nothing of them."""
    verdict = judge(error.code, error.message, error.http_status)
    return error.code == "VideoUrlRefused" or verdict.remedy is Remedy.PERSON


def _address_in(reading: Reading) -> str:
    """Where the service says that a task's video lies."""
    if reading.status is TaskStatus.SUCCEEDED and reading.video_url:
        return reading.video_url
    raise VideoError(f"the service shows the task as {reading.status.value} and gives no address for its video")


def _request_of(client: WanClient, clip: Clip) -> Mapping[str, Any] | None:
    """The create as it was sent, for the sidecar; None where the catalog does not know the model any more."""
    try:
        return describe_create(clip, client.service.model(clip.model))
    except SettingsError:
        return None


def _inspect(path: Path) -> tuple[dict[str, Any], VideoError | None, Previews | None]:
    """What an attempt is to know of its video, what is wrong with the file, and its pictures, in one pass over it."""
    with path.open("rb") as file:
        detail: dict[str, Any] = {"sha256": sha256_of(file), "size_bytes": path.stat().st_size}
    maker, flaw = PreviewMaker(), None
    with _AT_WORK:
        try:
            detail |= _facts_of(probe(path, maker.see))
        except VideoError as error:
            flaw = error
        except Exception as error:  # noqa: BLE001  # an odd film leads libraries to any error, and it is paid for
            flaw = VideoError(f"the file can't be looked at ({error})")
        try:
            return detail, flaw, maker.made()
        except VideoError:
            return detail, flaw, None


def _start_byte(part: Path) -> int:
    """Where to go on; the last byte is asked for again, since a range that begins at a file's end is an error."""
    part.parent.mkdir(parents=True, exist_ok=True)
    return max(0, part.stat().st_size - 1) if part.exists() else 0


def _facts_of(film: Film) -> dict[str, Any]:
    return {
        "width": film.width,
        "height": film.height,
        "fps": film.fps,
        "frames": film.frames,
        "duration_s": film.duration_s,
        "codec": film.codec,
    }
