"""Every way in which the vendor's SDK takes files: four spellings of their names, and what becomes of uploads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from dashscope import VideoSynthesis
from dashscope.common.error import InvalidInput, UploadFileException

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Scenario

FLASH = "wan2.2-kf2v-flash"
Files = tuple[Path, Path]
Serve = Callable[..., LocalServer]


def call_with(first: str, last: str, model: str = FLASH) -> str:
    reply = VideoSynthesis.call(model=model, prompt="p", first_frame_url=first, last_frame_url=last)
    return f"{reply.output.task_status} {reply.output.get('code', '')} {reply.output.get('message', '')}".strip()


def test_files_by_absolute_path(serve: Serve, frame_files: Files) -> None:
    """Vendor's page, "Input image": ``file://`` and an absolute path. A ``+`` in a name reads as a space there."""
    server = serve(Scenario(stand_in=True, speed=120))
    first, _ = frame_files
    assert call_with(f"file://{first}", f"file://{first}") == "SUCCEEDED"
    assert server.journal()["counts"]["upload"] == {"200": 2}


@pytest.mark.usefixtures("sdk")
def test_files_by_relative_path(frame_files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(frame_files[0].parent)
    assert call_with("file://./first frame.png", "file://./first frame.png") == "SUCCEEDED"


@pytest.mark.usefixtures("sdk")
def test_files_by_percent_encoded_path(frame_files: Files) -> None:
    first, last = frame_files
    assert call_with(f"file://{quote(str(first))}", f"file://{quote(str(last))}") == "SUCCEEDED"


@pytest.mark.usefixtures("sdk")
def test_files_by_bare_path(frame_files: Files) -> None:
    first, last = frame_files
    assert call_with(str(first), str(last)) == "SUCCEEDED"


def test_a_missing_file_never_reaches_the_service(serve: Serve, frames: dict[str, str]) -> None:
    server = serve(Scenario(stand_in=True))
    with pytest.raises(InvalidInput, match="is not exists"):
        call_with("file:///no/such/frame.png", frames["last_frame_url"])
    assert server.journal()["creates"] == []


@pytest.mark.usefixtures("sdk")
def test_a_bad_key_gets_no_upload(frame_files: Files) -> None:
    with pytest.raises(UploadFileException, match="InvalidApiKey"):
        VideoSynthesis.call(model=FLASH, first_frame_url=str(frame_files[0]), api_key="bad")


def test_an_upload_is_found_only_with_the_resolve_header_and_for_its_model(
    sdk: LocalServer, frame_files: Files, frames: dict[str, str]
) -> None:
    """Page of temporary uploads: ``oss://`` needs X-DashScope-OssResourceResolve; the file is bound to its model."""
    key = {"Authorization": "Bearer sk-x"}
    reply = httpx.get(f"{sdk.base_url}/uploads", params={"action": "getPolicy", "model": FLASH}, headers=key)
    policy = reply.json()["data"]
    form = {
        "OSSAccessKeyId": policy["oss_access_key_id"],
        "Signature": policy["signature"],
        "policy": policy["policy"],
        "key": f"{policy['upload_dir']}/a.png",
        "x-oss-object-acl": policy["x_oss_object_acl"],
        "x-oss-forbid-overwrite": policy["x_oss_forbid_overwrite"],
        "success_action_status": "200",
    }
    file = {"file": ("a.png", frame_files[0].read_bytes())}
    assert httpx.post(policy["upload_host"], data=form, files=file).status_code == 200
    assert httpx.post(policy["upload_host"], data=form, files=file).status_code == 409
    tampered = {**form, "key": "dashscope-instant/elsewhere/a.png"}
    assert httpx.post(policy["upload_host"], data=tampered, files=file).status_code == 403
    url = f"oss://{form['key']}"
    assert call_with(url, frames["last_frame_url"]) == "SUCCEEDED"
    assert call_with(url, frames["last_frame_url"], "wan2.1-kf2v-plus").startswith(
        "FAILED InvalidParameter.DataInspection Unable to download"
    )
    body = {"model": FLASH, "input": {"first_frame_url": url, "last_frame_url": url}}
    created = httpx.post(
        f"{sdk.base_url}/services/aigc/image2video/video-synthesis",
        json=body,
        headers={**key, "X-DashScope-Async": "enable"},
    )
    failed = VideoSynthesis.wait(created.json()["output"]["task_id"])
    assert failed.output["code"] == "InvalidParameter.DataInspection"
