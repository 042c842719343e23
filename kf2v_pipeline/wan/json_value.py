"""Values out of JSON that somebody else wrote: read what can be read, and None for the rest. No field names here."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from math import isfinite
from typing import Any

SERVICE_ZONE = timezone(timedelta(hours=8))
"""Zone of the service's times without one (vendor's OpenAPI page; recorded ``Date`` headers agree)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S.%f"
_MESSAGE_MAX_CHARS = 2000
_URL = re.compile(
    r"(?P<start>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://)(?:[^\s/@]*@)?(?P<shown>[^\s?#\"'<>]*)(?:[?#]\S*)?", re.IGNORECASE
)
_DATA_URI = re.compile(r"data:[^\s,]*,\S*", re.IGNORECASE)


def read_object(body: bytes) -> dict[str, Any] | None:
    """The body as a JSON object; None where it is none, or is cut off."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def read_text(value: object) -> str | None:
    """A text that any database can hold: no NUL, no lone surrogates; None where there is none, or only an empty one."""
    if not isinstance(value, str):
        return None
    return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8") or None


def read_number(value: object) -> float | None:
    """A finite number, also where it is written as a text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def read_count(value: object) -> int | None:
    """A whole number from 0."""
    number = read_number(value)
    return int(number) if number is not None and number >= 0 else None


def parse_time(value: object) -> datetime | None:
    """A time of the service as aware UTC; None where there is none that can be read.

    Texts are UTC+8, with or without milliseconds; numbers are milliseconds since the epoch.
    """
    try:
        if isinstance(value, str) and ":" in value:
            text = value.strip() if "." in value else f"{value.strip()}.0"
            return datetime.strptime(text, _TIME_FORMAT).replace(tzinfo=SERVICE_ZONE).astimezone(timezone.utc)
        number = read_number(value)
        return _EPOCH + timedelta(milliseconds=number) if number is not None and number > 0 else None
    except (ValueError, OverflowError):
        return None


def hide_secrets(text: str) -> str:
    """The service's words, at most 2,000 characters, without what signs a URL in them and without inline pictures."""
    kept = text[:_MESSAGE_MAX_CHARS]
    hidden = _DATA_URI.sub("data:…", _URL.sub(r"\g<start>\g<shown>", kept))
    return hidden if kept == text else f"{hidden}…"
