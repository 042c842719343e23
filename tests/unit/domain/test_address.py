from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.address import has_secret, redact

WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=8, max_size=12)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://host.example/a/b.png?Signature=s3cret&Expires=1", "https://host.example/a/b.png"),
        ("https://user:s3cret@host.example:8443/a.png", "https://host.example:8443/a.png"),
        ("https://host.example/a.png#s3cret", "https://host.example/a.png"),
        ("s3://bucket/folder/a.png", "s3://bucket/folder/a.png"),
        ("data:image/png;base64,aGVsbG8=", "data:image/png;base64,…"),
        ("/home/me/frames/a.png", "/home/me/frames/a.png"),
        ("frames/a b.png", "frames/a b.png"),
        ("memory:///a.png", "memory:///a.png"),
        ("s3://bucket/shot #1.png", "s3://bucket/shot #1.png"),
        ("s3://user:1#s3cret@bucket/a.png", "s3://user:1"),
        ("https://[2001:db8::1]:8443/a.png?s3cret", "https://[2001:db8::1]:8443/a.png"),
        ("https://host.example?s3cret", "https://host.example"),
        ("simplecache::s3://user:s3cret@bucket/a.png", "simplecache::s3://bucket/a.png"),
        ("zip://dir/a.png::https://host/b.zip?sig=s3cret", "zip://dir/a.png::https://host/b.zip"),
        (
            "zip://a.png?s3cret::simplecache::s3://user:s3cret@bucket/b.zip",
            "zip://a.png::simplecache::s3://bucket/b.zip",
        ),
        ("s3://user:s3/cret@bucket/a.png", "s3://…"),
        ("https://user:s3cret@[broken/a.png", "https://…"),
    ],
)
def test_an_address_is_shown_without_what_signs_it(address: str, shown: str) -> None:
    assert redact(address) == shown
    assert redact(shown) == shown
    assert has_secret(address) is (shown != address)


@given(user=WORDS, password=WORDS, signature=WORDS, fragment=WORDS)
def test_no_secret_of_a_url_is_shown(user: str, password: str, signature: str, fragment: str) -> None:
    shown = redact(f"https://{user}:{password}@host.example/A.PNG?sig={signature}#{fragment}")
    assert shown == "https://host.example/A.PNG"


@given(st.text())
def test_any_text_is_shown_and_shown_the_same_again(address: str) -> None:
    assert redact(redact(address)) == redact(address)
