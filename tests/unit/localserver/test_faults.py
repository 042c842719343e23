"""Every fault of a scenario, as a client meets it, and what the journal says of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from kf2v_pipeline.localserver.clock import ScriptedClock
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.scenario import Scenario

Serve = Callable[..., Any]


def scenario(*faults: Fault, **changes: Any) -> Scenario:
    return Scenario(stand_in=True, submit_rps=50, faults=faults, **changes)


def test_a_reply_is_lost_after_the_task_was_made(serve: Serve) -> None:
    asker = serve(scenario(Fault(on="create", kind="cut", count=1)))
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        asker.create("lost")
    (create,) = asker.server.journal()["creates"]
    assert (create["outcome"], create["fault"], create["status"]) == ("cut", "cut", "SUCCEEDED")
    (row,) = asker.http.get("/tasks").json()["data"]
    assert (row["task_id"], row["request_id"]) == (create["task_id"], create["request_id"])
    assert asker.create("next").status_code == 200


@pytest.mark.parametrize(
    ("fault", "status", "code", "tasks"),
    [
        (Fault(on="create", kind="throttle"), 429, "Throttling.RateQuota", 0),
        (Fault(on="create", kind="error"), 500, "InternalError", 0),
        (Fault(on="create", kind="error", status=400, code="Arrearage", message="why"), 400, "Arrearage", 0),
        (Fault(on="create", kind="error_late"), 500, "InternalError", 1),
    ],
)
def test_a_create_meets_an_error_before_or_after_its_task(
    serve: Serve, fault: Fault, status: int, code: str, tasks: int
) -> None:
    asker = serve(scenario(fault))
    reply = asker.create()
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert reply.headers["content-type"] == "application/json"
    assert asker.http.get("/tasks").json()["total"] == tasks


@pytest.mark.parametrize("status", [502, 503])
def test_a_proxy_answers_with_a_page(serve: Serve, status: int) -> None:
    asker = serve(scenario(Fault(on="list", kind="html", status=status)))
    reply = asker.http.get("/tasks")
    assert (reply.status_code, reply.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert reply.text.startswith("<html>")


@pytest.mark.parametrize("kind", ["garbage", "truncated"])
def test_a_reply_can_not_be_read_though_the_task_was_made(serve: Serve, kind: str) -> None:
    asker = serve(scenario(Fault(on="create", kind=kind)))
    reply = asker.create()
    assert reply.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|Invalid|codec"):
        reply.json()
    assert asker.server.journal()["billed"]["videos"] == 1


def test_a_slow_reply_comes_after_the_task_was_made(serve: Serve) -> None:
    asker = serve(scenario(Fault(on="create", kind="slow", delay_s=60)))
    with pytest.raises(httpx.ReadTimeout):
        asker.http.post(
            "/services/aigc/image2video/video-synthesis",
            json={"model": "wan2.2-kf2v-flash", "input": {"prompt": "p"}},
            timeout=0.3,
        )
    (create,) = asker.server.journal()["creates"]
    assert create["task_id"]


def test_get_fails_while_list_works(serve: Serve) -> None:
    asker = serve(scenario(Fault(on="get", kind="error", count=2)))
    task_id = asker.task()
    statuses = [asker.http.get(f"/tasks/{task_id}").status_code for _ in range(3)]
    assert statuses == [500, 500, 200]
    assert asker.http.get("/tasks").json()["total"] == 1


def test_a_fault_of_a_download_meets_only_its_clip(serve: Serve) -> None:
    asker = serve(scenario(Fault(on="download", kind="error", status=403, code="AccessDenied", match="bad")))
    good, bad = (asker.get(asker.task(prompt))["video_url"] for prompt in ("good", "bad"))
    assert asker.download(good).status_code == 200
    refused = asker.download(bad)
    assert (refused.status_code, refused.headers["content-type"]) == (403, "application/xml")


def test_a_download_is_cut_in_the_middle_and_can_be_resumed(serve: Serve) -> None:
    asker = serve(scenario(Fault(on="download", kind="cut", count=1)))
    url = asker.get(asker.task())["video_url"]
    received = bytearray()

    def receive(reply: httpx.Response) -> None:
        for chunk in reply.iter_raw():
            received.extend(chunk)

    with httpx.stream("GET", url, trust_env=False) as reply:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            receive(reply)
        assert 0 < len(received) < int(reply.headers["content-length"])
    rest = asker.download(url, headers={"Range": f"bytes={len(received)}-"})
    assert bytes(received) + rest.content == asker.download(url).content


def test_a_slow_download_comes_whole(serve: Serve) -> None:
    asker = serve(scenario(Fault(on="download", kind="slow", count=1, delay_s=0.01)))
    url = asker.get(asker.task())["video_url"]
    assert asker.download(url).content == asker.download(url).content


def test_an_address_can_expire_early(serve: Serve) -> None:
    asker = serve(scenario(Fault(on="download", kind="expired", count=1)))
    url = asker.get(asker.task())["video_url"]
    expired = asker.download(url)
    assert expired.status_code == 403
    assert "Request has expired." in expired.text
    assert asker.download(url).status_code == 200


def test_uploads_and_policies_can_fail_too(serve: Serve) -> None:
    asker = serve(scenario(Fault(on="policy", kind="throttle"), Fault(on="upload", kind="error")))
    assert asker.http.get("/uploads", params={"action": "getPolicy", "model": "m"}).status_code == 429
    assert asker.http.post(asker.server.base_url.replace("/api/v1", "/_upload")).status_code == 500


def test_a_new_task_is_missing_from_a_late_list(serve: Serve) -> None:
    clock = ScriptedClock()
    asker = serve(scenario(list_delay_s=10), clock)
    asker.task()
    assert asker.http.get("/tasks").json()["total"] == 0
    clock.advance(timedelta(seconds=10))
    assert asker.http.get("/tasks").json()["total"] == 1
