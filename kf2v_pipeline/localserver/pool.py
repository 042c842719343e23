"""Worker processes that render, so that replies never wait for a film. What is rendered belongs to ``render``."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection, wait
from pathlib import Path

from .render import RenderReport, RenderRequest, render_film


class RenderPool:
    """Workers that start when work comes, one per core at most, and never outlive this process."""

    def __init__(self) -> None:
        self._workers: _Workers | None = None

    async def render(self, request: RenderRequest, out_path: Path) -> RenderReport:
        """Render in a worker; one that died (memory, a signal) gets one successor.

        Raises:
            BrokenProcessPool: The successor died too.
        """
        for last_try in (False, True):
            workers = self._workers = self._workers or _Workers()
            try:
                return await asyncio.get_running_loop().run_in_executor(workers.pool, render_film, request, out_path)
            except BrokenProcessPool:
                workers.close()
                if self._workers is workers:
                    self._workers = None
                if last_try:
                    raise
        raise AssertionError  # the loop returns or raises

    def close(self) -> None:
        """End the workers at once, whatever they do."""
        if self._workers:
            self._workers.close()


class _Workers:
    """One generation of workers; each leaves when the other end of its pipe is closed, by us or by our death."""

    def __init__(self) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
        context = multiprocessing.get_context("spawn")
        self._theirs, self._ours = context.Pipe(duplex=False)
        self.pool = ProcessPoolExecutor(cores, mp_context=context, initializer=_begin_worker, initargs=(self._theirs,))

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
        self._ours.close()


def _begin_worker(server: Connection) -> None:
    """Give way to the server's replies, leave Ctrl-C to it, and go when it goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(5)
    threading.Thread(target=_leave_with, args=(server,), daemon=True).start()


def _leave_with(server: Connection) -> None:
    wait([server])
    os._exit(1)
