"""Collects a paid video: downloads, checks, promotes it, and only then says that it is stored."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from kf2v_pipeline.domain.attempt import Attempt, FactKind, Remedy
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.reading import TaskStatus
from kf2v_pipeline.errors import ServiceError, StorageError, TransportError, VideoError
from kf2v_pipeline.media.preview import previews
from kf2v_pipeline.media.probe import Film, probe
from kf2v_pipeline.storage.layout import poster_path, strip_path, video_path
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.workflow.desk import Desk

FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(seconds=60)


class Collector:
    """Collects videos into one store.

    Args:
        incoming: A folder on this machine where downloads wait until they are checked; half a download that was
            left there is gone on with.
    """

    def __init__(self, store: Store, incoming: Path) -> None:
        self._store = store
        self._incoming = incoming
        self._refused: dict[str, str] = {}

    async def collect(self, desk: Desk, client: WanClient, clip: Clip, attempt: Attempt, video_url: str | None) -> None:
        """Stores the video of a succeeded attempt, and ends its clip.

        It never gives up while the video can be had: whatever fails is tried again, with longer and longer waits.

        Args:
            video_url: Where the video lies; None to ask the service for it.
        """
        wait = FIRST_WAIT
        while True:
            try:
                if video_url is None:
                    video_url = await self._ask(client, attempt)
                detail = await self._store_video(client, clip, attempt, video_url)
            except (ServiceError, TransportError, VideoError, StorageError) as error:
                if desk.clock() >= attempt.expires_at:
                    desk.decide(clip, self._expire(desk, attempt))
                    return
                if wait >= timedelta(seconds=4):
                    desk.notice(
                        f"Clip {clip.clip_id}: its video is paid for and not stored yet: {error}; trying again."
                    )
                if not isinstance(error, StorageError):
                    video_url = None
                await asyncio.sleep(wait.total_seconds())
                wait = min(wait * 2, LONGEST_WAIT)
            else:
                desk.decide(clip, desk.record(attempt, FactKind.VIDEO_STORED, stored_at=desk.clock(), **detail))
                return

    async def restore(self, client: WanClient, clip: Clip, attempt: Attempt) -> bool:
        """Puts a stored video that is not in the store any more back there, if the service still has it."""
        try:
            await self._store_video(client, clip, attempt, await self._ask(client, attempt))
        except (ServiceError, TransportError, VideoError):
            return False
        return True

    async def _ask(self, client: WanClient, attempt: Attempt) -> str:
        reading = await client.get(attempt.task_id or "")
        if reading.status is TaskStatus.SUCCEEDED and reading.video_url:
            return reading.video_url
        raise VideoError(f"the service shows the task as {reading.status.value} and gives no address for its video")

    def _expire(self, desk: Desk, attempt: Attempt) -> Attempt:
        return desk.record(
            attempt,
            FactKind.VIDEO_EXPIRED,
            error_code="VideoExpired",
            error_message="The video was paid for, and could not be stored while the service kept it (24 hours); "
            "ask for the clip by name to pay for another one.",
            remedy=Remedy.PERSON,
        )

    async def _store_video(self, client: WanClient, clip: Clip, attempt: Attempt, video_url: str) -> dict[str, Any]:
        part = self._incoming / f"{attempt.attempt_id}.mp4"
        await self._download(client, video_url, part)
        sha256 = await asyncio.to_thread(_digest, part)
        detail: dict[str, Any] = {"sha256": sha256, "size_bytes": part.stat().st_size}
        try:
            detail |= _facts_of(await asyncio.to_thread(probe, part))
        except VideoError as error:
            if self._refused.get(attempt.attempt_id) != sha256:
                self._refused[attempt.attempt_id] = sha256
                part.unlink(missing_ok=True)
                raise
            # Twice the same bytes: this is what the service made and bills, so it is kept, and its flaw is told.
            detail |= {"error_code": "VideoDamaged", "error_message": f"The service's own file is flawed: {error}."}
        path = video_path(clip.clip_id, clip.fingerprint)
        await asyncio.to_thread(self._promote, part, clip, path)
        return {"video_path": path, **detail}

    async def _download(self, client: WanClient, video_url: str, part: Path) -> None:
        """Streams the video to a file, going on where an earlier try ended."""
        try:
            async with client.download(video_url, start_byte=_start_byte(part)) as body:
                with part.open("r+b" if body.start_byte else "wb") as file:
                    file.seek(body.start_byte)
                    async for chunk in body:
                        file.write(chunk)
                    size_bytes = file.tell()
        except OSError as error:
            raise StorageError(str(part), str(error), "make room for the download") from error
        if body.total_bytes is not None and size_bytes != body.total_bytes:
            raise TransportError("download", f"{size_bytes} of {body.total_bytes} bytes arrived")

    def _promote(self, part: Path, clip: Clip, path: str) -> None:
        """Puts a checked video and its pictures into the store."""
        self._store.put_file(part, path)
        with suppress(VideoError, StorageError):  # the gallery makes missing pictures; the video is what was paid for
            pictures = previews(part)
            self._store.write_bytes(poster_path(clip.clip_id, clip.fingerprint), pictures.poster)
            self._store.write_bytes(strip_path(clip.clip_id, clip.fingerprint), pictures.strip)
        part.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


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
