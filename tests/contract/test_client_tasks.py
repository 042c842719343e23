"""Our client against the local server, operation by operation: what the vendor promises arrives as values of ours."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import pytest

from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.domain.reading import Reading, TaskStatus
from kf2v_pipeline.errors import ServiceError
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Duration, Scenario
from kf2v_pipeline.wan.catalog import load_catalog
from kf2v_pipeline.wan.client import WanClient

T = TypeVar("T")


def clock() -> datetime:
    return datetime.now(timezone.utc)


def make_clip(**changes: Any) -> Clip:
    frame = Frame(location="/f.png", sha256="0" * 64, width=320, height=240, size_bytes=1000, format="PNG")
    fields = {"clip_id": "c", "row": 1, "service": "local", "model": "wan2.2-kf2v-flash", "resolution": "480P"}
    return Clip(**{**fields, "first_frame": frame, "last_frame": frame, "prompt": "a cat", **changes})


def talk(server: LocalServer, use: Callable[[WanClient], Awaitable[T]], *, key: str | None = None) -> T:
    """Runs the coroutine with a client of that server."""

    async def main() -> T:
        service = load_catalog().service("local").evolve(base_url=server.base_url)
        async with WanClient(service, key, clock=clock) as client:
            return await use(client)

    return asyncio.run(main())


async def ended(client: WanClient, task_id: str) -> Reading:
    """The task's last reading."""
    while not (reading := await client.get(task_id)).status.ended:
        pass
    return reading


Frames = dict[str, str]


@pytest.mark.parametrize(
    ("model", "resolution", "lines"),
    [
        ("wan2.2-kf2v-flash", "480P", 480),
        ("wan2.2-kf2v-flash", "720P", 720),
        ("wanx2.1-kf2v-plus", "720P", None),
        ("wan2.1-kf2v-plus", "720P", None),
        ("wan2.7-i2v", "720P", 720),
    ],
)
def test_a_clip_of_every_model_becomes_a_paid_task_with_a_film(
    sdk: LocalServer, frames: Frames, model: str, resolution: str, lines: int | None
) -> None:
    async def use(client: WanClient) -> tuple[Reading, bytes, bytes]:
        clip = make_clip(model=model, resolution=resolution, seed=7, watermark=True, negative_prompt="people")
        reading = await ended(client, (await client.create(clip, **frames)).task_id)
        async with client.download(reading.video_url or "") as download:
            whole = b"".join([chunk async for chunk in download])
            assert download.total_bytes == len(whole)
        async with client.download(reading.video_url or "", start_byte=1000) as download:
            rest = b"".join([chunk async for chunk in download])
            assert (download.start_byte, download.total_bytes) == (1000, len(whole))
        return reading, whole, rest

    reading, whole, rest = talk(sdk, use)
    assert reading.status is TaskStatus.SUCCEEDED
    assert reading.usage is not None
    assert (reading.usage.duration_s, reading.usage.video_count, reading.usage.resolution) == (5, 1, lines)
    assert reading.orig_prompt == "a cat"
    assert whole[4:8] == b"ftyp"
    assert rest == whole[1000:]


def test_uploaded_frames_are_resolved(sdk: LocalServer, frame_files: Any) -> None:
    async def use(client: WanClient) -> Reading:
        clip = make_clip()
        first, last = [await client.upload(path.name, path.read_bytes(), clip.model) for path in frame_files]
        created = await client.create(clip, first_frame_url=first, last_frame_url=last)
        return await ended(client, created.task_id)

    assert talk(sdk, use).status is TaskStatus.SUCCEEDED


def test_an_actual_prompt_comes_only_where_it_was_extended(sdk: LocalServer, frames: Frames) -> None:
    async def use(client: WanClient) -> list[str | None]:
        clips = [make_clip(prompt_extend=False), make_clip(prompt_extend=True)]
        created = [await client.create(clip, **frames) for clip in clips]
        return [(await ended(client, one.task_id)).actual_prompt for one in created]

    plain, extended = talk(sdk, use)
    assert plain is None
    assert extended


