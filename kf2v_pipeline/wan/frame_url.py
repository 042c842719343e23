"""How a frame reaches the service: inline, by upload, or by its own URL. Reading its bytes is others' work."""

from __future__ import annotations

from base64 import b64encode
from typing import Literal
from urllib.parse import urlsplit

from kf2v_pipeline.domain.address import redact
from kf2v_pipeline.domain.clip import Frame
from kf2v_pipeline.errors import FrameError
from kf2v_pipeline.wan.host import is_public

Mode = Literal["auto", "inline", "upload", "url"]
"""How a user wants frames to travel."""

Way = Literal["inline", "upload", "url"]
"""How one frame travels: in the create's body, through the vendor's temporary storage, or fetched by the service."""

DATA_URI_MAX_BYTES = 10_485_760
"""Longest ``data:`` URI that the gateway takes (vendor page of error messages), so files to 7.8 million bytes."""

_TEMPORARY_PREFIX = "oss://dashscope-instant/"
"""Where the vendor keeps temporary uploads (vendor page on temporary URLs). Another ``oss://`` is somebody's bucket."""

_MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "BMP": "image/bmp", "WEBP": "image/webp"}


def choose(frame: Frame, mode: Mode) -> Way:
    """How that frame travels.

    ``auto`` leaves public URLs to the service, and sends all else inline while it fits, else by upload. What lies in
    the vendor's temporary storage can't be read by anybody, so it goes by its URL in every mode. What has to be fixed
    never does.

    Raises:
        FrameError: The mode can't carry this frame.
    """
    if is_temporary(frame.location):
        return "url"
    public = frame.fix is None and is_public_url(frame.location)
    if mode == "url" and not public:
        reason = "it is no public http(s) URL" if frame.fix is None else "it is fixed before it is sent"
        what = f"the service can't fetch it, since {reason}"
        raise FrameError(redact(frame.location), what, "choose auto, inline or upload for the frames")
    if mode == "url" or (mode == "auto" and public):
        return "url"
    fits = data_uri_bytes(frame.size_bytes, frame.format) <= DATA_URI_MAX_BYTES
    if mode == "inline" and not fits:
        what = f"its {frame.size_bytes} bytes are more than fit into a create"
        raise FrameError(redact(frame.location), what, "choose auto or upload for the frames, or make the file smaller")
    return "inline" if fits and mode != "upload" else "upload"


def data_uri(content: bytes, format: str) -> str:  # noqa: A002 - Pillow's word for it, as in Frame
    """The picture as a ``data:`` URI.

    Raises:
        ValueError: It would be longer than the gateway takes; ``choose`` sends such a frame by upload.
    """
    if data_uri_bytes(len(content), format) > DATA_URI_MAX_BYTES:
        raise ValueError(f"{len(content)} bytes do not fit into one data: URI")
    return f"data:{_MIME[format]};base64,{b64encode(content).decode('ascii')}"


def data_uri_bytes(size_bytes: int, format: str) -> int:  # noqa: A002 - Pillow's word for it, as in Frame
    """Length of the ``data:`` URI of a file of that size."""
    return len(f"data:{_MIME[format]};base64,") + (size_bytes + 2) // 3 * 4


def is_temporary(location: str) -> bool:
    """Whether it lies in the vendor's temporary storage, where only the service can read it."""
    return location.startswith(_TEMPORARY_PREFIX)


def is_public_url(location: str) -> bool:
    """Whether the service can be expected to fetch it: http(s), a public host by its name, and no user in it."""
    if "://" not in location:
        return False
    try:
        parts = urlsplit(location)
        return parts.scheme in ("http", "https") and parts.username is None and is_public(parts.hostname or "")
    except ValueError:
        return False
