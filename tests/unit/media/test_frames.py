"""Looking at a frame's bytes: what the service takes, and a sentence for what it does not."""

from __future__ import annotations

import hashlib
import struct
import warnings
import zlib
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kf2v_pipeline.errors import FrameError
from kf2v_pipeline.media.frames import MAX_FRAME_BYTES, inspect_frame

FORMATS = ("JPEG", "PNG", "BMP", "WEBP")


def picture(width: int = 320, height: int = 240, kind: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
    file = BytesIO()
    Image.effect_noise((width, height), 60).convert(mode).save(file, kind, **options)
    return file.getvalue()


def refusal(content: bytes, location: str = "/batch/a.png") -> str:
    with pytest.raises(FrameError) as refused:
        inspect_frame(content, location)
    assert str(refused.value).startswith(f"Frame {location}: ")
    assert "\n" not in str(refused.value)
    return str(refused.value)


def png_with_header(width: int, height: int) -> bytes:
    """A PNG that says it is that large, and has next to nothing in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_good_frame_is_told_by_its_content_and_not_by_its_name(kind: str) -> None:
    content = picture(320, 240, kind)
    frame = inspect_frame(content, "s3://bucket/misnamed.gif")
    assert (frame.format, frame.width, frame.height) == (kind, 320, 240)
    assert frame.size_bytes == len(content)
    assert frame.sha256 == hashlib.sha256(content).hexdigest()
    assert frame.location == "s3://bucket/misnamed.gif"


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "PNG"), ("P", "PNG"), ("1", "PNG"), ("I;16", "PNG"), ("L", "JPEG"), ("CMYK", "JPEG")]
)
def test_a_frame_without_colour_or_of_many_bits_is_good(mode: str, kind: str) -> None:
    file = BytesIO()
    Image.new(mode, (320, 240)).save(file, kind)
    assert inspect_frame(file.getvalue(), "a").format == kind


def test_a_phones_jpeg_with_a_second_picture_in_it_is_a_jpeg() -> None:
    file = BytesIO()
    Image.new("RGB", (320, 240)).save(file, "MPO", save_all=True, append_images=[Image.new("RGB", (320, 240))])
    assert inspect_frame(file.getvalue(), "a.jpg").format == "JPEG"


@pytest.mark.parametrize(("width", "height"), [(240, 240), (8000, 240), (240, 8000)])
def test_the_outermost_sizes_are_good(width: int, height: int) -> None:
    frame = inspect_frame(picture(width, height, "JPEG"), "a.jpg")
    assert (frame.width, frame.height) == (width, height)


@pytest.mark.parametrize(
    ("width", "height", "fix"),
    [
        (1, 1, "use a larger picture"),
        (239, 1000, "use a larger picture"),
        (8001, 240, "scale it down"),
    ],
)
def test_a_side_out_of_bounds_is_refused(width: int, height: int, fix: str) -> None:
    assert refusal(picture(width, height)) == (
        f"Frame /batch/a.png: it is {width}x{height} px, and each side must have 240 to 8000; {fix}."
    )


@pytest.mark.parametrize("side", [10_000, 20_000, 2**31 - 1])
def test_a_header_of_a_giant_picture_is_refused_before_decoding_and_without_a_warning(side: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f"it is {side}x{side} px" in refusal(png_with_header(side, side))


def test_a_giant_webp_is_refused_by_its_header() -> None:
    side = (16_000).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + side + side
    assert "it is giant, and each side must have 240 to 8000 px; scale it down" in refusal(
        b"RIFF" + struct.pack("<I", len(body)) + body
    )


@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP")])
def test_an_alpha_channel_is_refused(mode: str, kind: str) -> None:
    file = BytesIO()
    Image.new(mode, (320, 240), (0,) * len(mode)).save(file, kind)
    said = refusal(file.getvalue())
    assert "alpha channel or transparent pixels" in said
    assert said.endswith("; flatten it on a background.")


def test_a_bmp_with_an_alpha_mask_is_refused() -> None:
    pixels = bytes(4 * 320 * 240)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, 320, 240, 1, 32, 3, len(pixels), 0, 0, 0, 0) + masks + bytes(52)
    start = b"BM" + struct.pack("<IHHI", 14 + len(header) + len(pixels), 0, 0, 14 + len(header))
    assert "alpha channel" in refusal(start + header + pixels, "/batch/a.bmp")


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour_is_refused(mode: str) -> None:
    colour = (0, 0, 0) if mode == "RGB" else 0
    assert "transparent pixels" in refusal(picture(mode=mode, transparency=colour))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "it is empty"),
        (b"This is no picture.\n", "it is text and no picture"),
        ("<!DOCTYPE html><p>Größe…".encode() * 40, "it is text and no picture"),
        (b"\x00\x01\x02\x03" * 9, "it is no picture that the service knows"),
        (b"II*\x00" + bytes(20), "it is a TIFF"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(20), "it is of the kind heic"),
    ],
)
def test_what_is_no_picture_of_the_four_kinds_is_said(content: bytes, what: str) -> None:
    assert refusal(content) == f"Frame /batch/a.png: {what}; save it as a JPEG, PNG, BMP or WEBP picture."


def test_a_gif_is_refused_whatever_its_name() -> None:
    assert "it is a GIF" in refusal(picture(kind="GIF"))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_picture_that_is_cut_off_is_refused(kind: str, share: float) -> None:
    content = picture(kind=kind)
    said = refusal(content[: int(len(content) * share)])
    assert f"the {kind} is damaged or cut off" in said
    assert said.endswith("; save or copy it again.")


def test_a_png_that_lacks_only_its_end_is_refused() -> None:
    assert "the PNG is damaged or cut off" in refusal(picture()[:-12])


def test_a_png_with_a_wrong_checksum_is_refused() -> None:
    content = bytearray(picture())
    content[len(content) // 2] ^= 0xFF
    assert "the PNG is damaged or cut off" in refusal(bytes(content))


def test_a_file_of_more_than_ten_mebibytes_is_refused() -> None:
    content = picture() + bytes(MAX_FRAME_BYTES)
    assert f"it has {len(content):,} bytes, and 10,485,760 are allowed" in refusal(content)


@pytest.mark.parametrize(("orientation", "size"), [(1, (320, 240)), (3, (320, 240)), (6, (240, 320)), (8, (240, 320))])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_size_is_that_of_the_upright_picture(kind: str, orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    frame = inspect_frame(picture(320, 240, kind, exif=exif), "a")
    assert (frame.width, frame.height) == size


def test_broken_exif_turns_nothing() -> None:
    frame = inspect_frame(picture(320, 240, "JPEG", exif=b"Exif\0\0no TIFF at all"), "a")
    assert (frame.width, frame.height) == (320, 240)


def test_a_signed_address_is_not_repeated() -> None:
    with pytest.raises(FrameError) as refused:
        inspect_frame(b"", "https://user:secret@host/a.png?sign=secret")
    assert str(refused.value).startswith("Frame https://host/a.png: it is empty")


@settings(max_examples=300)
@given(
    st.sampled_from([picture(240, 240, kind) for kind in FORMATS]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=4),
    st.floats(0, 1),
)
def test_broken_bytes_give_a_frame_or_a_sentence_and_nothing_else(
    content: bytes, patches: list[tuple[float, bytes]], share: float
) -> None:
    broken = bytearray(content)
    for place, patch in patches:
        # Most of what can go wrong is in the header.
        start = int(place**4 * len(broken))
        broken[start : start + len(patch)] = patch
    broken = broken[: max(16, int(len(broken) * min(1, share * 2)))]
    try:
        frame = inspect_frame(bytes(broken), "a")
    except FrameError:
        return
    assert 240 <= min(frame.width, frame.height) <= max(frame.width, frame.height) <= 8000
