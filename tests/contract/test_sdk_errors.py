"""What the vendor's SDK reports when things go wrong, and the bare HTTP beneath it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from dashscope import VideoSynthesis
from dashscope.common.error import InvalidTask

from kf2v_pipeline.localserver.clock import ScriptedClock
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.scenario import Scenario

FLASH = "wan2.2-kf2v-flash"
Serve = Callable[..., LocalServer]

CREATE = "/services/aigc/image2video/video-synthesis"
HEADERS = {"Authorization": "Bearer sk-x", "X-DashScope-Async": "enable"}


@pytest.mark.usefixtures("sdk")
def test_a_bad_key_makes_the_synchronous_call_raise(frames: dict[str, str]) -> None:
    with pytest.raises(InvalidTask, match="Invalid API-key provided"):
        VideoSynthesis.call(model=FLASH, prompt="p", api_key="bad", **frames)


@pytest.mark.usefixtures("sdk")
def test_a_bad_key_is_a_401_of_the_asynchronous_call(frames: dict[str, str]) -> None:
    reply = VideoSynthesis.async_call(model=FLASH, prompt="p", api_key="bad", **frames)
    assert (reply.status_code, reply.code) == (401, "InvalidApiKey")
    assert VideoSynthesis.fetch("1111", api_key="bad").code == "InvalidApiKey"


@pytest.mark.usefixtures("sdk")
def test_an_unknown_task_is_unknown_and_no_error() -> None:
    reply = VideoSynthesis.fetch("1111")
    assert (reply.status_code, reply.output.task_status, reply.output.task_id) == (200, "UNKNOWN", "1111")
    assert VideoSynthesis.cancel("1111").code == "UnsupportedOperation"


@pytest.mark.usefixtures("sdk")
def test_an_unknown_model_does_not_exist(frames: dict[str, str]) -> None:
    """The vendor's Java sample names this model; no account has it."""
    reply = VideoSynthesis.async_call(model="wan2.1-kf2v-flash", prompt="p", **frames)
    assert (reply.status_code, reply.code, reply.message) == (400, "InvalidParameter", "Model not exist.")


def test_moderation_fails_the_task_and_costs_nothing(serve: Serve, frames: dict[str, str]) -> None:
    scenario = Scenario(stand_in=True, faults=(Fault(on="task", kind="fail", match="forbidden"),), submit_rps=9)
    server = serve(scenario)
    reply = VideoSynthesis.call(model=FLASH, prompt="a forbidden thing", **frames)
    assert reply.status_code == 200
    assert reply.output.task_status == "FAILED"
    assert reply.output["code"] == "DataInspectionFailed"
    assert reply.output["message"] == "Input data may contain inappropriate content."
    assert VideoSynthesis.call(model=FLASH, prompt="fine", **frames).output.task_status == "SUCCEEDED"
    assert server.journal()["billed"]["videos"] == 1


def test_a_third_create_in_a_second_is_throttled(serve: Serve, frames: dict[str, str]) -> None:
    serve(Scenario(stand_in=True), ScriptedClock())
    replies = [VideoSynthesis.async_call(model=FLASH, prompt="p", **frames) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert replies[2].code == "Throttling.RateQuota"
    assert replies[2].message == "Requests rate limit exceeded, please try again later."


def test_without_the_header_there_are_no_synchronous_calls(sdk: LocalServer, frames: dict[str, str]) -> None:
    body = {"model": FLASH, "input": frames}
    reply = httpx.post(sdk.base_url + CREATE, json=body, headers={"Authorization": "Bearer sk-x"})
    assert reply.status_code == 403
    assert reply.json()["code"] == "AccessDenied"
    assert reply.json()["message"] == "current user api does not support synchronous calls."
    assert reply.headers["x-request-id"] == reply.json()["request_id"]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (CREATE, {"model": "wan2.7-i2v", "input": {"prompt": "p"}}, "url error, please check url！"),
        (CREATE.replace("image2video", "video-generation"), {"model": FLASH, "input": {"prompt": "p"}}, "url error"),
        ("/services/aigc/elsewhere", {"model": FLASH, "input": {"prompt": "p"}}, "url error"),
        (CREATE, {"input": {"prompt": "p"}}, 'Required parameter "model" missing from request.'),
        (CREATE, {"model": FLASH}, "Required input parameter missing from request."),
        (CREATE, {"model": FLASH, "input": "p"}, "The input parameter requires json format."),
        (CREATE, [1], "Required body invalid, please check the request body format."),
        (CREATE, {"model": FLASH, "input": {"first_frame_url": "data:," + "a" * 10_485_760}}, "Exceeded limit on max"),
    ],
)
def test_a_wrong_envelope_is_refused_at_once(sdk: LocalServer, path: str, body: Any, message: str) -> None:
    reply = httpx.post(sdk.base_url + path, json=body, headers=HEADERS)
    assert reply.status_code == 400
    assert message in reply.json()["message"]
    assert sdk.journal()["tasks"] == {}


WRONG_VALUES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"first_frame_url": None}, {}, "Field required: input.first_frame_url"),
    ({"prompt": 5}, {}, "Input should be a valid string"),
    ({}, {"resolution": "720p"}, "Input should be '480P', '720P' or '1080P'"),
    ({}, {"seed": -1}, "Input should be greater than or equal to 0"),
    ({}, {"seed": 2**31}, "Input should be less than or equal to 2147483647"),
    ({}, {"duration": 10}, "duration customization is not supported"),
    ({}, {"watermark": "yes"}, "Input should be a valid boolean"),
    ({"last_frame_url": "ftp://host/frame.png"}, {}, "Required URL is missing or invalid"),
    ({"last_frame_url": "data:image/png;base64,aGVsbG8="}, {}, "image format error"),
    ({"last_frame_url": "data:image/png;base64,!"}, {}, "Failed to decode the image"),
]


@pytest.mark.parametrize(("changes", "parameters", "message"), WRONG_VALUES)
def test_a_wrong_value_gets_a_task_that_fails_a_moment_later(
    sdk: LocalServer, frames: dict[str, str], changes: dict[str, Any], parameters: dict[str, Any], message: str
) -> None:
    """Four independent reports of live traffic: create answers 200, the task turns FAILED."""
    body = {"model": FLASH, "input": {**frames, **changes}, "parameters": parameters}
    created = httpx.post(sdk.base_url + CREATE, json=body, headers=HEADERS)
    assert created.status_code == 200
    failed = VideoSynthesis.wait(created.json()["output"]["task_id"])
    assert failed.output.task_status == "FAILED"
    assert message in failed.output["message"]


@pytest.mark.parametrize(("changes", "parameters", "message"), WRONG_VALUES)
def test_by_switch_a_wrong_value_is_refused_at_once(
    serve: Serve, frames: dict[str, str], changes: dict[str, Any], parameters: dict[str, Any], message: str
) -> None:
    body = {"model": FLASH, "input": {**frames, **changes}, "parameters": parameters}
    server = serve(Scenario(values_at_create=True))
    reply = httpx.post(server.base_url + CREATE, json=body, headers=HEADERS)
    assert reply.status_code == 400
    assert message in reply.json()["message"]


@pytest.mark.usefixtures("sdk")
def test_frames_of_wrong_size_fail(inline: Callable[[str, tuple[int, int]], str]) -> None:
    small, large = inline("red", (239, 400)), inline("red", (8001, 300))
    for wrong in (small, large):
        reply = VideoSynthesis.call(model=FLASH, first_frame_url=wrong, last_frame_url=wrong)
        assert reply.output["message"] == "the size of input image is too small or too large."
