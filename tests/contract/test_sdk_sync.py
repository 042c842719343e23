"""The vendor's Python SDK, its synchronous classes, against the local server."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import av
import httpx
import pytest
from dashscope import VideoSynthesis

from kf2v_pipeline.localserver.clock import ScriptedClock
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Duration, Scenario

Size = tuple[int, int]
Serve = Callable[..., LocalServer]
Inline = Callable[[str, Size], str]

FLASH = "wan2.2-kf2v-flash"


def film_of(video_url: str) -> tuple[int, int, int, str]:
    """Width, height, frames and codec of the film at this address."""
    reply = httpx.get(video_url)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "video/mp4"
    with av.open(io.BytesIO(reply.content)) as container:
        assert len(container.streams) == 1, "films are silent"
        stream = container.streams.video[0]
        assert stream.average_rate == 30
        count = sum(1 for _ in container.decode(stream))
        return stream.width, stream.height, count, stream.codec_context.name


def test_a_synchronous_call_returns_the_film(sdk: LocalServer, frames: dict[str, str]) -> None:
    reply = VideoSynthesis.call(model=FLASH, prompt="a kitten looks up", resolution="480P", **frames)
    assert reply.status_code == 200
    assert reply.code is None
    assert reply.output.task_status == "SUCCEEDED"
    assert reply.output["orig_prompt"] == "a kitten looks up"
    assert reply.usage.video_duration == 5
    assert reply.usage.video_count == 1
    assert film_of(reply.output.video_url)[2:] == (150, "h264")
    assert sdk.journal()["billed"] == {"videos": 1, "seconds": 5}


def test_an_asynchronous_call_can_be_fetched_and_waited_for(sdk: LocalServer, frames: dict[str, str]) -> None:
    created = VideoSynthesis.async_call(model=FLASH, prompt="slow", **frames)
    assert created.status_code == 200
    assert created.code == ""
    assert created.output.task_status == "PENDING"
    assert created.output.video_url == ""
    fetched = VideoSynthesis.fetch(created)
    assert fetched.output.task_status in ("PENDING", "RUNNING", "SUCCEEDED")
    waited = VideoSynthesis.wait(created)
    assert waited.output.task_status == "SUCCEEDED"
    assert waited.output["submit_time"] <= waited.output["scheduled_time"] <= waited.output["end_time"]
    assert len(sdk.journal()["creates"]) == 1


@pytest.mark.parametrize(
    ("model", "resolution", "expected"),
    [
        (FLASH, "480P", (None, {"SR": 480})),
        (FLASH, "720P", ((816, 1104), {"SR": 720})),
        (FLASH, None, ((816, 1104), {"SR": 720})),
        (FLASH, "1080P", (None, {"SR": 1080})),
        ("wan2.1-kf2v-plus", "720P", ((816, 1104), {"video_ratio": "standard"})),
        ("wanx2.1-kf2v-plus", None, ((816, 1104), {"video_ratio": "standard"})),
    ],
)
@pytest.mark.usefixtures("sdk")
def test_each_model_makes_each_of_its_resolutions(
    inline: Inline, model: str, resolution: str | None, expected: tuple[Size | None, dict[str, Any]]
) -> None:
    """The vendor's page: a first frame of 750x1000 gives 816x1104 at 720P; usage tells SR or video_ratio by model."""
    options = {"resolution": resolution} if resolution else {}
    first, last = inline("red", (750, 1000)), inline("blue", (1000, 750))
    reply = VideoSynthesis.call(model=model, prompt="p", first_frame_url=first, last_frame_url=last, **options)
    size, usage = expected
    width, height, count, _ = film_of(reply.output.video_url)
    assert (width % 16, height % 16, count) == (0, 0, 150)
    assert size is None or (width, height) == size
    said = {name: value for name, value in reply.usage.items() if name in ("SR", "video_ratio") and value != ""}
    assert said == usage


@pytest.mark.usefixtures("sdk")
def test_the_successor_takes_its_frames_as_media(inline: Inline) -> None:
    """Vendor's page of wan2.7: frames in ``input.media``, other path, free length, SR as text in its usage."""
    media = [
        {"type": "first_frame", "url": inline("red", (320, 240))},
        {"type": "last_frame", "url": inline("blue", (320, 240))},
    ]
    reply = VideoSynthesis.call(model="wan2.7-i2v", prompt="p", media=media, resolution="720P", duration=2)
    assert reply.output.task_status == "SUCCEEDED"
    assert reply.usage["SR"] == "720"
    assert reply.usage["duration"] == 2
    assert film_of(reply.output.video_url)[2] == 60


