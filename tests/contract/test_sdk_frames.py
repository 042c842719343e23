"""Every way in which the vendor's SDK takes frames: files of four spellings, addresses, inline data, uploads."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from dashscope import VideoSynthesis
from dashscope.common.error import InvalidInput, UploadFileException

from kf2v_pipeline.localserver.embedded import LocalServer

FLASH = "wan2.2-kf2v-flash"
Files = tuple[Path, Path]


def call_with(first: str, last: str, model: str = FLASH) -> str:
    reply = VideoSynthesis.call(model=model, prompt="p", first_frame_url=first, last_frame_url=last)
    return f"{reply.output.task_status} {reply.output.get('code', '')} {reply.output.get('message', '')}".strip()


@pytest.fixture
def web(frame_files: Files) -> Iterator[str]:
    """Address of a web server that has the frames."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(frame_files[0].parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


def test_files_by_absolute_path(sdk: LocalServer, frame_files: Files) -> None:
    """Vendor's page, "Input image": ``file://`` and an absolute path. A ``+`` in a name reads as a space there."""
    first, _ = frame_files
    assert call_with(f"file://{first}", f"file://{first}") == "SUCCEEDED"
    assert sdk.journal()["counts"]["upload"] == {"200": 2}


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


def test_frames_by_address(sdk: LocalServer, web: str) -> None:
    assert call_with(f"{web}/first%20frame.png", f"{web}/last%2Bframe.png") == "SUCCEEDED"
    assert "upload" not in sdk.journal()["counts"]


@pytest.mark.usefixtures("sdk")
def test_one_frame_by_address_and_one_inline(web: str, frames: dict[str, str]) -> None:
    assert call_with(frames["first_frame_url"], f"{web}/last%2Bframe.png") == "SUCCEEDED"


@pytest.mark.usefixtures("sdk")
def test_a_frame_that_is_not_there_fails_the_task(web: str, frames: dict[str, str]) -> None:
    missing = f"{web}/missing.png"
    said = call_with(missing, frames["last_frame_url"])
    assert said == f"FAILED InvalidParameter Failed to download {missing}"


@pytest.mark.usefixtures("sdk")
def test_an_effect_needs_only_the_first_frame(frames: dict[str, str]) -> None:
    """Vendor's page (2.2): with ``template`` only the first frame is read."""
    first = frames["first_frame_url"]
    assert VideoSynthesis.call(model=FLASH, template="hanfu-1", first_frame_url=first).output.task_status == "SUCCEEDED"
    alone = VideoSynthesis.call(model=FLASH, prompt="p", first_frame_url=first)
    assert alone.output["message"] == "Field required: input.last_frame_url"


def test_a_missing_file_never_reaches_the_service(sdk: LocalServer, frames: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="is not exists"):
        call_with("file:///no/such/frame.png", frames["last_frame_url"])
    assert sdk.journal()["creates"] == []


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
