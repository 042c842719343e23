"""Whatever comes over the wire is read, or refused by an error of ours; and no signature shows in what was read."""

import json
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.reading import TaskStatus
from kf2v_pipeline.errors import ReplyLost
from kf2v_pipeline.wan import wire

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=timezone.utc)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
WORD = st.sampled_from([*TaskStatus.__members__, "SUSPENDED", "2025-04-18 10:36:58.394", "720", 5])
VALUE = WORD | JSON
TASK = st.fixed_dictionaries(
    {"task_id": WORD | JSON, "task_status": WORD, "status": WORD},
    optional=dict.fromkeys(("video_url", "submit_time", "end_time", "gmt_create", "orig_prompt", "code"), VALUE)
    | dict.fromkeys(("upload_host", "upload_dir", "signature", "message"), VALUE),
)
USAGE = st.dictionaries(st.sampled_from(["video_duration", "duration", "SR", "video_count"]), VALUE)
DOCUMENT = st.fixed_dictionaries(
    {"output": TASK | JSON, "data": st.lists(TASK | JSON, max_size=4) | TASK | JSON},
    optional={"usage": USAGE | JSON, "error": TASK | JSON}
    | dict.fromkeys(("code", "message", "total", "page_no", "request_id"), VALUE),
)
WHOLE = (DOCUMENT | JSON).map(lambda document: json.dumps(document).encode())
CUT = st.builds(lambda whole, length: whole[:length], WHOLE, st.integers(0, 200))
REPLY = WHOLE | CUT | st.binary(max_size=64)


@given(REPLY)
def test_any_bytes_are_a_reading_or_a_lost_reply(reply: bytes) -> None:
    try:
        reading = wire.read_task(reply, read_at=NOW)
    except ReplyLost:
        return
    assert reading.task_id
    reading.task_id.encode()


@given(REPLY)
def test_any_bytes_are_a_page_or_a_lost_reply(reply: bytes) -> None:
    try:
        page = wire.read_list(reply)
    except ReplyLost:
        return
    assert page.page >= 1


@given(REPLY, st.integers(100, 599), st.sampled_from(["", "application/json", "text/html"]))
def test_any_bytes_are_the_services_error_or_none(reply: bytes, http_status: int, content_type: str) -> None:
    error = wire.read_error(http_status, reply, content_type)
    assert error is None or error.code


@given(REPLY)
def test_any_bytes_are_a_task_a_policy_or_a_lost_reply(reply: bytes) -> None:
    for read in (wire.read_created, wire.read_policy):
        try:
            assert read(reply)
        except ReplyLost:
            continue


@given(st.text() | st.binary())
def test_any_value_is_a_time_or_none(value: object) -> None:
    read = wire.parse_time(value)
    assert read is None or read.utcoffset() == timedelta(0)


@given(
    st.sampled_from(["FAILED", "SUCCEEDED", "RUNNING"]),
    st.text("ab /:.", max_size=10),
    st.sampled_from(["?", "?Expires=1&Signature=", "?x#"]),
)
def test_a_signature_is_in_no_reading_that_is_shown(status: str, path: str, query: str) -> None:
    url = f"https://b.oss-cn-beijing.aliyuncs.com/{path.replace(' ', '')}{query}canary"
    output = {"task_id": "t", "task_status": status, "video_url": url, "code": "E", "message": f"Failed to get {url}"}
    reply = json.dumps({"output": output}).encode()
    reading = wire.read_task(reply, read_at=NOW)
    assert reading.video_url == url
    assert "canary" not in repr(reading)
    error = wire.read_error(400, json.dumps({"code": "E", "message": f"at {url}, see"}).encode(), "application/json")
    assert "canary" not in f"{error!r} {error}"