def test_times_are_instants_of_today(sdk: LocalServer, frames: Frames) -> None:
    async def use(client: WanClient) -> Reading:
        return await ended(client, (await client.create(make_clip(), **frames)).task_id)

    reading = talk(sdk, use)
    assert reading.submitted_at
    assert reading.started_at
    assert reading.ended_at
    assert reading.submitted_at <= reading.started_at <= reading.ended_at
    assert abs(reading.submitted_at - reading.read_at) < timedelta(hours=2)


def test_the_list_repeats_the_creates_request_id_a_page_at_a_time(serve: Any, frames: Frames) -> None:
    server = serve(Scenario(stand_in=True, speed=120))

    async def use(client: WanClient) -> tuple[Any, Any, Any]:
        created = [await client.create(make_clip(prompt=str(n)), **frames) for n in range(3)]
        first = await client.list(page_size=2)
        second = await client.list(page=2, page_size=2)
        return created, first, second

    created, first, second = talk(server, use)
    assert (first.total, first.total_pages, len(first.tasks), len(second.tasks)) == (3, 2, 2, 1)
    listed = {task.task_id: task.request_id for task in first.tasks + second.tasks}
    assert listed == {one.task_id: one.request_id for one in created}
    assert all(task.created_at and task.model == "wan2.2-kf2v-flash" for task in first.tasks)
    assert first.unreadable == 0


def test_a_window_around_now_finds_a_task_and_one_before_does_not(serve: Any, frames: Frames) -> None:
    server = serve(Scenario(stand_in=True))

    async def use(client: WanClient) -> tuple[int, int, int]:
        await client.create(make_clip(), **frames)
        now, minute = clock(), timedelta(minutes=1)
        around = await client.list(since=now - minute, until=now + minute)
        before = await client.list(since=now - 60 * minute, until=now - 5 * minute)
        other = await client.list(model="wan2.7-i2v")
        return len(around.tasks), len(before.tasks), len(other.tasks)

    assert talk(server, use) == (1, 0, 0)


def test_a_task_that_waits_can_be_canceled_and_one_that_runs_can_not(serve: Any, frames: Frames) -> None:
    server = serve(Scenario(stand_in=True, in_process=1, durations=(Duration(median_s=3600),)))

    async def use(client: WanClient) -> tuple[Reading, str]:
        running = await client.create(make_clip(), **frames)
        while (await client.get(running.task_id)).status is not TaskStatus.RUNNING:
            pass
        waiting = await client.create(make_clip(), **frames)
        await client.cancel(waiting.task_id)
        with pytest.raises(ServiceError) as caught:
            await client.cancel(running.task_id)
        return await client.get(waiting.task_id), caught.value.code

    canceled, code = talk(server, use)
    assert canceled.status is TaskStatus.CANCELED
    assert code == "UnsupportedOperation"


def test_a_task_that_never_was_is_unknown(sdk: LocalServer) -> None:
    assert talk(sdk, lambda client: client.get("1111")).status is TaskStatus.UNKNOWN


def test_a_wrong_key_is_refused_and_not_repeated(serve: Any, frames: Frames) -> None:
    server = serve(Scenario(stand_in=True, keys=("sk-right-key",)))
    with pytest.raises(ServiceError) as caught:
        talk(server, lambda client: client.create(make_clip(), **frames), key="sk-wrong-canary")
    assert caught.value.code == "InvalidApiKey"
    assert caught.value.http_status == 401
    assert "canary" not in str(caught.value)


def test_a_bad_frame_fails_in_the_task_with_the_services_words(sdk: LocalServer, frames: Frames) -> None:
    async def use(client: WanClient) -> Reading:
        urls = {**frames, "last_frame_url": "data:image/png;base64,aGVsbG8="}
        return await ended(client, (await client.create(make_clip(), **urls)).task_id)

    reading = talk(sdk, use)
    assert reading.status is TaskStatus.FAILED
    assert reading.code
    assert reading.message
    assert reading.video_url is None
