"""What is sent for a clip and for a frame, and the replies that name the task and the policy."""

from collections.abc import Callable

import pytest
from unit.wan.wire_reply import body

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.reading import Created
from kf2v_pipeline.errors import ReplyLost
from kf2v_pipeline.wan import wire
from kf2v_pipeline.wan.catalog import load_catalog

MakeClip = Callable[..., Clip]
BEIJING = load_catalog().service("beijing")
FIRST, LAST = "https://e.com/1.png", "https://e.com/2.png"


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
