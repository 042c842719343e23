"""The newer client of the vendor's SDK (``dashscope.Client``), which knows no kf2v model and lists nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dashscope.v2 import Client
from dashscope.v2.errors import BadRequestError

from kf2v_pipeline.localserver.embedded import LocalServer


@pytest.fixture
def client(sdk: LocalServer) -> Iterator[Client]:
    with Client(api_key="sk-x", base_url=sdk.base_url) as opened:
        yield opened


def test_the_successor_takes_its_frames_as_media(client: Client, frames: dict[str, str]) -> None:
    media = [{"type": kind.removesuffix("_url"), "url": url} for kind, url in frames.items()]
    job = client.videos.generate(model="wan2.7-i2v", prompt="p", media=media, resolution="720P", duration=2)
    assert (job.status, job.orig_prompt, job.usage.SR) == ("SUCCEEDED", "p", "720")
    assert job.video_url.startswith("http://127.0.0.1:")


def test_a_kf2v_model_goes_to_the_wrong_path(client: Client, frames: dict[str, str]) -> None:
    with pytest.raises(BadRequestError, match="url error, please check url"):
        client.videos.generate(model="wan2.2-kf2v-flash", prompt="p", extra_input=frames)


def test_its_list_reads_a_field_that_is_not_there(client: Client, frames: dict[str, str]) -> None:
    client.videos.jobs.create(model="wan2.7-i2v", media=[{"type": "first_frame", "url": frames["first_frame_url"]}])
    page = client.videos.jobs.list()
    assert page.total > 0
    assert page.tasks == []
