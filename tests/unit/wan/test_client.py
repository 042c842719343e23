"""One method, one request: what the client sends, and what it makes of each answer. The transport is the seam."""

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import httpx
import pytest

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.reading import Created, TaskStatus
from kf2v_pipeline.errors import Kf2vError, NotSent, ReplyLost, ServiceError, SettingsError
from kf2v_pipeline.wan.catalog import Service, load_catalog
from kf2v_pipeline.wan.client import WanClient

KEY = "sk-canary-0123456789abcdef"
ACCEPTED = {"output": {"task_status": "PENDING", "task_id": "t-1"}, "request_id": "r-1"}
Ask = Callable[..., Any]
Answer = Callable[..., Any]


def clock() -> datetime:
    return datetime(2026, 5, 1, 12, 0, tzinfo=timezone.utc)


def said(code: str, message: str = "") -> dict[str, str]:
    return {"code": code, "message": message, "request_id": "r-9"}


class TestOpening:
    def test_a_service_that_needs_a_key_is_refused_without_one(self, beijing: Service) -> None:
        with pytest.raises(SettingsError, match="DASHSCOPE_API_KEY: it is not set"):
            WanClient(beijing, None, clock=clock)

    @pytest.mark.parametrize("key", ["sk-canary\n", "sk canary", "sk-cänary", "sk-canary\x00"])
    def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(self, beijing: Service, key: str) -> None:
        with pytest.raises(SettingsError) as caught:
            WanClient(beijing, key, clock=clock)
        assert "nary" not in str(caught.value)

    def test_a_service_without_an_address_can_not_be_spoken_to(self) -> None:
        with pytest.raises(ValueError, match="no base URL"):
            WanClient(load_catalog().service("local"), None, clock=clock)

    def test_a_service_on_this_machine_is_sent_a_placeholder_for_a_key(self, answer: Answer) -> None:
        handler = answer(200, ACCEPTED)
        service = load_catalog().service("http://127.0.0.1:9000/api/v1")

        async def main() -> None:
            transport = httpx.MockTransport(handler)
            async with WanClient(service, None, transport=transport, clock=clock) as client:
                await client.cancel("t-1")

        asyncio.run(main())
        assert handler.seen[0].headers["Authorization"] == "Bearer sk-local"

    def test_a_client_that_is_not_open_says_so(self, beijing: Service) -> None:
        client = WanClient(beijing, KEY, clock=clock)
        with pytest.raises(RuntimeError, match="async with"):
            asyncio.run(client.get("t-1"))


