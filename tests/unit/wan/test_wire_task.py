"""What the reply about one task, the odd ones too, is read as."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.wan.wire_reply import NOW, at, body

from kf2v_pipeline.domain.reading import TaskStatus, Usage
from kf2v_pipeline.errors import ReplyLost
from kf2v_pipeline.wan import wire


def task(**output: Any) -> bytes:
    return body({"request_id": "r-1", "output": {"task_id": "t-1", "task_status": "RUNNING", **output}})


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
