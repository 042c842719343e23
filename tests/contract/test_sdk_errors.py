"""What the vendor's SDK makes of errors; some of its habits are costly, and ours does not share them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from dashscope import VideoSynthesis
from dashscope.common.error import InvalidTask

from kf2v_pipeline.localserver.clock import ScriptedClock
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.scenario import Duration, Scenario

FLASH = "wan2.2-kf2v-flash"
Serve = Callable[..., LocalServer]


@pytest.mark.usefixtures("sdk")
def test_a_bad_key_makes_the_synchronous_call_raise(frames: dict[str, str]) -> None:
    with pytest.raises(InvalidTask, match="Invalid API-key provided"):
        VideoSynthesis.call(model=FLASH, prompt="p", api_key="bad", **frames)


def test_a_failed_task_is_a_success_of_the_call(serve: Serve, frames: dict[str, str]) -> None:
    serve(Scenario(stand_in=True, speed=120, faults=(Fault(on="task", kind="fail"),)))
    reply = VideoSynthesis.call(model=FLASH, prompt="p", **frames)
    assert (reply.status_code, reply.code, reply.output.video_url) == (200, None, "")
    assert (reply.output.task_status, reply.output["code"]) == ("FAILED", "DataInspectionFailed")


def test_a_create_whose_reply_was_lost_is_sent_again_and_paid_twice(serve: Serve, frames: dict[str, str]) -> None:
    """What our client must not do: ``test_client_faults`` has the same fault, and one task."""
    server = serve(Scenario(stand_in=True, speed=120, faults=(Fault(on="create", kind="cut", count=1),)))
    reply = VideoSynthesis.call(model=FLASH, prompt="p", **frames)
    assert reply.output.task_status == "SUCCEEDED"
    assert server.journal()["billed"]["videos"] == 2


def test_a_page_of_a_proxy_is_an_unknown_code(serve: Serve, frames: dict[str, str]) -> None:
    serve(Scenario(stand_in=True, faults=(Fault(on="create", kind="html", count=1),)))
    reply = VideoSynthesis.async_call(model=FLASH, prompt="p", **frames)
    assert (reply.status_code, reply.code, reply.output) == (502, "Unknown", None)


def test_waiting_is_given_up_at_the_first_throttled_look(serve: Serve, frames: dict[str, str]) -> None:
    server = serve(Scenario(stand_in=True, faults=(Fault(on="get", kind="throttle", count=1),)))
    reply = VideoSynthesis.call(model=FLASH, prompt="p", **frames)
    assert (reply.status_code, reply.code) == (429, "Throttling.RateQuota")
    assert server.journal()["tasks"] == {"SUCCEEDED": 1}


def test_waiting_goes_on_after_a_503(serve: Serve, frames: dict[str, str]) -> None:
    fault = Fault(on="get", kind="error", status=503, code="ModelUnavailable", count=1)
    serve(Scenario(stand_in=True, faults=(fault,)))
    assert VideoSynthesis.call(model=FLASH, prompt="p", **frames).output.task_status == "SUCCEEDED"


def test_waiting_may_end_before_the_task_does(serve: Serve, frames: dict[str, str]) -> None:
    serve(Scenario(stand_in=True, durations=(Duration(median_s=60),)), ScriptedClock())
    created = VideoSynthesis.async_call(model=FLASH, prompt="p", **frames)
    reply = VideoSynthesis.wait(created, wait_timeout=1)
    assert (reply.status_code, reply.code) == (408, "WaitTaskTimeout")
    assert VideoSynthesis.fetch(created).output.task_status == "RUNNING"