class TestCreate:
    def test_it_is_one_post_with_the_vendors_headers(self, create: Ask, answer: Answer) -> None:
        handler = answer(200, ACCEPTED)
        assert create(handler) == Created(task_id="t-1", request_id="r-1")
        (request,) = handler.seen
        assert request.method == "POST"
        assert request.url.host == "dashscope.aliyuncs.com"
        assert request.url.path == "/api/v1/services/aigc/image2video/video-synthesis"
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert request.headers["X-DashScope-Async"] == "enable"
        assert request.headers["Content-Type"] == "application/json"
        assert "X-DashScope-OssResourceResolve" not in request.headers
        assert "X-DashScope-WorkSpace" not in request.headers
        assert json.loads(request.content)["input"] == {
            "first_frame_url": "https://e.com/1.png",
            "last_frame_url": "https://e.com/2.png",
        }

    @pytest.mark.parametrize(
        "urls", [{"first_frame_url": "oss://d/1.png"}, {"last_frame_url": "oss://d/2.png"}], ids=["first", "last"]
    )
    def test_an_uploaded_frame_asks_to_be_resolved(self, create: Ask, answer: Answer, urls: dict[str, str]) -> None:
        handler = answer(200, ACCEPTED)
        create(handler, **urls)
        assert handler.seen[0].headers["X-DashScope-OssResourceResolve"] == "enable"

    def test_the_sub_workspace_goes_in_its_header(self, create: Ask, answer: Answer) -> None:
        handler = answer(200, ACCEPTED)
        create(handler, workspace="ws-1")
        assert handler.seen[0].headers["X-DashScope-WorkSpace"] == "ws-1"

    def test_a_sub_workspace_that_no_header_takes_is_named_as_its_setting(self, create: Ask, answer: Answer) -> None:
        with pytest.raises(SettingsError, match="KF2V_WORKSPACE"):
            create(answer(), workspace="ws 1")

    def test_prompts_travel_in_any_script(self, create: Ask, answer: Answer, make_clip: Callable[..., Clip]) -> None:
        handler = answer(200, ACCEPTED)
        create(handler, clip=make_clip(prompt="一只黑色小猫 🐈 \ud800"))
        assert json.loads(handler.seen[0].content)["input"]["prompt"] == "一只黑色小猫 🐈 ?"

    def test_a_model_that_the_service_lacks_sends_nothing(
        self, create: Ask, answer: Answer, make_clip: Callable[..., Clip]
    ) -> None:
        handler = answer(200, ACCEPTED)
        with pytest.raises(SettingsError):
            create(handler, clip=make_clip(model="wan9"))
        assert handler.seen == []

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (400, "InvalidParameter"),
            (400, "SomethingNew"),
            (401, "InvalidApiKey"),
            (403, "AccessDenied"),
            (429, "Throttling.RateQuota"),
            (429, "PostpaidBillOverdue"),
            (500, "ModelServingError"),
            (503, "ModelUnavailable"),
        ],
    )
    def test_the_services_own_refusal_is_its_error(self, create: Ask, answer: Answer, status: int, code: str) -> None:
        handler = answer(status, said(code, "its words"))
        with pytest.raises(ServiceError) as caught:
            create(handler)
        error = caught.value
        assert (error.code, error.message, error.http_status, error.request_id) == (code, "its words", status, "r-9")
        assert len(handler.seen) == 1

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (500, said("InternalError", "inside")),
            (500, said("SystemError")),
            (500, said("RequestTimeOut")),
            (502, said("SomethingNew")),
            (500, b"<html>"),
            (502, b""),
            (503, {"detail": "busy"}),
            (504, b'{"code": "Gate'),
            (403, b"<html>blocked</html>"),
            (408, b""),
            (429, b"slow down"),
            (302, b""),
            (200, b"<html>"),
            (200, b""),
            (200, b'{"output": {"task_id": "t-1'),
            (200, {"output": None}),
            (200, said("Throttling")),
            (201, {}),
        ],
    )
    def test_whatever_leaves_the_outcome_open_is_a_lost_reply(
        self, create: Ask, answer: Answer, status: int, body: object
    ) -> None:
        handler = answer(status, body)
        with pytest.raises(ReplyLost, match="create: "):
            create(handler)
        assert len(handler.seen) == 1

    def test_a_lost_reply_keeps_the_services_words(self, create: Ask, answer: Answer) -> None:
        with pytest.raises(ReplyLost, match="create: HTTP 500, InternalError: inside"):
            create(answer(500, said("InternalError", "inside")))

    @pytest.mark.parametrize("status", [404, 405, 407, 413, 414, 431])
    def test_a_gateway_that_handles_no_such_request_is_a_refusal(
        self, create: Ask, answer: Answer, status: int
    ) -> None:
        with pytest.raises(ServiceError) as caught:
            create(answer(status, b"<html>nginx</html>", headers={"content-type": "text/html"}))
        assert caught.value.code == f"HttpStatus{status}"

    @pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError])
    def test_what_fails_before_the_first_byte_was_not_sent(self, create: Ask, error: type[Exception]) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            raise error(f"to {request.url} with {KEY}")

        with pytest.raises(NotSent) as caught:
            create(handler)
        assert "canary" not in str(caught.value)
        assert "aliyuncs" not in str(caught.value)

    @pytest.mark.parametrize(
        "error",
        [
            httpx.ReadTimeout,
            httpx.WriteTimeout,
            httpx.ReadError,
            httpx.WriteError,
            httpx.CloseError,
            httpx.RemoteProtocolError,
            httpx.LocalProtocolError,
            httpx.DecodingError,
            OSError,
            RuntimeError,
            KeyError,
        ],
    )
    def test_what_fails_later_is_a_lost_reply(self, create: Ask, error: type[Exception]) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            raise error(f"to {request.url} with {KEY}")

        with pytest.raises(ReplyLost) as caught:
            create(handler)
        assert "canary" not in str(caught.value)

    def test_an_error_drags_no_request_along(self, create: Ask) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            raise httpx.ReadTimeout("", request=request)

        with pytest.raises(ReplyLost) as caught:
            create(handler)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None


