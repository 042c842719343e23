"""The vendor's Python SDK, its asyncio classes, against the local server; they end their paths with a slash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from dashscope.aigc.video_synthesis import AioVideoSynthesis

from kf2v_pipeline.localserver.clock import ScriptedClock
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Duration, Scenario

Serve = Callable[..., LocalServer]

FLASH = "wan2.2-kf2v-flash"


@pytest.mark.usefixtures("sdk")
def test_a_call_returns_the_film(frames: dict[str, str]) -> None:
    reply = asyncio.run(AioVideoSynthesis.call(model=FLASH, prompt="p", resolution="480P", **frames))
    assert reply.status_code == 200
    assert reply.output.task_status == "SUCCEEDED"
    assert reply.output.video_url.startswith("http://127.0.0.1:")
    assert reply.usage["SR"] == 480


@pytest.mark.usefixtures("sdk")
def test_an_asynchronous_call_can_be_fetched_and_waited_for(frames: dict[str, str]) -> None:
    async def story() -> None:
        created = await AioVideoSynthesis.async_call(model=FLASH, prompt="p", **frames)
        assert created.output.task_status == "PENDING"
        fetched = await AioVideoSynthesis.fetch(created)
        assert fetched.output.task_id == created.output.task_id
        waited = await AioVideoSynthesis.wait(created)
        assert waited.output.task_status == "SUCCEEDED"

    asyncio.run(story())


def test_two_calls_at_once_make_two_films(serve: Serve, frames: dict[str, str]) -> None:
    async def story() -> None:
        calls = (AioVideoSynthesis.call(model=FLASH, prompt=str(n), **frames) for n in range(2))
        replies = await asyncio.gather(*calls)
        assert [reply.output.task_status for reply in replies] == ["SUCCEEDED", "SUCCEEDED"]

    server = serve(Scenario(stand_in=True, speed=120))
    asyncio.run(story())
    assert server.journal()["billed"]["videos"] == 2


def test_a_waiting_task_is_listed_and_canceled(serve: Serve, frames: dict[str, str]) -> None:
    async def story() -> None:
        created = [await AioVideoSynthesis.async_call(model=FLASH, prompt=str(n), **frames) for n in range(3)]
        listed = await AioVideoSynthesis.list(status="PENDING")
        assert [row["task_id"] for row in listed.output["data"]] == [created[2].output.task_id]
        canceled = await AioVideoSynthesis.cancel(created[2])
        assert canceled.status_code == 200
        assert (await AioVideoSynthesis.fetch(created[2])).output.task_status == "CANCELED"

    scenario = Scenario(stand_in=True, durations=(Duration(median_s=60),), submit_rps=10)
    serve(scenario, ScriptedClock())
    asyncio.run(story())


@pytest.mark.usefixtures("sdk")
def test_a_bad_key_is_refused(frames: dict[str, str]) -> None:
    reply = asyncio.run(AioVideoSynthesis.async_call(model=FLASH, prompt="p", api_key="bad", **frames))
    assert (reply.status_code, reply.code) == (401, "InvalidApiKey")
