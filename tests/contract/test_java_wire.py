"""The Java SDK by its wire shape: it is not run here, its requests are written by hand after its source (2.22.29).

``VideoSynthesisParam`` writes bodies there, ``DashScopeHeaders`` headers; ``OSSUtils`` uploads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from kf2v_pipeline.localserver.embedded import LocalServer

FLASH, PLUS, WAN27 = "wan2.2-kf2v-flash", "wan2.1-kf2v-plus", "wan2.7-i2v"
HEADERS = {
    "Authorization": "Bearer sk-x",
    "user-agent": "dashscope/2.22.29; java/17.0.9; platform/Linux; processor/amd64",
    "x-dashscope-sdk-client": "java-sdk",
    "x-dashscope-sdk-version": "2.22.29",
    "x-dashscope-sdk-session-id": "6a4f5a0c-6d5f-4b43-8a36-3a1c1e6f0c11",
    "Accept": "application/json; charset=utf-8",
    "Accept-Encoding": "gzip",
}
ASYNC = {**HEADERS, "Content-Type": "application/json; charset=utf-8", "X-DashScope-Async": "enable"}


def send(server: LocalServer, method: str, path: str, **parts: Any) -> httpx.Response:
    return httpx.request(method, server.base_url + path, trust_env=False, timeout=30, **{"headers": HEADERS, **parts})


def create(server: LocalServer, family: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    path = f"/services/aigc/{family}/video-synthesis"
    return send(server, "POST", path, json=body, headers={**ASYNC, **headers})


def wait(server: LocalServer, task_id: str) -> dict[str, Any]:
    while True:
        body: dict[str, Any] = send(server, "GET", f"/tasks/{task_id}").json()
        if body["output"]["task_status"] not in ("PENDING", "RUNNING"):
            return body


def kf2v_body(model: str, frames: dict[str, str], **parameters: Any) -> dict[str, Any]:
    """As ``VideoSynthesisParam`` writes it for the page's sample: its own keys, and the sample's ``parameters``."""
    return {
        "model": model,
        "input": {"prompt": "a kitten looks up", "extend_prompt": True, **frames},
        "parameters": {"with_audio": False, "prompt_extend": True, "resolution": "720P", **parameters},
    }


@pytest.mark.parametrize(("model", "usage"), [(FLASH, {"SR": 720}), (PLUS, {"video_ratio": "standard"})])
def test_the_pages_sample_creates_and_waits(
    sdk: LocalServer, frames: dict[str, str], model: str, usage: dict[str, Any]
) -> None:
    reply = create(sdk, "image2video", kf2v_body(model, frames))
    assert (reply.status_code, reply.json()["output"]["task_status"]) == (200, "PENDING")
    done = wait(sdk, reply.json()["output"]["task_id"])
    assert done["output"]["task_status"] == "SUCCEEDED"
    assert done["output"]["video_url"]
    assert done["usage"] == {"video_count": 1, "video_duration": 5, **usage}


def test_the_pages_sample_names_a_model_that_does_not_exist(sdk: LocalServer, frames: dict[str, str]) -> None:
    reply = create(sdk, "image2video", kf2v_body("wan2.1-kf2v-flash", frames))
    assert (reply.status_code, reply.json()["message"]) == (400, "Model not exist.")
    assert "application/json" in reply.headers["content-type"], "else the SDK does not read the error"


def test_every_option_of_the_builder_reaches_the_task(sdk: LocalServer, frames: dict[str, str]) -> None:
    body = kf2v_body(FLASH, frames, seed=7, watermark=True, prompt_extend=False, resolution="480P")
    body["input"]["negative_prompt"] = "people"
    task_id = create(sdk, "image2video", body).json()["output"]["task_id"]
    (made,) = (create for create in sdk.journal()["creates"] if create["task_id"] == task_id)
    assert made["options"] == {
        "negative_prompt": "people",
        "resolution": "480P",
        "film_s": 5,
        "seed": 7,
        "prompt_extend": False,
        "watermark": True,
    }


def test_the_successor_takes_its_media(sdk: LocalServer, frames: dict[str, str]) -> None:
    media = [{"url": url, "type": kind.removesuffix("_url")} for kind, url in frames.items()]
    body = {
        "model": WAN27,
        "input": {"prompt": "p", "extend_prompt": True, "media": media},
        "parameters": {"with_audio": False, "duration": 2},
    }
    task_id = create(sdk, "video-generation", body).json()["output"]["task_id"]
    assert wait(sdk, task_id)["usage"]["SR"] == "1080"


def test_an_instance_that_was_used_for_kf2v_goes_to_the_wrong_path(sdk: LocalServer, frames: dict[str, str]) -> None:
    """Its shared option keeps ``image2video`` for the models that come after."""
    reply = create(sdk, "image2video", {"model": WAN27, "input": {"prompt": "p"}, "parameters": {"with_audio": False}})
    assert (reply.status_code, reply.json()["message"]) == (400, "url error, please check url！")


def test_local_files_are_uploaded_and_resolved(sdk: LocalServer, frame_files: tuple[Path, Path]) -> None:
    """okhttp gives each part of the form a length of its own."""
    urls = []
    for path in frame_files:
        policy = send(sdk, "GET", "/uploads", params={"action": "getPolicy", "model": FLASH}).json()["data"]
        key = f"{policy['upload_dir']}/{path.name}"
        fields = {
            "OSSAccessKeyId": policy["oss_access_key_id"],
            "Signature": policy["signature"],
            "policy": policy["policy"],
            "key": key,
            "x-oss-object-acl": policy["x_oss_object_acl"],
            "x-oss-forbid-overwrite": policy["x_oss_forbid_overwrite"],
            "success_action_status": "200",
            "x-oss-content-type": "image/png",
        }
        parts = [(f'form-data; name="{name}"', "", value.encode()) for name, value in fields.items()]
        file = (f'form-data; name="file"; filename="{path.name}"', "Content-Type: image/png\r\n", path.read_bytes())
        form = b"".join(
            f"--B\r\nContent-Disposition: {what}\r\n{kind}Content-Length: {len(content)}\r\n\r\n".encode()
            + content
            + b"\r\n"
            for what, kind, content in [*parts, file]
        )
        posted = httpx.post(
            policy["upload_host"],
            content=form + b"--B--\r\n",
            headers={"Content-Type": "multipart/form-data; boundary=B", "user-agent": HEADERS["user-agent"]},
            trust_env=False,
        )
        assert posted.status_code == 200
        urls.append(f"oss://{key}")
    body = kf2v_body(FLASH, {"first_frame_url": urls[0], "last_frame_url": urls[1]})
    made = create(sdk, "image2video", body, **{"X-DashScope-OssResourceResolve": "enable"})
    assert wait(sdk, made.json()["output"]["task_id"])["output"]["task_status"] == "SUCCEEDED"


def test_list_and_cancel_answer_with_what_it_maps(sdk: LocalServer, frames: dict[str, str]) -> None:
    task_id = create(sdk, "image2video", kf2v_body(FLASH, frames)).json()["output"]["task_id"]
    query = {"model_name": FLASH, "region": "cn-beijing", "status": "SUCCEEDED", "page_no": 1, "page_size": 100}
    page = send(sdk, "GET", "/tasks", params=query).json()
    assert {"data", "total", "total_page", "page_no", "page_size", "request_id"} <= set(page)
    assert task_id in [row["task_id"] for row in page["data"]]
    canceled = send(sdk, "POST", f"/tasks/{task_id}/cancel", content=b"{}", headers=ASYNC)
    assert (canceled.status_code, canceled.json()["code"]) == (400, "UnsupportedOperation")
