"""Signed addresses: good until they expire, for GET alone, and for nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import pytest

from kf2v_pipeline.localserver.signature import refuse_url, signed_url

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
URL = signed_url(b"secret", host_url="http://h:1", path="/_files/a b.mp4", expires_at=NOW + timedelta(hours=24))


def judge(secret: bytes = b"secret", **changes: object) -> str | None:
    query = parse_qs(urlsplit(URL).query)
    asked = {
        "method": "GET",
        "path": "/_files/a b.mp4",
        "expires": query["Expires"][0],
        "signature": query["Signature"][0],
        "now": NOW,
        **changes,
    }
    refused = refuse_url(secret, **asked)  # type: ignore[arg-type]  # fields by name
    return refused[1] if refused else None


def test_the_address_is_good_for_a_get_until_it_expires() -> None:
    assert judge() is None
    assert judge(now=NOW + timedelta(hours=23, minutes=59)) is None
    assert judge(now=NOW + timedelta(hours=24)) == "Request has expired."


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "HEAD"},
        {"path": "/_files/b.mp4"},
        {"expires": "9999999999"},
        {"expires": ""},
        {"signature": ""},
        {"signature": "é\ud800"},
        {"secret": b"other"},
    ],
)
def test_anything_else_does_not_match(changes: dict[str, object]) -> None:
    assert str(judge(**changes)).startswith("The request signature")  # type: ignore[arg-type]  # fields by name
