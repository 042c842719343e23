"""The bare HTTP of the vendor's page, as curl speaks it: headers, envelopes, and each reply's exact shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import httpx
import pytest

from kf2v_pipeline.localserver.clock import ScriptedClock
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.scenario import Duration, Scenario

FLASH, WAN27 = "wan2.2-kf2v-flash", "wan2.7-i2v"
KF2V, MEDIA = (f"/services/aigc/{family}/video-synthesis" for family in ("image2video", "video-generation"))
KEY = {"Authorization": "Bearer sk-x"}
HEADERS = {**KEY, "X-DashScope-Async": "enable"}
NOON = datetime(2026, 1, 1, 4, tzinfo=timezone.utc)
"""Twelve o'clock in UTC+8."""

Serve = Callable[..., LocalServer]
Frames = dict[str, str]


def send(server: LocalServer, method: str, path: str, **parts: Any) -> httpx.Response:
    headers = parts.pop("headers", HEADERS)
    return httpx.request(method, server.base_url + path, headers=headers, trust_env=False, timeout=30, **parts)


def create(server: LocalServer, body: Any, path: str = KF2V) -> str:
    reply = send(server, "POST", path, json=body)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["output"]["task_id"])


def end(server: LocalServer, task_id: str) -> dict[str, Any]:
    while True:
        body: dict[str, Any] = send(server, "GET", f"/tasks/{task_id}").json()
        if body["output"]["task_status"] not in ("PENDING", "RUNNING"):
            return body


