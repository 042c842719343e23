"""Fixing frames: whatever Pillow reads becomes a picture that the service takes, and the same one each time."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from kf2v_pipeline.errors import FrameError
from kf2v_pipeline.media.fix import Fixed, fix_frame
from kf2v_pipeline.media.frames import MAX_FRAME_BYTES, inspect_frame


def picture(mode: str = "RGB", kind: str = "PNG", size: tuple[int, int] = (320, 240), **options: Any) -> bytes:
    """A ramp of grey from dark to bright, from top to bottom; transparent in a corner where the mode can."""
    file = BytesIO()
    image = Image.linear_gradient("L").resize(size).convert(mode)
    if mode == "RGBA":
        image.putpixel((0, 0), (0, 0, 0, 0))
    image.save(file, kind, **options)
    return file.getvalue()


def noise(size: tuple[int, int], kind: str, **options: Any) -> bytes:
    """A picture that no encoder makes small."""
    file = BytesIO()
    levels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(levels).save(file, kind, **options)
    return file.getvalue()


def fixed(content: bytes) -> Fixed:
    result = fix_frame(content)
    assert result is not None
    return result


def pixels(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content)).convert("RGB")


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGB", "PNG"), ("L", "PNG"), ("RGB", "JPEG"), ("L", "JPEG"), ("RGB", "BMP"), ("RGB", "WEBP")]
)
def test_a_good_frame_is_left_as_it_is(mode: str, kind: str) -> None:
    assert fix_frame(picture(mode, kind)) is None


@pytest.mark.parametrize(
    ("content", "done"),
    [
        (picture("P", "GIF"), "converted from GIF with a palette, saved as PNG"),
        (picture("RGB", "TIFF"), "converted from TIFF, saved as PNG"),
        (picture("CMYK", "TIFF"), "converted from TIFF with CMYK, saved as PNG"),
        (picture("RGB", "JPEG2000"), "converted from JPEG2000, saved as PNG"),
        (picture("RGB", "PPM"), "converted from PPM, saved as PNG"),
        (picture("CMYK", "JPEG"), "converted from CMYK, saved as PNG"),
        (picture("P", "PNG"), "converted from a palette, saved as PNG"),
        (picture("1", "PNG"), "converted from black and white, saved as PNG"),
        (picture("I;16", "PNG"), "converted from 16 bits a channel, saved as PNG"),
        (picture("RGBA", "PNG"), "flattened on white, saved as PNG"),
        (picture("LA", "PNG"), "flattened on white, saved as PNG"),
        (picture("RGBA", "WEBP"), "flattened on white, saved as PNG"),
        (picture("RGB", "PNG", transparency=(0, 0, 0)), "flattened on white, saved as PNG"),
        (picture("P", "PNG", transparency=0), "converted from a palette, flattened on white, saved as PNG"),
    ],
)
def test_an_odd_frame_becomes_one_that_the_service_takes(content: bytes, done: str) -> None:
    result = fixed(content)
    assert result.done == done
    frame = inspect_frame(result.content, "a")
    assert (frame.format, frame.width, frame.height) == ("PNG", 320, 240)
    assert fix_frame(result.content) is None


def test_the_same_bytes_are_fixed_into_the_same_bytes() -> None:
    content = picture("CMYK", "TIFF")
    assert fix_frame(content) == fix_frame(content)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_become_white_and_others_keep_their_colour(mode: str) -> None:
    image = Image.new(mode, (320, 240), (90,) * (len(mode) - 1) + (255,))
    image.paste((90,) * (len(mode) - 1) + (0,), (0, 0, 160, 240))
    file = BytesIO()
    image.save(file, "PNG")
    result = pixels(fixed(file.getvalue()).content)
    assert result.getpixel((10, 10)) == (255, 255, 255)
    assert result.getpixel((300, 10)) == (90, 90, 90)


def test_sixteen_bits_keep_their_brightness() -> None:
    file = BytesIO()
    Image.fromarray(np.full((240, 320), 32_768, np.uint16)).save(file, "PNG")
    assert pixels(fixed(file.getvalue()).content).getpixel((10, 10)) == (127, 127, 127)


def test_the_profile_of_a_screens_colours_is_kept() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    result = fixed(picture("RGBA", "PNG", icc_profile=profile))
    assert Image.open(BytesIO(result.content)).info["icc_profile"] == profile


def test_a_picture_that_lies_on_its_side_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    frame = inspect_frame(fixed(picture("CMYK", "JPEG", exif=exif)).content, "a")
    assert (frame.width, frame.height) == (240, 320)


def test_of_an_animation_the_first_picture_is_taken() -> None:
    file = BytesIO()
    first = Image.new("L", (320, 240), 10)
    first.save(file, "GIF", save_all=True, append_images=[Image.new("L", (320, 240), 200)])
    result = fixed(file.getvalue())
    assert "its first picture taken" in result.done
    assert pixels(result.content).getpixel((10, 10)) == (10, 10, 10)


def test_a_picture_with_too_long_sides_is_scaled_in_its_shape() -> None:
    result = fixed(picture(size=(10_000, 1_000), kind="JPEG"))
    assert result.done == "scaled from 10000x1000 to 8000x800 px, saved as PNG"
    frame = inspect_frame(result.content, "a")
    assert (frame.width, frame.height) == (8000, 800)


def test_a_file_that_is_too_large_becomes_a_jpeg() -> None:
    content = noise((2000, 1800), "BMP")
    assert len(content) > MAX_FRAME_BYTES
    result = fixed(content)
    assert result.done == "saved as JPEG"
    frame = inspect_frame(result.content, "a")
    assert (frame.format, frame.width, frame.height) == ("JPEG", 2000, 1800)


def test_a_picture_that_is_too_large_as_a_jpeg_too_is_scaled_until_it_fits() -> None:
    result = fixed(noise((3600, 2700), "JPEG", quality=100))
    frame = inspect_frame(result.content, "a")
    assert frame.format == "JPEG"
    assert frame.size_bytes <= MAX_FRAME_BYTES
    assert result.done == f"scaled from 3600x2700 to {frame.width}x{frame.height} px, saved as JPEG"
    assert frame.width / frame.height == pytest.approx(4 / 3, abs=0.001)


def test_a_picture_of_more_pixels_than_memory_is_spent_on_is_left() -> None:
    content = BytesIO()
    Image.new("1", (12_001, 10_000)).save(content, "PNG")
    assert fix_frame(content.getvalue()) is None


def test_what_is_too_small_stays_too_small() -> None:
    with pytest.raises(FrameError, match="each side must have 240"):
        inspect_frame(fixed(picture("P", "GIF", (100, 100))).content, "a")


@pytest.mark.parametrize("content", [b"", b"no picture", b"II*\x00" + bytes(20), b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_picture_is_left(content: bytes) -> None:
    assert fix_frame(content) is None


@settings(max_examples=150)
@given(
    st.sampled_from([picture("P", "GIF"), picture("CMYK", "TIFF"), picture("RGBA", "PNG"), picture("CMYK", "JPEG")]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=4),
    st.floats(0, 1),
)
def test_broken_bytes_are_fixed_into_a_good_picture_or_left(
    content: bytes, patches: list[tuple[float, bytes]], share: float
) -> None:
    broken = bytearray(content)
    for place, patch in patches:
        start = int(place**4 * len(broken))
        broken[start : start + len(patch)] = patch
    result = fix_frame(bytes(broken[: max(16, int(len(broken) * min(1, share * 2)))]))
    if result is not None and min(Image.open(BytesIO(result.content)).size) >= 240:
        inspect_frame(result.content, "a")
