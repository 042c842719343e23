"""Frames that come in: formats, sizes, alpha, broken files, addresses that may not be fetched."""

from __future__ import annotations

import asyncio
import base64
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kf2v_pipeline.localserver.frame import Frame, Frames, decode_data_uri, inspect_frame
from kf2v_pipeline.localserver.model import MODELS
from kf2v_pipeline.localserver.refusal import BAD_FORMAT, BAD_IMAGE, BAD_SIZE, Refusal, Refused

FLASH, WAN_27 = MODELS["wan2.2-kf2v-flash"], MODELS["wan2.7-i2v"]


def picture(size: tuple[int, int] = (320, 240), kind: str = "PNG", mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **options)
    return file.getvalue()


def refusal_of(data: bytes) -> Refusal | None:
    try:
        inspect_frame(data, FLASH)
    except Refused as refused:
        return refused.refusal
    return None


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP"])
def test_the_formats_of_the_vendors_page_are_taken(kind: str) -> None:
    assert inspect_frame(picture(kind=kind), FLASH) == (320, 240)


def test_a_turned_photograph_counts_as_it_is_seen() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert inspect_frame(picture(kind="JPEG", exif=exif), FLASH) == (240, 320)


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"", BAD_FORMAT),
        (b"hello, I am no picture", BAD_FORMAT),
        (picture(kind="GIF"), BAD_FORMAT),
        (picture(kind="TIFF"), BAD_FORMAT),
        (picture(mode="RGBA"), BAD_FORMAT),
        (picture(mode="LA"), BAD_FORMAT),
        (picture(kind="WEBP", mode="RGBA"), None),
        (picture((239, 240)), BAD_SIZE),
        (picture((240, 240)), None),
        (picture((8000, 240)), None),
        (picture((8001, 240)), BAD_SIZE),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 11 * 1024 * 1024, BAD_SIZE),
        (picture((900, 900), "BMP")[:-1000], BAD_IMAGE),
        (picture((900, 900), "JPEG")[:-1000], BAD_IMAGE),
    ],
)
def test_what_the_vendors_page_excludes_is_refused(data: bytes, refusal: Refusal | None) -> None:
    """Sides of 240 to 8000 pixels, 10 MB, no alpha in PNG; limits are the bytes' own, not their name's."""
    assert refusal_of(data) == refusal


def test_a_huge_header_is_refused_without_decoding() -> None:
    header = bytearray(picture((300, 300)))
    header[16:24] = (20_000).to_bytes(4, "big") * 2
    assert refusal_of(bytes(header)) in (BAD_SIZE, BAD_FORMAT)


def test_only_wan_27_limits_the_shape() -> None:
    wide = picture((2000, 240))
    assert inspect_frame(wide, FLASH) == (2000, 240)
    with pytest.raises(Refused):
        inspect_frame(wide, WAN_27)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_look_at_a_frame(data: bytes) -> None:
    assert refusal_of(data) is not None
    assert refusal_of(picture((240, 240), "WEBP")[:40] + data) is not None


@given(st.text(max_size=60))
def test_no_data_uri_breaks_its_decoding(text: str) -> None:
    for uri in (text, f"data:{text}", f"data:image/png;base64,{text}"):
        try:
            decode_data_uri(uri)
        except Refused as refused:
            assert refused.refusal.code  # noqa: PT017  either outcome is right


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a.png", "http://[::1]:9/a.png", "http://10.0.0.1/a.png"])
def test_a_server_that_others_can_reach_fetches_nothing_private(tmp_path: Path, url: str) -> None:
    """Else anybody could read through it what only this network may see."""

    async def take() -> None:
        frames = Frames(tmp_path, upload_path=lambda _key, _model: None, allow_private=False)
        try:
            await frames.take(url, FLASH, resolve_oss=False)
        finally:
            await frames.close()

    with pytest.raises(Refused, match="Failed to download"):
        asyncio.run(take())


def test_the_same_frame_is_kept_once_and_swept_when_nobody_needs_it(tmp_path: Path) -> None:
    uri = "data:image/png;base64," + base64.b64encode(picture()).decode()
    frames = Frames(tmp_path, upload_path=lambda _key, _model: None, allow_private=True)

    async def take_twice() -> list[Frame]:
        return [await frames.take(uri, FLASH, resolve_oss=False) for _ in range(2)]

    first, second = asyncio.run(take_twice())
    path = frames.path(first.digest)
    assert first == second
    assert list(tmp_path.iterdir()) == [path]
    frames.sweep(set())
    assert path.exists(), "a young file may belong to a task that is being made"
    os.utime(path, (0, 0))
    frames.sweep({first.digest})
    assert path.exists()
    frames.sweep(set())
    assert not path.exists()
    asyncio.run(frames.close())
