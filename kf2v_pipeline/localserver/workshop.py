"""Where films are made: frames looked at, films asked of the pool, files kept and cleared away.

What a film shows belongs to ``render``; when a task moves belongs to the backend.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from .backend import Backend
from .frame import Frame, Frames, is_remote
from .model import MODELS
from .order import Order
from .pool import RenderPool
from .refusal import NOT_RENDERED, Refusal, Refused
from .render import RenderRequest, output_size
from .stand_in import write_stand_in
from .task import Status, Task
from .weights import find_weights

log = logging.getLogger(__name__)

KEPT_AFTER = timedelta(hours=1)
"""How long a film and the record of its task are kept after the last address to it has expired."""

UNFINISHED = ".rendering"
"""How the files of films end that are being made."""

STAND_IN = "stand_in-"
"""How the files of stand-in films begin."""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What a look at an order found.

    Attributes:
        problem: Why it can't be done; None if nothing speaks against it so far.
        first: The first frame; None where it is still to be fetched.
        last: The same for the last frame; None too where there is none.
    """

    problem: Refusal | None = None
    first: Frame | None = None
    last: Frame | None = None


class Workshop:
    """The films of one directory."""

    backend: Backend
    """Whose tasks these are; set once, right after both were made."""

    def __init__(self, directory: Path, *, frames: Frames, disk_bytes: int) -> None:
        self._directory = directory
        self._videos = directory / "videos"
        self._videos.mkdir(parents=True, exist_ok=True)
        for unfinished in (*self._videos.glob("*.part"), *self._videos.glob(f"*{UNFINISHED}")):
            unfinished.unlink(missing_ok=True)
        self._frames = frames
        self._disk_bytes = disk_bytes
        self._pool = RenderPool()
        self._under_way: set[asyncio.Task[None]] = set()
        self._cutting = asyncio.Lock()

    async def close(self) -> None:
        """Stop all work; what was under way begins anew at the next start."""
        for work in self._under_way:
            work.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        self._pool.close()
        await self._frames.close()

    def resume(self) -> None:
        """Go on where the last process stopped."""
        for task in list(self.backend.all_tasks()):
            if task.status is Status.PENDING and task.checked_at is None:
                self.fetch(task)
            elif task.status is Status.RUNNING and task.ready_at is None and not task.failure:
                self.render(task)

    async def look_at(self, order: Order, *, resolve_oss: bool, fetch: bool) -> Looked:
        """Look at an order's values and at its frames; remote frames only with ``fetch``."""
        if order.problem:
            return Looked(problem=order.problem)
        taken: list[Frame | None] = []
        for url in (order.first_url, order.last_url):
            if url is None or (is_remote(url) and not fetch):
                taken.append(None)
                continue
            try:
                taken.append(await self._frames.take(url, order.model, resolve_oss=resolve_oss))
            except Refused as refused:
                return Looked(problem=refused.refusal)
        return Looked(first=taken[0], last=taken[1])

    def fetch(self, task: Task) -> None:
        """Fetch and look at the remote frames of a task, in the background."""
        self._start(self._fetch(task))

    def render(self, task: Task) -> None:
        """Make the film of a task, in the background."""
        self._start(self._render(task))

    async def film_path(self, task: Task) -> Path | None:
        """The film of a task that succeeded; None once it was cleared away."""
        if not task.stand_in:
            path = self._videos / f"{task.task_id}.mp4"
            return path if path.exists() else None
        width, height = output_size(*(task.first_size or (1, 1)), task.resolution)
        if task.stand_in_px:
            width, height = (max(2, side * task.stand_in_px // max(width, height) // 2 * 2) for side in (width, height))
        what = f"{task.first_frame} {task.last_frame} {width} {height} {task.film_s}"
        path = self._videos / f"{STAND_IN}{hashlib.sha256(what.encode()).hexdigest()[:32]}.mp4"
        async with self._cutting:
            if not path.exists():
                frames = [self._frames.path(digest) for digest in (task.first_frame, task.last_frame) if digest]
                await asyncio.to_thread(write_stand_in, frames, path, size=(width, height), film_s=task.film_s)
        return path

    def sweep(self) -> list[Task]:
        """Clear away what nobody can ask for any more, and the oldest films beyond what the disk may hold.

        Returns:
            The tasks that were forgotten.
        """
        forgotten = self.backend.forget(KEPT_AFTER)
        for task in forgotten:
            (self._videos / f"{task.task_id}.mp4").unlink(missing_ok=True)
        tasks = list(self.backend.all_tasks())
        self._frames.sweep({d for t in tasks if t.needs_frames for d in (t.first_frame, t.last_frame) if d})
        spare = {f"{task.task_id}.mp4" for task in tasks if task.downloaded}
        films = {path: path.stat() for path in self._videos.glob("*.mp4")}
        used = sum(film.st_size for film in films.values())
        for path in sorted(films, key=lambda path: (not _is_spare(path, spare), films[path].st_mtime)):
            if used <= self._disk_bytes:
                break
            path.unlink(missing_ok=True)
            used -= films[path].st_size
        return forgotten

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _fetch(self, task: Task) -> None:
        first, last = task.first_frame, task.last_frame
        first_size, problem = task.first_size, None
        try:
            if task.first_url:
                frame = await self._frames.take(task.first_url, MODELS[task.model], resolve_oss=False)
                first, first_size = frame.digest, frame.size
            if task.last_url:
                last = (await self._frames.take(task.last_url, MODELS[task.model], resolve_oss=False)).digest
        except Refused as refused:
            problem = refused.refusal
        except Exception:
            log.exception("Task %s: its frames could not be looked at.", task.task_id)
            problem = NOT_RENDERED
        self.backend.checked(task.task_id, problem=problem, first_frame=first, last_frame=last, first_size=first_size)

    async def _render(self, task: Task) -> None:
        try:
            request = await asyncio.to_thread(self._request, task)
            # A name of its own, since a worker of a server that was just stopped may still be writing.
            unfinished = self._videos / f"{task.task_id}-{os.urandom(4).hex()}{UNFINISHED}"
            report = await self._pool.render(request, unfinished)
            await asyncio.to_thread(unfinished.replace, self._videos / f"{task.task_id}.mp4")
        except Exception:
            log.exception("Task %s could not be rendered.", task.task_id)
            self.backend.film_failed(task.task_id, NOT_RENDERED)
        else:
            self.backend.film_ready(task.task_id, report.actual_prompt)

    def _request(self, task: Task) -> RenderRequest:
        if task.first_frame is None:
            raise RuntimeError("the first frame is missing")
        return RenderRequest(
            first_frame=self._frames.path(task.first_frame).read_bytes(),
            last_frame=self._frames.path(task.last_frame).read_bytes() if task.last_frame else None,
            resolution=task.resolution,
            prompt=task.prompt,
            negative_prompt=task.negative_prompt,
            seed=task.seed,
            watermark=task.watermark,
            prompt_extend=task.prompt_extend,
            duration_s=task.film_s,
            weights=find_weights(self._directory),
        )


def _is_spare(path: Path, downloaded: set[str]) -> bool:
    """Whether a film may go first: somebody has it, or it is made anew in a moment."""
    return path.name in downloaded or path.name.startswith(STAND_IN)