class TestGet:
    def test_it_reads_the_task_at_the_clocks_instant(self, ask: Ask, answer: Answer) -> None:
        handler = answer(200, {"output": {"task_id": "t-1", "task_status": "PENDING"}})
        reading = ask(handler, lambda client: client.get("t-1"))
        assert reading.status is TaskStatus.PENDING
        assert reading.read_at.isoformat() == "2026-05-01T12:00:00+00:00"
        (request,) = handler.seen
        assert (request.method, request.url.path) == ("GET", "/api/v1/tasks/t-1")
        assert "X-DashScope-Async" not in request.headers

    def test_a_task_id_that_is_no_path_stays_one_name(self, ask: Ask, answer: Answer) -> None:
        handler = answer(200, {"output": {"task_id": "a/../b?c", "task_status": "UNKNOWN"}})
        ask(handler, lambda client: client.get("a/../b?c"))
        assert handler.seen[0].url.raw_path == b"/api/v1/tasks/a%2F..%2Fb%3Fc"

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (200, {"output": {"task_id": "t-2", "task_status": "SUCCEEDED"}}),
            (200, {"output": None}),
            (200, b"<html>"),
            (404, b"<html>"),
            (502, b""),
            (302, b""),
        ],
    )
    def test_what_does_not_tell_of_that_task_tells_nothing(
        self, ask: Ask, answer: Answer, status: int, body: object
    ) -> None:
        with pytest.raises(ReplyLost, match="get: "):
            ask(answer(status, body), lambda client: client.get("t-1"))

    def test_the_services_refusal_is_its_error(self, ask: Ask, answer: Answer) -> None:
        with pytest.raises(ServiceError, match=r"Throttling\.RateQuota"):
            ask(answer(429, said("Throttling.RateQuota")), lambda client: client.get("t-1"))


class TestList:
    def test_it_asks_for_a_page(self, ask: Ask, answer: Answer) -> None:
        handler = answer(200, {"total": 0, "data": []})
        ask(handler, lambda client: client.list(model="wan2.2-kf2v-flash", page=2))
        (request,) = handler.seen
        assert request.url.path == "/api/v1/tasks"
        assert dict(request.url.params) == {"model_name": "wan2.2-kf2v-flash", "page_no": "2", "page_size": "100"}

    @pytest.mark.parametrize(("status", "body"), [(200, {"output": None}), (200, b""), (503, b""), (404, b"<html>")])
    def test_no_list_is_never_an_empty_one(self, ask: Ask, answer: Answer, status: int, body: object) -> None:
        with pytest.raises(ReplyLost, match="list: "):
            ask(answer(status, body), lambda client: client.list())


class TestCancel:
    def test_it_is_an_empty_post(self, ask: Ask, answer: Answer) -> None:
        handler = answer(200, {"request_id": "r"})
        ask(handler, lambda client: client.cancel("t-1"))
        (request,) = handler.seen
        assert (request.method, request.url.path, request.content) == ("POST", "/api/v1/tasks/t-1/cancel", b"")

    def test_a_task_that_waits_no_more_can_not_be_canceled(self, ask: Ask, answer: Answer) -> None:
        with pytest.raises(ServiceError) as caught:
            ask(answer(400, said("UnsupportedOperation", "Failed to cancel")), lambda client: client.cancel("t-1"))
        assert caught.value.code == "UnsupportedOperation"