def test_every_option_reaches_the_task(sdk: LocalServer, frames: dict[str, str]) -> None:
    reply = VideoSynthesis.call(
        model=FLASH, prompt="p", negative_prompt="people", resolution="480P", seed=7, watermark=True, **frames
    )
    assert reply.output.task_status == "SUCCEEDED"
    (create,) = sdk.journal()["creates"]
    assert create["options"] == {
        "negative_prompt": "people",
        "resolution": "480P",
        "film_s": 5,
        "seed": 7,
        "prompt_extend": True,
        "watermark": True,
    }


@pytest.mark.parametrize("extend", [True, False])
@pytest.mark.usefixtures("sdk")
def test_the_rewritten_prompt_comes_only_with_prompt_extend(frames: dict[str, str], extend: bool) -> None:
    reply = VideoSynthesis.call(model=FLASH, prompt="a kitten", prompt_extend=extend, **frames)
    assert ("actual_prompt" in reply.output) is extend
    assert reply.output["orig_prompt"] == "a kitten"


@pytest.mark.usefixtures("sdk")
def test_a_call_without_a_prompt_is_served(frames: dict[str, str]) -> None:
    assert VideoSynthesis.call(model=FLASH, **frames).output.task_status == "SUCCEEDED"


@pytest.mark.usefixtures("sdk")
def test_a_long_prompt_is_cut_in_silence(frames: dict[str, str]) -> None:
    """Vendor's page: at most 800 characters, a Chinese character counts as one, the rest is cut."""
    reply = VideoSynthesis.call(model=FLASH, prompt="猫" * 900, **frames)
    assert reply.output["orig_prompt"] == "猫" * 800


@pytest.mark.usefixtures("sdk")
def test_list_shows_what_was_created(frames: dict[str, str]) -> None:
    created = [VideoSynthesis.async_call(model=FLASH, prompt=str(n), **frames) for n in range(3)]
    listed = VideoSynthesis.list(page_size=2, model_name=FLASH)
    assert listed.status_code == 200
    assert listed.output["total"] == 3
    assert listed.output["total_page"] == 2
    newest = listed.output["data"][0]
    assert newest["task_id"] == created[2].output.task_id
    assert newest["request_id"] == created[2].request_id
    assert isinstance(newest["gmt_create"], int)
    assert VideoSynthesis.list(status="CANCELED").output["total"] == 0


def test_only_a_task_that_waits_can_be_canceled(serve: Serve, frames: dict[str, str]) -> None:
    """Two run, the third waits (rate table: two in process); cancel works for PENDING only."""
    clock = ScriptedClock()
    scenario = Scenario(stand_in=True, durations=(Duration(median_s=60),), submit_rps=10)
    server = serve(scenario, clock)
    running, _, waiting = (VideoSynthesis.async_call(model=FLASH, prompt=str(n), **frames) for n in range(3))
    assert VideoSynthesis.fetch(running).output.task_status == "RUNNING"
    assert VideoSynthesis.fetch(waiting).output.task_status == "PENDING"
    assert VideoSynthesis.cancel(waiting).status_code == 200
    assert VideoSynthesis.fetch(waiting).output.task_status == "CANCELED"
    refused = VideoSynthesis.cancel(running)
    assert (refused.status_code, refused.code) == (400, "UnsupportedOperation")
    clock.advance(timedelta(minutes=2))
    assert VideoSynthesis.wait(running).output.task_status == "SUCCEEDED"
    assert server.journal()["max_in_process"] == {FLASH: 2}


def test_task_and_address_are_gone_after_a_day(serve: Serve, frames: dict[str, str]) -> None:
    """Vendor's page, "Limits: data validity"."""
    clock = ScriptedClock()
    serve(Scenario(stand_in=True), clock)
    done = VideoSynthesis.call(model=FLASH, prompt="p", **frames)
    clock.advance(timedelta(hours=23, minutes=59))
    assert VideoSynthesis.fetch(done).output.task_status == "SUCCEEDED"
    assert httpx.get(done.output.video_url).status_code == 200
    clock.advance(timedelta(minutes=2))
    assert VideoSynthesis.fetch(done).output.task_status == "UNKNOWN"
    expired = httpx.get(done.output.video_url)
    assert expired.status_code == 403
    assert "Request has expired." in expired.text
