"""One life of a process that drives clips, and dies at a named point: SIGKILL, so that nothing can be put in order.

Everything that a drive works with is handed in, so the product needs no hooks for this: the real Dagster job, engine,
ledger, store and client run, each of them watched from the outside.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import httpx

from kf2v_pipeline.domain.attempt import Attempt, Fact, FactKind
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.policy import Pace
from kf2v_pipeline.domain.reading import Reading, TaskPage
from kf2v_pipeline.orchestration.instance import open_instance
from kf2v_pipeline.orchestration.jobs import build_jobs
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.render import build_render_ops
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.storage.ledger import Ledger
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.wan.download import Download
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.outcome import Outcome, Silence, Verdict
from kf2v_pipeline.workflow.project import LOCAL_KEY, Project
from kf2v_pipeline.workflow.tempo import Tempo

POINTS = (
    "before_intent",
    "after_intent",
    "after_bytes_sent",
    "after_reply_before_record",
    "after_record",
    "in_poll",
    "mid_download",
    "before_promote",
    "after_promote_before_record",
    "before_dagster_event",
    "after_dagster_event",
)
"""Where a process may die, in the order in which a clip passes them."""

TEMPO = Tempo(
    pace=Pace(closest=timedelta(seconds=0.05), widest=timedelta(seconds=0.2)),
    confirm_grace=timedelta(seconds=1),
    claim_every=timedelta(seconds=0.1),
)
"""Quick; but the grace must outlast what the server needs to take in a create on a busy machine."""

CLIPS_FAILED = 3
"""Exit code of a life in which clips failed, and all else went well."""

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Doom:
    """Where this process dies.

    Args:
        point: One of ``POINTS``; None to live.
        count: At which passing of the point, from 1.
        freezes: Whether it only stands still there, as a machine does that is suspended.
    """

    def __init__(self, point: str | None, count: int = 1, *, freezes: bool = False) -> None:
        self._point = point
        self._left = count
        self._signal = signal.SIGSTOP if freezes else signal.SIGKILL

    def strike(self, point: str) -> None:
        """Says that the process is at that point."""
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._signal)


class DoomedLedger(Ledger):
    """The ledger, before and after the lines about money."""

    doom: Doom

    def prepare(self, clip: Clip, **options: Any) -> Attempt:
        self.doom.strike("before_intent")
        attempt = super().prepare(clip, **options)
        self.doom.strike("after_intent")
        return attempt

    def record(self, fact: Fact, *, known: Attempt | None = None) -> Attempt:
        if fact.kind is FactKind.ACCEPTED:
            self.doom.strike("after_reply_before_record")
        if fact.kind is FactKind.VIDEO_STORED:
            self.doom.strike("after_promote_before_record")
        attempt = super().record(fact, known=known)
        if fact.kind is FactKind.ACCEPTED:
            self.doom.strike("after_record")
        if fact.kind is FactKind.VIDEO_STORED:
            self.doom.strike("before_dagster_event")
        return attempt


class DoomedStore(Store):
    """The storage, before a video gets its final name."""

    doom: Doom

    def put_file(self, local: Path, path: str, *, beside: str | None = None) -> None:
        self.doom.strike("before_promote")
        super().put_file(local, path, beside=beside)


class DoomedClient(WanClient):
    """The client, in the middle of what it does."""

    def __init__(self, doom: Doom, *args: Any, **options: Any) -> None:
        super().__init__(*args, transport=DoomedTransport(doom), **options)
        self._doom = doom

    async def list(self, **options: Any) -> TaskPage:
        self._doom.strike("in_poll")
        return await super().list(**options)

    async def get(self, task_id: str) -> Reading:
        reading = await super().get(task_id)
        self._doom.strike("in_poll")
        return reading

    @asynccontextmanager
    async def download(self, video_url: str, *, start_byte: int = 0) -> AsyncIterator[Download]:
        async with super().download(video_url, start_byte=start_byte) as body:
            yield DoomedDownload(self._doom, body)


class DoomedDownload(Download):
    """A video's bytes, of which only the first chunk comes."""

    def __init__(self, doom: Doom, body: Download) -> None:
        super().__init__(body._response, start_byte=body.start_byte, total_bytes=body.total_bytes)
        self._doom = doom

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in super().__aiter__():
            yield chunk
            self._doom.strike("mid_download")


