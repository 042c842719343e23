"""The vendor's Python SDK, its synchronous classes: the samples of the vendor's page, and their replies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from dashscope import VideoSynthesis

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Scenario

Serve = Callable[..., LocalServer]
FLASH = "wan2.2-kf2v-flash"


@pytest.mark.usefixtures("sdk")
def test_the_pages_synchronous_sample_returns_the_film(frames: dict[str, str]) -> None:
    reply = VideoSynthesis.call(
        api_key="sk-x", model=FLASH, prompt="a kitten", resolution="720P", prompt_extend=True, workspace="w", **frames
    )
    assert (reply.status_code, reply.code, reply.message) == (200, None, "")
    assert set(reply.output) == {
        *("task_id", "task_status", "video_url", "submit_time", "scheduled_time", "end_time"),
        *("orig_prompt", "actual_prompt"),
    }
    assert reply.output.task_status == "SUCCEEDED"
    assert (reply.usage.video_duration, reply.usage.video_count) == (5, 1)
    assert httpx.get(reply.output.video_url, trust_env=False).content[4:8] == b"ftyp"


@pytest.mark.usefixtures("sdk")
def test_the_pages_asynchronous_sample_creates_fetches_and_waits(frames: dict[str, str]) -> None:
    created = VideoSynthesis.async_call(model="wan2.1-kf2v-plus", prompt="p", resolution="720P", **frames)
    assert (created.status_code, created.code, created.message, created.usage) == (200, "", "", None)
    assert set(created.output) == {"task_id", "task_status", "video_url"}
    assert (created.output.task_status, created.output.video_url) == ("PENDING", "")
    fetched = VideoSynthesis.fetch(created)
    assert fetched.output.task_id == created.output.task_id
    assert fetched.output.task_status in ("PENDING", "RUNNING", "SUCCEEDED")
    waited = VideoSynthesis.wait(created)
    assert waited.output.task_status == "SUCCEEDED"
    assert waited.output["submit_time"] <= waited.output["scheduled_time"] <= waited.output["end_time"]


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        (FLASH, {"video_duration": 5, "video_count": 1, "SR": 480}),
        ("wan2.1-kf2v-plus", {"video_duration": 5, "video_count": 1, "video_ratio": "standard"}),
        ("wanx2.1-kf2v-plus", {"video_duration": 5, "video_count": 1, "video_ratio": "standard"}),
    ],
)
@pytest.mark.usefixtures("sdk")
def test_usage_is_told_in_each_models_dialect(frames: dict[str, str], model: str, usage: dict[str, Any]) -> None:
    options = {"resolution": "480P"} if model == FLASH else {}
    reply = VideoSynthesis.call(model=model, prompt="p", **frames, **options)
    assert {name: value for name, value in reply.usage.items() if value != ""} == usage


@pytest.mark.usefixtures("sdk")
def test_the_successor_tells_its_lines_as_text(frames: dict[str, str]) -> None:
    media = [{"type": kind.removesuffix("_url"), "url": url} for kind, url in frames.items()]
    reply = VideoSynthesis.call(model="wan2.7-i2v", prompt="p", media=media, duration=2)
    said = {"duration": 2, "input_video_duration": 0, "output_video_duration": 2, "video_count": 1, "SR": "1080"}
    assert said.items() <= dict(reply.usage).items()


def test_list_is_flat_and_in_milliseconds(serve: Serve, frames: dict[str, str]) -> None:
    serve(Scenario(stand_in=True, speed=120))
    created = [VideoSynthesis.async_call(model=FLASH, prompt=str(n), **frames) for n in range(3)]
    listed = VideoSynthesis.list(page_size=2, model_name=FLASH)
    assert listed.status_code == 200
    assert (listed.output["total"], listed.output["total_page"], listed.output["page_no"]) == (3, 2, 1)
    newest = listed.output["data"][0]
    assert (newest["task_id"], newest["request_id"]) == (created[2].output.task_id, created[2].request_id)
    assert isinstance(newest["gmt_create"], int)
    assert VideoSynthesis.list(status="CANCELED").output["total"] == 0
    assert VideoSynthesis.list(api_key_id=newest["api_key_id"]).output["total"] == 3
    assert VideoSynthesis.list(api_key_id="another").output["total"] == 0
