"""One video on its way to us: what the reply to a download says, and its bytes. Keeping them belongs to storage."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx

from kf2v_pipeline.errors import ReplyLost, TransportError
from kf2v_pipeline.wan.exchange import as_transport_error

_CONTENT_RANGE = re.compile(r"bytes (?:(?P<start>\d+)-\d+|\*)/(?P<total>\d+|\*)", re.IGNORECASE)


class Download:
    """A video's bytes, from ``start_byte`` to its end. Iterate it once, inside the context that gave it.

    Attributes:
        start_byte: The first byte that comes: what was asked for, or 0 where the server does not do ranges.
        total_bytes: Size of the whole video; None where the server does not say.
    """

    def __init__(self, response: httpx.Response, *, start_byte: int, total_bytes: int | None) -> None:
        self._response = response
        self.start_byte = start_byte
        self.total_bytes = total_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The chunks; that they end without an error means that the last byte has come.

        Raises:
            TransportError: The connection broke; what came so far is good, and the rest can be asked for.
        """
        reached = self.start_byte
        trouble: TransportError | None = None
        try:
            if reached != self.total_bytes:
                async for chunk in self._response.aiter_bytes():
                    reached += len(chunk)
                    yield chunk
        except (httpx.HTTPError, OSError) as error:
            trouble = as_transport_error("download", error)
        if trouble is None and self.total_bytes not in (None, reached):
            trouble = ReplyLost("download", f"{reached} of {self.total_bytes} bytes came")
        if trouble is not None:
            raise trouble  # outside of `except`: a cause would carry the signed URL along


def read_extent(response: httpx.Response, asked_start: int) -> tuple[int, int | None] | None:
    """Where the reply's bytes start and how many the whole video has; None where it can't be used.

    Args:
        response: Its headers are looked at, not its body.
        asked_start: The first byte that the request asked for.
    """
    found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    total = int(found["total"]) if found and found["total"] != "*" else None
    if response.status_code == httpx.codes.OK:
        length = response.headers.get("content-length", "")
        encoded = response.headers.get("content-encoding", "identity") != "identity"
        return 0, int(length) if length.isdecimal() and not encoded else None
    if response.status_code == httpx.codes.PARTIAL_CONTENT and found and found["start"] == str(asked_start):
        return asked_start, total
    if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and asked_start and total == asked_start:
        return asked_start, total  # all of it was there already
    return None