class DoomedTransport(httpx.AsyncHTTPTransport):
    """The network, once a create's last byte is on its way and its reply is not."""

    def __init__(self, doom: Doom) -> None:
        super().__init__()
        self._doom = doom

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async def trace(event: str, _info: dict[str, Any]) -> None:
            if event == "http11.send_request_body.complete":
                self._doom.strike("after_bytes_sent")

        if request.method == "POST":
            request.extensions = {**request.extensions, "trace": trace}
        return await super().handle_async_request(request)


class DoomedListener(Silence):
    """Hears of a clip's end once Dagster has it."""

    def __init__(self, doom: Doom) -> None:
        self._doom = doom

    def ended(self, outcome: Outcome) -> None:
        if outcome.verdict in (Verdict.STORED, Verdict.ALREADY_STORED):
            self._doom.strike("after_dagster_event")


class DoomedProject(Project):
    """A project whose tools are watched."""

    def __init__(self, settings: Settings, doom: Doom, tempo: Tempo) -> None:
        super().__init__(settings, local_address=_refuse, tempo=tempo)
        self._doom = doom

    @cached_property
    def ledger(self) -> Ledger:
        ledger = self._opened.enter_context(DoomedLedger.open(self.settings.ledger_url))
        ledger.doom = self._doom
        return ledger

    @cached_property
    def store(self) -> Store:
        store = DoomedStore.open(self.settings.storage)
        assert isinstance(store, DoomedStore)
        store.doom = self._doom
        return store

    def connect(self, name: str) -> WanClient:
        return DoomedClient(self._doom, self.usable_service(name), LOCAL_KEY, clock=self.clock)


def _refuse(_directory: Path) -> str:
    raise AssertionError("the server lives outside of what is killed")


def live(
    settings: Settings,
    point: str | None = None,
    count: int = 1,
    *,
    ask: bool = False,
    only_missing: bool = False,
    freezes: bool = False,
    tempo: Tempo = TEMPO,
) -> None:
    """One life: takes the manifest in, and renders what is wanted as a Dagster run, which writes the table too.

    Args:
        ask: Whether a person asks for the clips by name, so that those are tried again too that failed for good.
        only_missing: Whether it is a run of the sensor's.
        freezes: Whether the process stands still at its point instead of dying.

    Raises:
        SystemExit: Clips failed.
    """
    doom = Doom(point, count, freezes=freezes)

    @contextmanager
    def project(_context: dg.InitResourceContext) -> Iterator[Project]:
        with DoomedProject(settings, doom, tempo) as opened:
            yield opened

    resources = {
        "kf2v_project": dg.ResourceDefinition(project),
        "kf2v_listener": dg.ResourceDefinition.hardcoded_resource(DoomedListener(doom)),
        "kf2v_memory": dg.mem_io_manager,
    }
    definitions = dg.Definitions(
        jobs=build_jobs(Names(), build_render_ops(Names())), resources=resources, executor=dg.in_process_executor
    )
    with DoomedProject(settings, doom, tempo) as here, open_instance(settings.dagster_home) as instance:
        clip_ids = [clip.clip_id for clip in take_in_manifest(here).clips]
        instance.add_dynamic_partitions("clips", clip_ids)
        claim = {"clip_ids": clip_ids if ask else [], "only_missing": only_missing}
        config: dict[str, Any] = {"ops": {"claim": {"config": claim}}}
        job = definitions.resolve_job_def("render_clips")
        try:
            job.execute_in_process(instance=instance, run_config=config | QUIET)
        except dg.Failure:
            raise SystemExit(CLIPS_FAILED) from None


def settings_of(*, home: Path, storage: Path, manifest: Path, service: str) -> Settings:
    """The settings of one life; all lives of one story have the same."""
    return Settings(manifest=str(manifest), storage=str(storage), home=home, service=service, quality=False)


def main(arguments: list[str] | None = None) -> None:
    """``child.py HOME STORAGE MANIFEST BASE_URL [POINT [COUNT]]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("home", "storage", "manifest"):
        parser.add_argument(name, type=Path)
    parser.add_argument("service")
    parser.add_argument("point", nargs="?", choices=POINTS)
    parser.add_argument("count", nargs="?", type=int, default=1)
    given = parser.parse_args(arguments)
    settings = settings_of(home=given.home, storage=given.storage, manifest=given.manifest, service=given.service)
    live(settings, given.point, given.count)


if __name__ == "__main__":
    main()
