"""The wire format: what is sent for a clip, and what each reply, the odd ones too, is read as."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.reading import Created, ListedTask, TaskStatus, Usage
from kf2v_pipeline.errors import ReplyLost
from kf2v_pipeline.wan import wire
from kf2v_pipeline.wan.catalog import load_catalog

MakeClip = Callable[..., Clip]
BEIJING = load_catalog().service("beijing")
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=timezone.utc)
FIRST, LAST = "https://e.com/1.png", "https://e.com/2.png"


def at(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=timezone.utc)


def body(document: object) -> bytes:
    return json.dumps(document).encode()


def task(**output: Any) -> bytes:
    return body({"request_id": "r-1", "output": {"task_id": "t-1", "task_status": "RUNNING", **output}})


class TestCreate:
    def test_a_plain_clip_is_the_vendors_own_example(self, make_clip: MakeClip) -> None:
        clip = make_clip(prompt="a cat")
        assert wire.create_body(clip, BEIJING.model(None), FIRST, LAST) == {
            "model": "wan2.2-kf2v-flash",
            "input": {"first_frame_url": FIRST, "last_frame_url": LAST, "prompt": "a cat"},
            "parameters": {"resolution": "480P", "prompt_extend": True, "watermark": False},
        }

    def test_every_option_is_written_out(self, make_clip: MakeClip) -> None:
        clip = make_clip(negative_prompt="people", seed=0, prompt_extend=False, watermark=True, template="hanfu-1")
        made = wire.create_body(clip, BEIJING.model(None), FIRST, None)
        assert made["input"] == {"first_frame_url": FIRST, "template": "hanfu-1", "negative_prompt": "people"}
        assert made["parameters"] == {"resolution": "480P", "prompt_extend": False, "watermark": True, "seed": 0}

    def test_the_media_protocol_names_each_frame_and_the_seconds(self, make_clip: MakeClip) -> None:
        clip = make_clip(model="wan2.7-i2v", resolution="720P", prompt="a cat", duration_s=12)
        made = wire.create_body(clip, BEIJING.model("wan2.7-i2v"), FIRST, LAST)
        media = [{"type": "first_frame", "url": FIRST}, {"type": "last_frame", "url": LAST}]
        assert made["input"] == {"media": media, "prompt": "a cat"}
        assert made["parameters"]["duration"] == 12

    def test_the_body_carries_the_services_spelling_of_the_model(self, make_clip: MakeClip) -> None:
        clip = make_clip(model="wan2.1-kf2v-plus")
        assert wire.create_body(clip, BEIJING.model(clip.model), FIRST, LAST)["model"] == "wanx2.1-kf2v-plus"

    @pytest.mark.parametrize(
        ("model", "path"),
        [
            ("wan2.2-kf2v-flash", "/services/aigc/image2video/video-synthesis"),
            ("wanx2.1-kf2v-plus", "/services/aigc/image2video/video-synthesis"),
            ("wan2.7-i2v", "/services/aigc/video-generation/video-synthesis"),
        ],
    )
    def test_each_family_has_its_path(self, model: str, path: str) -> None:
        assert wire.create_path(BEIJING.model(model)) == path

    def test_the_reply_names_the_task(self) -> None:
        reply = body({"output": {"task_status": "PENDING", "task_id": "t-1"}, "request_id": "r-1", "extra": [1]})
        assert wire.read_created(reply) == Created(task_id="t-1", request_id="r-1")

    @pytest.mark.parametrize(
        "reply",
        [
            b"",
            b"<html>OK</html>",
            b'{"output": {"task_id": "t-1"',
            b'{"output": null}',
            b'{"output": {"task_id": null}}',
            b'{"output": {"task_id": ""}}',
            b'{"output": {"task_id": 7}}',
            b'{"output": []}',
            b'{"code": "Throttling", "message": "slow"}',
            b"[]",
            b"\xff\xfe",
            b"[" * 100_000,
        ],
    )
    def test_a_reply_without_a_task_is_lost_and_not_refused(self, reply: bytes) -> None:
        with pytest.raises(ReplyLost):
            wire.read_created(reply)


class TestTask:
    def test_a_succeeded_task_of_the_vendors_page_is_read_whole(self) -> None:
        reading = wire.read_task(
            body(
                {
                    "request_id": "ec016349-6b14-9ad6-8009-xxxxxx",
                    "output": {
                        "task_id": "3f21a745",
                        "task_status": "SUCCEEDED",
                        "submit_time": "2025-04-18 10:36:58.394",
                        "scheduled_time": "2025-04-18 10:37:13.802",
                        "end_time": "2025-04-18 10:45:23.004",
                        "video_url": "https://dashscope-result-wlcb.oss-cn-wulanchabu.aliyuncs.com/xxx.mp4?sig",
                        "orig_prompt": "a cat",
                        "actual_prompt": "a black cat",
                    },
                    "usage": {"video_duration": 5, "video_count": 1, "SR": 480},
                }
            ),
            read_at=NOW,
        )
        assert reading.status is TaskStatus.SUCCEEDED
        assert reading.read_at == NOW
        assert reading.submitted_at == at(2025, 4, 18, 2, 36, 58, 394000)
        assert reading.started_at == at(2025, 4, 18, 2, 37, 13, 802000)
        assert reading.ended_at == at(2025, 4, 18, 2, 45, 23, 4000)
        assert reading.video_url == "https://dashscope-result-wlcb.oss-cn-wulanchabu.aliyuncs.com/xxx.mp4?sig"
        assert (reading.orig_prompt, reading.actual_prompt) == ("a cat", "a black cat")
        assert reading.usage == Usage(video_count=1, duration_s=5, resolution=480)
        assert (reading.code, reading.message) == (None, None)

    def test_a_failed_task_keeps_the_services_words(self) -> None:
        reading = wire.read_task(
            task(task_status="FAILED", code="InvalidParameter", message="The size is not match"), read_at=NOW
        )
        assert (reading.code, reading.message) == ("InvalidParameter", "The size is not match")

    def test_a_failed_task_may_give_its_reason_outside_of_the_output(self) -> None:
        reply = body({"output": {"task_id": "t", "task_status": "FAILED"}, "code": "InternalError", "message": "m"})
        reading = wire.read_task(reply, read_at=NOW)
        assert (reading.code, reading.message) == ("InternalError", "m")

    def test_a_task_that_did_not_fail_has_no_code(self) -> None:
        reading = wire.read_task(task(task_status="RUNNING", code="", message="fine"), read_at=NOW)
        assert (reading.code, reading.message) == (None, None)

    def test_an_expired_task_is_unknown(self) -> None:
        reading = wire.read_task(task(task_status="UNKNOWN"), read_at=NOW)
        assert reading.status is TaskStatus.UNKNOWN
        assert reading.submitted_at is None

    @pytest.mark.parametrize("word", ["SUSPENDED", "QUEUED", "EXPIRED", "running"])
    def test_a_status_that_nobody_documented_is_a_task_under_way(self, word: str) -> None:
        assert wire.read_task(task(task_status=word), read_at=NOW).status is TaskStatus.RUNNING

    def test_a_succeeded_task_without_a_url_stays_succeeded(self) -> None:
        reading = wire.read_task(task(task_status="SUCCEEDED", video_url=""), read_at=NOW)
        assert reading.status is TaskStatus.SUCCEEDED
        assert reading.video_url is None

    def test_fields_of_the_wrong_kind_are_absent_fields(self) -> None:
        reading = wire.read_task(
            task(submit_time=[], end_time="soon", video_url={}, orig_prompt=7, actual_prompt=None), read_at=NOW
        )
        assert reading.submitted_at is reading.ended_at is reading.video_url is None
        assert reading.orig_prompt is reading.actual_prompt is None

    def test_texts_can_be_stored_by_any_database(self) -> None:
        reading = wire.read_task(task(orig_prompt="a\x00b\ud800c"), read_at=NOW)
        assert reading.orig_prompt == "ab?c"

    @pytest.mark.parametrize(
        "reply",
        [
            b"",
            b"<html>502</html>",
            b'{"output": {"task_id": "t", "task_st',
            b'{"output": null, "request_id": "r"}',
            b'{"output": "t"}',
            b'{"output": {"task_status": "SUCCEEDED"}}',
            b'{"output": {"task_id": "t"}}',
            b'{"output": {"task_id": "t", "task_status": null}}',
            b'{"output": {"task_id": "t", "task_status": 3}}',
            b"null",
        ],
    )
    def test_a_reply_without_task_or_status_says_nothing(self, reply: bytes) -> None:
        with pytest.raises(ReplyLost, match="get: "):
            wire.read_task(reply, read_at=NOW)

    @pytest.mark.parametrize(
        ("usage", "read"),
        [
            ({"video_duration": 5, "video_count": 1, "SR": 480}, Usage(video_count=1, duration_s=5, resolution=480)),
            ({"video_duration": 5, "SR": "720"}, Usage(video_count=1, duration_s=5, resolution=720)),
            ({"video_duration": "5", "SR": "1080P"}, Usage(video_count=1, duration_s=5, resolution=1080)),
            (
                {"video_duration": 5, "video_count": 1, "video_ratio": "standard"},
                Usage(video_count=1, duration_s=5, resolution=None),
            ),
            (
                {"duration": 7, "input_video_duration": 0, "output_video_duration": 7, "video_count": 1, "SR": "720"},
                Usage(video_count=1, duration_s=7, resolution=720),
            ),
            ({"video_duration": 5, "SR": "high"}, Usage(video_count=1, duration_s=5, resolution=None)),
            ({"video_duration": 5, "video_count": 0}, Usage(video_count=0, duration_s=5, resolution=None)),
            ({"SR": 480}, None),
            ({"video_duration": -5}, None),
            ({"video_duration": True}, None),
            ({}, None),
            (None, None),
            ([5], None),
        ],
    )
    def test_usage_is_read_in_every_models_dialect(self, usage: object, read: Usage | None) -> None:
        reply = body({"output": {"task_id": "t", "task_status": "SUCCEEDED"}, "usage": usage})
        assert wire.read_task(reply, read_at=NOW).usage == read


ROW = {
    "api_key_id": "42677",
    "gmt_create": 1745568428109,
    "start_time": 1745568428138,
    "end_time": 1745568932001,
    "model_name": "wanx2.1-kf2v-plus",
    "region": "cn-beijing",
    "request_id": "r-create",
    "status": "SUCCEEDED",
    "task_id": "t-1",
}


class TestList:
    def test_a_recorded_page_is_read_whole(self) -> None:
        page = wire.read_list(
            body({"total": 11, "data": [ROW], "total_page": 2, "page_no": 1, "page_size": 10, "request_id": "r"})
        )
        assert page.tasks == (
            ListedTask(
                task_id="t-1",
                status=TaskStatus.SUCCEEDED,
                model="wanx2.1-kf2v-plus",
                created_at=at(2025, 4, 25, 8, 7, 8, 109000),
                started_at=at(2025, 4, 25, 8, 7, 8, 138000),
                ended_at=at(2025, 4, 25, 8, 15, 32, 1000),
                request_id="r-create",
            ),
        )
        assert (page.page, page.total, page.total_pages, page.unreadable) == (1, 11, 2, 0)

    def test_a_task_in_the_queue_has_no_times_yet(self) -> None:
        row = {"task_id": "t-1", "status": "PENDING", "gmt_create": 1745568428109}
        (listed,) = wire.read_list(body({"total": 1, "data": [row]})).tasks
        assert listed.started_at is listed.ended_at is None

    @pytest.mark.parametrize(
        "row", [None, 5, {}, {"task_id": "t"}, {"status": "RUNNING"}, {"task_id": 1, "status": "X"}]
    )
    def test_a_row_that_can_not_be_read_is_counted_and_spoils_no_other(self, row: object) -> None:
        page = wire.read_list(body({"data": [row, ROW]}))
        assert [listed.task_id for listed in page.tasks] == ["t-1"]
        assert page.unreadable == 1

    def test_an_empty_list_is_empty_whether_written_as_list_or_null(self) -> None:
        assert wire.read_list(body({"total": 0, "data": []})).tasks == ()
        assert wire.read_list(body({"total": 0, "data": None})).tasks == ()

    @pytest.mark.parametrize(
        "reply",
        [
            b"",
            b"<html>",
            b'{"data": [',
            b"{}",
            b'{"data": null}',
            b'{"total": 3, "data": null}',
            b'{"total": 0, "data": {}}',
            b'{"output": null}',
            b'{"code": "Throttling"}',
        ],
    )
    def test_a_reply_without_a_list_is_never_an_empty_list(self, reply: bytes) -> None:
        with pytest.raises(ReplyLost, match="list: "):
            wire.read_list(reply)

    def test_the_window_is_written_in_the_services_zone_and_rounded_outwards(self) -> None:
        query = wire.list_parameters(
            since=at(2026, 5, 1, 20, 0, 0, 900000),
            until=at(2026, 5, 1, 21, 0, 0, 100000),
            model="m",
            page=2,
            page_size=50,
        )
        assert query == {
            "start_time": "20260502040000",
            "end_time": "20260502050001",
            "model_name": "m",
            "page_no": "2",
            "page_size": "50",
        }

    def test_without_a_window_the_service_chooses_it(self) -> None:
        query = wire.list_parameters(since=None, until=None, model=None, page=1, page_size=100)
        assert query == {"page_no": "1", "page_size": "100"}

    def test_a_window_of_more_than_a_day_loses_its_oldest_part(self) -> None:
        query = wire.list_parameters(since=NOW - timedelta(hours=25), until=NOW, model=None, page=1, page_size=1)
        assert query["start_time"] == "20260430200000"
        assert query["end_time"] == "20260501200000"


class TestError:
    def test_the_services_error_keeps_its_words(self) -> None:
        reply = body({"code": "InvalidApiKey", "message": "No API-key provided.", "request_id": "r-1"})
        error = wire.read_error(401, reply, "application/json;charset=UTF-8")
        assert error is not None
        assert (error.code, error.message) == ("InvalidApiKey", "No API-key provided.")
        assert (error.http_status, error.request_id) == (401, "r-1")

    def test_the_openai_shape_of_the_vendors_gateways_is_an_error_too(self) -> None:
        reply = body({"error": {"code": "invalid_api_key", "message": "Incorrect key", "type": "x"}})
        error = wire.read_error(401, reply, "application/json")
        assert error is not None
        assert (error.code, error.message) == ("invalid_api_key", "Incorrect key")

    def test_a_code_alone_is_enough(self) -> None:
        error = wire.read_error(400, b'{"code": "InvalidURL", "message": null}', "")
        assert error is not None
        assert (error.code, error.message, error.request_id) == ("InvalidURL", "", None)

    @pytest.mark.parametrize(
        ("reply", "content_type"),
        [
            (b"<html>502 Bad Gateway</html>", "text/html"),
            (b'{"code": "Throttling"}', "text/html"),
            (b"<html>", "application/json"),
            (b'{"code": "Thrott', "application/json"),
            (b"", ""),
            (b"[]", "application/json"),
            (b'{"code": 500, "message": "x"}', "application/json"),
            (b'{"code": "", "message": "x"}', "application/json"),
            (b'{"message": "x"}', "application/json"),
            (b'{"detail": "Not Found"}', "application/json"),
            (b'{"timestamp": 1, "status": 404, "error": "Not Found", "path": "/"}', "application/json"),
            (b'{"error": {"message": "x"}}', "application/json"),
        ],
    )
    def test_what_does_not_have_the_services_shape_is_not_its_error(self, reply: bytes, content_type: str) -> None:
        assert wire.read_error(502, reply, content_type) is None

    def test_urls_in_the_services_words_lose_what_signs_them(self) -> None:
        message = (
            "Failed to download https://me:canary@b.oss.com/a.png?Signature=canary&x=1 and oss://b/k?canary, "
            "(http://c.com/?canary) data:image/png;base64,canary end"
        )
        error = wire.read_error(400, body({"code": "InvalidParameter", "message": message}), "application/json")
        assert error is not None
        assert error.message == "Failed to download https://b.oss.com/a.png and oss://b/k (http://c.com/ data:… end"

    @pytest.mark.parametrize("words", ["x", "http", "data:", "http://", "a?"])
    def test_endless_words_are_cut_and_take_no_time(self, words: str) -> None:
        error = wire.read_error(400, body({"code": "E", "message": words * 500_000}), "application/json")
        assert error is not None
        assert len(error.message) <= 2001


POLICY = {
    "policy": "canary-policy",
    "signature": "canary-signature",
    "upload_dir": "dashscope-instant/52af/2025-07-12/b744/",
    "upload_host": "https://dashscope-file-mgr.oss-cn-beijing.aliyuncs.com",
    "expire_in_seconds": 300,
    "oss_access_key_id": "canary-id",
    "x_oss_object_acl": "private",
    "x_oss_forbid_overwrite": "true",
}


class TestUpload:
    def test_a_recorded_policy_becomes_the_forms_fields_in_the_sdks_order(self) -> None:
        policy = wire.read_policy(body({"data": POLICY, "request_id": "r"}))
        assert policy.upload_url == "https://dashscope-file-mgr.oss-cn-beijing.aliyuncs.com"
        assert policy.directory == "dashscope-instant/52af/2025-07-12/b744"
        assert list(policy.fields.items()) == [
            ("OSSAccessKeyId", "canary-id"),
            ("Signature", "canary-signature"),
            ("policy", "canary-policy"),
            ("x-oss-object-acl", "private"),
            ("x-oss-forbid-overwrite", "true"),
        ]
        assert "canary" not in repr(policy)

    @pytest.mark.parametrize("missing", ["signature", "upload_dir", "upload_host"])
    def test_half_a_policy_is_none(self, missing: str) -> None:
        with pytest.raises(ReplyLost):
            wire.read_policy(body({"data": {**POLICY, missing: None}}))

    def test_the_storages_refusal_tells_its_reason_and_no_more(self) -> None:
        reply = (
            b"<Error><Code>AccessDenied</Code><Message>Invalid according to Policy: Policy expired.</Message>"
            b"<StringToSign>canary</StringToSign></Error>"
        )
        error = wire.read_upload_error(403, reply)
        assert str(error) == "UploadRefused: HTTP 403, AccessDenied: Invalid according to Policy: Policy expired."

    def test_a_refusal_without_a_reason_says_so(self) -> None:
        assert str(wire.read_upload_error(502, b"\xff<html>")) == "UploadRefused: HTTP 502, the storage gave no reason"


class TestTime:
    @pytest.mark.parametrize(
        ("value", "read"),
        [
            ("2024-03-01 17:38:24.817", at(2024, 3, 1, 9, 38, 24, 817000)),
            ("2024-03-01 17:38:24", at(2024, 3, 1, 9, 38, 24)),
            (" 2024-01-01 07:59:59.9 ", at(2023, 12, 31, 23, 59, 59, 900000)),
            (1745568428109, at(2025, 4, 25, 8, 7, 8, 109000)),
            ("1745568428109", at(2025, 4, 25, 8, 7, 8, 109000)),
            ("2024-02-30 00:00:00", None),
            ("0001-01-01 00:00:00", None),
            ("2024-03-01", None),
            ("soon", None),
            ("", None),
            (None, None),
            (0, None),
            (-5, None),
            (True, None),
            (10**30, None),
            (10**400, None),
            (float("inf"), None),
            (float("nan"), None),
            ([], None),
        ],
    )
    def test_a_time_is_utc_plus_eight_or_epoch_milliseconds(self, value: object, read: datetime | None) -> None:
        assert wire.parse_time(value) == read

    @given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001 - the zone is added below
    def test_what_the_service_writes_is_read_back(self, local: datetime) -> None:
        read = wire.parse_time(local.strftime("%Y-%m-%d %H:%M:%S.%f"))
        assert read == local.replace(tzinfo=wire.SERVICE_ZONE)