class TestCreate:
    def test_the_pages_own_example_makes_a_task(self, sdk: LocalServer, frames: Frames) -> None:
        parameters = {"resolution": "480P", "prompt_extend": True}
        body = {"model": FLASH, "input": {**frames, "prompt": "写实风格，一只黑色小猫"}, "parameters": parameters}
        reply = send(sdk, "POST", KF2V, json=body)
        said = reply.json()
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
        assert set(said) == {"output", "request_id"}
        assert set(said["output"]) == {"task_id", "task_status"}
        assert said["output"]["task_status"] == "PENDING"
        assert UUID(said["output"]["task_id"]).version == 4
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-9[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", said["request_id"])
        assert reply.headers["x-request-id"] == said["request_id"]

    def test_parameters_may_be_absent_and_extra_keys_are_ignored(self, sdk: LocalServer, frames: Frames) -> None:
        for extra in ({}, {"parameters": None}, {"parameters": {"size": "1*1"}, "resources": []}):
            asked = {"model": FLASH, "input": {**frames, "function": "video-synthesis", "prompt": None}, **extra}
            assert end(sdk, create(sdk, asked))["output"]["task_status"] == "SUCCEEDED"

    @pytest.mark.parametrize(
        ("model", "path", "resolution"),
        [(FLASH, KF2V, "720P"), ("wan2.1-kf2v-plus", KF2V, "720P"), (WAN27, MEDIA, "1080P")],
    )
    def test_what_is_left_out_has_the_pages_defaults(
        self, sdk: LocalServer, frames: Frames, model: str, path: str, resolution: str
    ) -> None:
        media = [{"type": kind.removesuffix("_url"), "url": url} for kind, url in frames.items()]
        task_id = create(sdk, {"model": model, "input": {**frames, "media": media}}, path)
        (made,) = (create for create in sdk.journal()["creates"] if create["task_id"] == task_id)
        options = {"resolution": resolution, "film_s": 5, "prompt_extend": True, "watermark": False}
        assert options.items() <= made["options"].items()
        assert made["options"]["negative_prompt"] is None

    def test_without_the_async_header_there_are_no_synchronous_calls(self, sdk: LocalServer, frames: Frames) -> None:
        for headers in (KEY, {**KEY, "X-DashScope-Async": "disable"}):
            reply = send(sdk, "POST", KF2V, json={"model": FLASH, "input": frames}, headers=headers)
            assert (reply.status_code, reply.json()["code"]) == (403, "AccessDenied")
            assert reply.json()["message"] == "current user api does not support synchronous calls."

    @pytest.mark.parametrize(
        ("headers", "message"),
        [
            ({}, "No API-key provided."),
            ({"Authorization": "Bearer"}, "No API-key provided."),
            ({"Authorization": "sk-x"}, "No API-key provided."),
            ({"Authorization": "Bearer wrong"}, "Invalid API-key provided."),
        ],
    )
    def test_no_operation_is_for_anybody_without_a_key(
        self, sdk: LocalServer, headers: dict[str, str], message: str
    ) -> None:
        for method, path in (("POST", KF2V), ("GET", "/tasks/1"), ("GET", "/tasks"), ("POST", "/tasks/1/cancel")):
            reply = send(sdk, method, path, headers=headers)
            assert reply.status_code == 401
            body = reply.json()
            assert body == {"code": "InvalidApiKey", "message": message, "request_id": reply.headers["x-request-id"]}
        assert send(sdk, "GET", "/uploads?action=getPolicy&model=m", headers=headers).status_code == 401

    @pytest.mark.parametrize(
        "header", ["X-DashScope-WorkSpace", "X-DashScope-DataInspection", "x-dashscope-sdk-client"]
    )
    def test_optional_headers_are_taken(self, sdk: LocalServer, frames: Frames, header: str) -> None:
        body = {"model": FLASH, "input": frames}
        assert send(sdk, "POST", KF2V, json=body, headers={**HEADERS, header: "enable"}).status_code == 200

    @pytest.mark.parametrize(
        ("path", "body", "code", "message"),
        [
            (KF2V, {"model": WAN27, "input": {"prompt": "p"}}, "InvalidParameter", "url error, please check url！"),
            (MEDIA, {"model": FLASH, "input": {"prompt": "p"}}, "InvalidParameter", "url error, please check url！"),
            ("/services/aigc/else", {"model": FLASH}, "InvalidParameter", "url error, please check url！"),
            (KF2V, {"model": "wanx-kf2v", "input": {"prompt": "p"}}, "InvalidParameter", "Model not exist."),
            (KF2V, {"input": {}}, "BadRequest.EmptyModel", 'Required parameter "model" missing from request.'),
            (KF2V, {"model": FLASH}, "BadRequest.EmptyInput", "Required input parameter missing from request."),
            (KF2V, {"model": FLASH, "input": "p"}, "BadRequest.IllegalInput", "The input parameter requires json"),
            (KF2V, {"model": FLASH, "input": {"prompt": "p"}, "parameters": "x"}, "BadRequest.IllegalInput", "The in"),
            (KF2V, [1], "InvalidParameter", "Required body invalid, please check the request body format."),
        ],
    )
    def test_a_wrong_envelope_is_refused_at_once(
        self, sdk: LocalServer, path: str, body: Any, code: str, message: str
    ) -> None:
        reply = send(sdk, "POST", path, json=body)
        assert (reply.status_code, reply.json()["code"]) == (400, code)
        assert reply.json()["message"].startswith(message)

    def test_a_body_of_more_than_the_gateway_takes_is_refused(self, sdk: LocalServer) -> None:
        reply = send(sdk, "POST", KF2V, content=b" " * (32 * 1024 * 1024 + 1))
        assert (reply.status_code, reply.json()["code"]) == (400, "BadRequest.TooLarge")

    def test_another_method_is_refused_by_name(self, sdk: LocalServer) -> None:
        reply = send(sdk, "GET", KF2V)
        assert (reply.status_code, reply.json()["message"]) == (400, "Request method 'GET' is not supported.")


WRONG_VALUES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"first_frame_url": None}, {}, "Field required: input.first_frame_url"),
    ({"last_frame_url": None}, {}, "Field required: input.last_frame_url"),
    ({"prompt": 5}, {}, "Input should be a valid string"),
    ({}, {"resolution": "720p"}, "Input should be '480P', '720P' or '1080P'"),
    ({}, {"seed": 1.5}, "Input should be a valid integer"),
    ({}, {"seed": True}, "Input should be a valid integer"),
    ({}, {"duration": 10}, "duration customization is not supported"),
    ({}, {"watermark": "yes"}, "Input should be a valid boolean"),
    ({}, {"prompt_extend": 1}, "Input should be a valid boolean"),
    ({"last_frame_url": "ftp://host/frame.png"}, {}, "Required URL is missing or invalid"),
    ({"last_frame_url": "file:///frame.png"}, {}, "Required URL is missing or invalid"),
    ({"last_frame_url": "data:image/png;base64,aGVsbG8="}, {}, "image format error"),
    ({"last_frame_url": "data:image/png;base64,!"}, {}, "Failed to decode the image"),
]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server that looks at values before it answers."""
    scenario = Scenario(values_at_create=True, submit_rps=1000)
    with LocalServer(tmp_path_factory.mktemp("strict"), scenario=scenario) as server:
        yield server


class TestValues:
    @pytest.mark.parametrize(("changes", "parameters", "message"), WRONG_VALUES)
    def test_a_wrong_value_gets_a_task_that_fails_a_moment_later(
        self, sdk: LocalServer, frames: Frames, changes: dict[str, Any], parameters: dict[str, Any], message: str
    ) -> None:
        """Four independent reports of live traffic: create answers 200, the task turns FAILED."""
        failed = end(sdk, create(sdk, {"model": FLASH, "input": {**frames, **changes}, "parameters": parameters}))
        code = "InvalidURL" if "URL" in message else "InvalidParameter"
        assert (failed["output"]["task_status"], failed["output"]["code"]) == ("FAILED", code)
        assert failed["output"]["message"].startswith(message)

    @pytest.mark.parametrize(("changes", "parameters", "message"), WRONG_VALUES)
    def test_by_switch_a_wrong_value_is_refused_at_once(
        self, strict: LocalServer, frames: Frames, changes: dict[str, Any], parameters: dict[str, Any], message: str
    ) -> None:
        """So old documents say."""
        body = {"model": FLASH, "input": {**frames, **changes}, "parameters": parameters}
        reply = send(strict, "POST", KF2V, json=body)
        assert reply.status_code == 400
        assert reply.json()["message"].startswith(message)

    @pytest.mark.parametrize(
        ("kinds", "status"),
        [
            (["first_frame"], "SUCCEEDED"),
            (["last_frame", "first_frame"], "SUCCEEDED"),
            (["last_frame"], "FAILED"),
            (["first_frame", "first_frame"], "FAILED"),
            (["first_frame", "driving_audio"], "FAILED"),
            (["first_clip"], "FAILED"),
            ([], "FAILED"),
        ],
    )
    def test_the_successor_takes_each_kind_of_frame_once(
        self, sdk: LocalServer, frames: Frames, kinds: list[str], status: str
    ) -> None:
        """Audio and clips are not imitated; the server says so when it starts."""
        media = [{"type": kind, "url": frames["first_frame_url"]} for kind in kinds]
        body = {"model": WAN27, "input": {"prompt": "p", "media": media}, "parameters": {"duration": 2}}
        assert end(sdk, create(sdk, body, MEDIA))["output"]["task_status"] == status


class TestGet:
    @pytest.fixture
    def clock(self) -> ScriptedClock:
        return ScriptedClock(NOON)

    def test_each_status_has_its_fields_and_its_times_are_of_utc_plus_8(
        self, serve: Serve, clock: ScriptedClock, frames: Frames
    ) -> None:
        server = serve(Scenario(stand_in=True, pending_s=1.5, durations=(Duration(median_s=60),)), clock)
        task_id = create(server, {"model": FLASH, "input": {**frames, "prompt": "p"}})

        def look(seconds: float) -> dict[str, Any]:
            clock.advance(timedelta(seconds=seconds))
            reply = send(server, "GET", f"/tasks/{task_id}")
            assert reply.headers["content-type"] == "application/json;charset=UTF-8"
            body: dict[str, Any] = reply.json()
            assert body.pop("request_id") == reply.headers["x-request-id"]
            return body

        submitted = {"task_id": task_id, "submit_time": "2026-01-01 12:00:00.000"}
        started = {**submitted, "scheduled_time": "2026-01-01 12:00:01.500"}
        assert look(0) == {"output": {**submitted, "task_status": "PENDING"}}
        assert look(1.5) == {"output": {**started, "task_status": "RUNNING"}}
        done = look(60)
        assert done["output"].pop("video_url").startswith(server.base_url.replace("/api/v1", "/_files/"))
        assert done == {
            "output": {
                **started,
                "task_status": "SUCCEEDED",
                "end_time": "2026-01-01 12:01:01.500",
                "orig_prompt": "p",
                "actual_prompt": "p A cut from the first frame to the last.",
            },
            "usage": {"video_duration": 5, "video_count": 1, "SR": 720},
        }
        assert look(86_400) == {"output": {"task_id": task_id, "task_status": "UNKNOWN"}}

    def test_a_failed_task_has_code_and_message_and_no_usage(self, serve: Serve, frames: Frames) -> None:
        fault = Fault(on="task", kind="fail", code="InvalidParameter", message="The size is not match xxxxxx")
        server = serve(Scenario(stand_in=True, faults=(fault,)))
        body = end(server, create(server, {"model": FLASH, "input": frames}))
        assert set(body) == {"output", "request_id"}
        assert body["output"]["code"] == "InvalidParameter"
        assert body["output"]["message"] == "The size is not match xxxxxx"
        assert "video_url" not in body["output"]

    def test_a_canceled_task_has_its_end_and_no_start(self, serve: Serve, clock: ScriptedClock, frames: Frames) -> None:
        server = serve(Scenario(stand_in=True, pending_s=60), clock)
        task_id = create(server, {"model": FLASH, "input": frames})
        reply = send(server, "POST", f"/tasks/{task_id}/cancel")
        assert (reply.status_code, set(reply.json())) == (200, {"request_id"})
        time = "2026-01-01 12:00:00.000"
        canceled = {"task_id": task_id, "task_status": "CANCELED", "submit_time": time, "end_time": time}
        assert send(server, "GET", f"/tasks/{task_id}").json()["output"] == canceled

    def test_a_task_is_seen_by_every_key_of_the_account(self, sdk: LocalServer, frames: Frames) -> None:
        task_id = create(sdk, {"model": FLASH, "input": frames})
        reply = send(sdk, "GET", f"/tasks/{task_id}", headers={"Authorization": "Bearer sk-other"})
        assert reply.json()["output"]["task_status"] == "SUCCEEDED"

    @pytest.mark.parametrize("slash", ["", "/"])
    def test_every_path_is_there_with_and_without_a_slash(self, sdk: LocalServer, frames: Frames, slash: str) -> None:
        reply = send(sdk, "POST", KF2V + slash, json={"model": FLASH, "input": frames})
        task_id = reply.json()["output"]["task_id"]
        assert send(sdk, "GET", f"/tasks/{task_id}{slash}").json()["output"]["task_id"] == task_id
        assert send(sdk, "GET", f"/tasks{slash}").json()["total"] > 0
        assert send(sdk, "POST", f"/tasks/{task_id}/cancel{slash}", json={"input": ""}).status_code == 400
        assert send(sdk, "GET", f"/uploads{slash}?action=getPolicy&model=m").status_code == 200


class TestList:
    def test_the_body_is_flat_and_a_row_has_the_recorded_fields(self, serve: Serve, frames: Frames) -> None:
        clock = ScriptedClock(NOON)
        server = serve(Scenario(stand_in=True, pending_s=1, durations=(Duration(median_s=9),)), clock)
        made = send(server, "POST", KF2V, json={"model": FLASH, "input": frames}).json()
        begin = round(NOON.timestamp() * 1000)

        def row(seconds: float) -> dict[str, Any]:
            clock.advance(timedelta(seconds=seconds))
            body = send(server, "GET", "/tasks").json()
            (found,) = body.pop("data")
            page = {"total": 1, "total_page": 1, "page_no": 1, "page_size": 10, "request_id": body["request_id"]}
            assert body == page
            return {name: value for name, value in found.items() if name not in ("api_key_id", "region")}

        waiting = {
            "task_id": made["output"]["task_id"],
            "request_id": made["request_id"],
            "status": "PENDING",
            "model_name": FLASH,
            "gmt_create": begin,
            "caller_uid": "1000000000000000",
            "caller_parent_id": "1000000000000000",
            "user_api_unique_key": f"apikey:v1:aigc:image2video:video-synthesis:{FLASH}",
        }
        running = {**waiting, "status": "RUNNING", "start_time": begin + 1000}
        assert row(0) == waiting
        assert row(1) == running
        assert row(9) == {**running, "status": "SUCCEEDED", "end_time": begin + 10_000}

    def test_a_query_that_can_not_be_read_is_refused(self, sdk: LocalServer) -> None:
        for query in ("status=DONE", "page_no=0", "page_size=x", "start_time=2026", "end_time=20260230000000"):
            reply = send(sdk, "GET", f"/tasks?{query}")
            assert (reply.status_code, reply.json()["code"]) == (400, "InvalidParameter")


class TestUploads:
    def test_a_policy_has_the_recorded_fields(self, sdk: LocalServer) -> None:
        reply = send(sdk, "GET", f"/uploads?action=getPolicy&model={FLASH}", headers=KEY)
        body = reply.json()
        data = body["data"]
        assert (reply.headers["content-type"], set(body)) == ("application/json", {"data", "request_id"})
        assert set(data) == {
            *("policy", "signature", "upload_dir", "upload_host", "expire_in_seconds", "max_file_size_mb"),
            *("capacity_limit_mb", "oss_access_key_id", "x_oss_object_acl", "x_oss_forbid_overwrite"),
        }
        assert (data["expire_in_seconds"], data["max_file_size_mb"], data["x_oss_object_acl"]) == (300, 100, "private")
        assert data["upload_dir"].startswith("dashscope-instant/")
        assert data["upload_dir"].endswith(body["request_id"])

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("model=m", "InvalidParameter"),
            ("action=get&model=m", "InvalidParameter"),
            ("action=getPolicy", "BadRequest.EmptyModel"),
        ],
    )
    def test_a_policy_needs_its_action_and_its_model(self, sdk: LocalServer, query: str, code: str) -> None:
        reply = send(sdk, "GET", f"/uploads?{query}")
        assert (reply.status_code, reply.json()["code"]) == (400, code)

    def test_the_hundred_and_first_policy_in_a_second_is_throttled(self, serve: Serve) -> None:
        """Page of temporary uploads: 100 a second, by account and model."""
        server = serve(Scenario(), ScriptedClock())
        with httpx.Client(headers=KEY, trust_env=False) as http:
            path = f"{server.base_url}/uploads?action=getPolicy&model="
            statuses = [http.get(f"{path}{FLASH}").status_code for _ in range(101)]
            assert statuses == [200] * 100 + [429]
            assert http.get(f"{path}{WAN27}").status_code == 200