class TestUpload:
    HOST = "https://dashscope-file-mgr.oss-cn-beijing.aliyuncs.com"

    def upload(self, ask: Ask, stored: httpx.Response, seen: list[httpx.Request], host: str = HOST) -> Any:
        policy = {
            "policy": "canary-policy",
            "signature": "canary-signature",
            "upload_dir": "dashscope-instant/52af/b744",
            "upload_host": host,
            "oss_access_key_id": "canary-id",
            "x_oss_object_acl": "private",
            "x_oss_forbid_overwrite": "true",
        }

        def handler(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return stored if request.url.host in self.HOST else httpx.Response(200, json={"data": policy})

        return ask(handler, lambda client: client.upload("first.png", b"\x89PNG", "wan2.2-kf2v-flash"))

    def test_the_form_has_the_sdks_fields_the_file_last_and_no_key(self, ask: Ask) -> None:
        seen: list[httpx.Request] = []
        address = self.upload(ask, httpx.Response(200), seen)
        assert address == "oss://dashscope-instant/52af/b744/first.png"
        asked, posted = seen
        assert dict(asked.url.params) == {"action": "getPolicy", "model": "wan2.2-kf2v-flash"}
        assert asked.headers["Authorization"] == f"Bearer {KEY}"
        assert "Authorization" not in posted.headers
        assert KEY.encode() not in posted.content
        names = [part.split(b'"')[1] for part in posted.content.split(b"form-data; name=")[1:]]
        assert names == [
            b"OSSAccessKeyId",
            b"Signature",
            b"policy",
            b"x-oss-object-acl",
            b"x-oss-forbid-overwrite",
            b"key",
            b"success_action_status",
            b"x-oss-content-type",
            b"file",
        ]
        assert b"\r\n\r\ndashscope-instant/52af/b744/first.png\r\n" in posted.content
        assert b"Content-Type: image/png\r\n\r\n\x89PNG\r\n" in posted.content

    def test_the_storages_refusal_carries_no_signature(self, ask: Ask) -> None:
        refusal = "<Error><Code>AccessDenied</Code><Message>Policy expired.</Message><X>canary</X></Error>"
        with pytest.raises(ServiceError) as caught:
            self.upload(ask, httpx.Response(403, text=refusal), [])
        assert str(caught.value) == "UploadRefused: HTTP 403, AccessDenied: Policy expired."

    @pytest.mark.parametrize("host", ["ftp://h/", "nowhere", "https://h:port/", "https://h\x01/"])
    def test_a_policy_that_leads_nowhere_uploads_nothing(self, ask: Ask, host: str) -> None:
        seen: list[httpx.Request] = []
        with pytest.raises(ReplyLost, match="no http"):
            self.upload(ask, httpx.Response(200), seen, host)
        assert len(seen) == 1

    def test_a_bad_key_is_told_by_the_policys_refusal(self, ask: Ask, answer: Answer) -> None:
        with pytest.raises(ServiceError, match="InvalidApiKey"):
            ask(answer(401, said("InvalidApiKey")), lambda client: client.upload("a.png", b"", "m"))


class TestSecrets:
    @pytest.mark.parametrize("status", [400, 429, 500])
    def test_a_service_that_repeats_the_key_is_not_repeated(self, create: Ask, answer: Answer, status: int) -> None:
        with pytest.raises(Kf2vError) as caught:
            create(answer(status, said(f"Bad-{KEY}", f"Incorrect API key provided: {KEY}.")))
        assert "canary" not in f"{caught.value} {caught.value!r} {vars(caught.value)}"

    def test_a_failed_task_that_repeats_the_key_is_not_repeated(self, ask: Ask, answer: Answer) -> None:
        output = {"task_id": "t-1", "task_status": "FAILED", "code": "E", "message": f"key {KEY}"}
        reading = ask(answer(200, {"output": output}), lambda client: client.get("t-1"))
        assert reading.message == "key …"

    def test_the_log_of_the_http_library_shows_no_query_and_no_key(
        self, ask: Ask, answer: Answer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def use(client: WanClient) -> None:
            async with client.download("https://b.oss.com/v.mp4?Signature=canary") as download:
                assert [chunk async for chunk in download]

        with caplog.at_level(logging.DEBUG):
            ask(answer(200, b"film"), use)
        assert "https://b.oss.com/v.mp4" in caplog.text
        assert "canary" not in caplog.text

    def test_a_client_shows_no_key(self, beijing: Service) -> None:
        client = WanClient(beijing, KEY, clock=clock)
        assert "canary" not in f"{client!r} {client}"
