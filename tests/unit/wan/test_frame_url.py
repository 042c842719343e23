"""How a frame travels, by its place and its size."""

from base64 import b64decode
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.clip import Frame
from kf2v_pipeline.errors import FrameError
from kf2v_pipeline.wan.frame_url import DATA_URI_MAX_BYTES, choose, data_uri, data_uri_bytes, is_public_url

PUBLIC = "https://example.com/first.png"
TEMPORARY = "oss://dashscope-instant/52af/2025-07-12/b744/first.png"
BIG = 9_000_000
MakeFrame = Callable[..., Frame]


@pytest.mark.parametrize(
    ("location", "size_bytes", "mode", "way"),
    [
        ("/frames/a.png", 1000, "auto", "inline"),
        ("/frames/a.png", BIG, "auto", "upload"),
        ("s3://bucket/a.png", 1000, "auto", "inline"),
        ("oss://my-bucket/a.png", 1000, "auto", "inline"),
        (PUBLIC, BIG, "auto", "url"),
        (PUBLIC, 1000, "inline", "inline"),
        (PUBLIC, 1000, "upload", "upload"),
        (PUBLIC, 1000, "url", "url"),
        ("http://192.168.1.5/a.png", 1000, "auto", "inline"),
        ("https://me:secret@example.com/a.png", 1000, "auto", "inline"),
        ("/frames/a.png", 1000, "upload", "upload"),
        (TEMPORARY, BIG, "auto", "url"),
        (TEMPORARY, BIG, "inline", "url"),
        (TEMPORARY, BIG, "upload", "url"),
        (TEMPORARY, BIG, "url", "url"),
    ],
)
def test_a_frame_goes_the_way_that_its_place_and_size_allow(
    make_frame: MakeFrame, location: str, size_bytes: int, mode: str, way: str
) -> None:
    assert choose(make_frame(location=location, size_bytes=size_bytes), mode) == way


@pytest.mark.parametrize(("mode", "way"), [("auto", "inline"), ("inline", "inline"), ("upload", "upload")])
def test_a_frame_that_is_fixed_never_goes_by_its_own_url(make_frame: MakeFrame, mode: str, way: str) -> None:
    fixed = make_frame(location=PUBLIC, fix="flattened on white")
    assert choose(fixed, mode) == way
    with pytest.raises(FrameError, match="it is fixed before it is sent"):
        choose(fixed, "url")


@pytest.mark.parametrize(
    ("location", "mode", "words"),
    [
        ("/frames/a.png", "url", "no public http"),
        ("https://10.0.0.1/a.png?sig=canary", "url", "no public http"),
        ("s3://bucket/a.png", "url", "no public http"),
        ("/frames/a.png", "inline", "more than fit into a create"),
        ("https://example.com/a.png?sig=canary", "inline", "more than fit into a create"),
    ],
)
def test_a_mode_that_can_not_carry_the_frame_says_so_without_secrets(
    make_frame: MakeFrame, location: str, mode: str, words: str
) -> None:
    with pytest.raises(FrameError, match=words) as caught:
        choose(make_frame(location=location, size_bytes=BIG), mode)
    assert "canary" not in str(caught.value)


def test_the_largest_inline_frame_is_the_one_whose_uri_is_as_long_as_the_gateway_takes(make_frame: MakeFrame) -> None:
    largest = max(n for n in range(7_860_000, 7_870_000) if data_uri_bytes(n, "PNG") <= DATA_URI_MAX_BYTES)
    assert choose(make_frame(size_bytes=largest), "auto") == "inline"
    assert choose(make_frame(size_bytes=largest + 1), "auto") == "upload"
    with pytest.raises(ValueError, match="do not fit"):
        data_uri(bytes(largest + 1), "PNG")


@given(st.binary(max_size=300), st.sampled_from(["JPEG", "PNG", "BMP", "WEBP"]))
def test_a_data_uri_holds_the_bytes_and_is_as_long_as_foretold(content: bytes, kind: str) -> None:
    uri = data_uri(content, kind)
    head, _, data = uri.partition(",")
    assert head == f"data:image/{kind.lower()};base64"
    assert b64decode(data) == content
    assert len(uri) == data_uri_bytes(len(content), kind)


@pytest.mark.parametrize(
    "location",
    [
        PUBLIC,
        "http://example.com:8080/a",
        "https://8.8.8.8/a.png",
        "https://[2606:4700::1111]/a",
        "https://wanx.alicdn.com/material/20250318/first_frame.png",
    ],
)
def test_a_public_url_is_seen_as_public(location: str) -> None:
    assert is_public_url(location)


@pytest.mark.parametrize(
    "location",
    [
        "/frames/a.png",
        "s3://example.com/a.png",
        "ftp://example.com/a.png",
        "http://localhost/a.png",
        "http://LOCALHOST./a.png",
        "http://cache.localhost/a.png",
        "http://intranet/a.png",
        "http://nas.local/a.png",
        "http://files.internal/a.png",
        "http://127.0.0.1:8000/a.png",
        "http://127.1/a.png",
        "http://0x7f.1/a.png",
        "http://2130706433/a.png",
        "http://0.0.0.0/a.png",
        "http://10.1.2.3/a.png",
        "http://172.16.0.1/a.png",
        "http://192.168.0.1/a.png",
        "http://100.64.0.1/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://224.0.0.1/a.png",
        "http://[::1]/a.png",
        "http://[fe80::1%25eth0]/a.png",
        "http://[fd00::1]/a.png",
        "http://[::ffff:127.0.0.1]/a.png",
        "http://[::1/a.png",
        "https:///a.png",
        "https://me@example.com/a.png",
        "data:image/png;base64,AAAA",
        "",
    ],
)
def test_what_the_service_can_not_reach_or_should_not_see_is_not_public(location: str) -> None:
    assert not is_public_url(location)


@given(st.text())
def test_any_text_is_public_or_not_and_never_an_error(location: str) -> None:
    assert is_public_url(location) in (True, False)
