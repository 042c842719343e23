"""Frames on their way in: fetched from where they are, looked at, kept as files named by their digest.

Source of limits and texts: vendor page "Input image" (formats, 10 MB, sides of 240 to 8000 pixels, no alpha in
PNG) and its list of error messages.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import io
import ipaddress
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx
from PIL import Image, UnidentifiedImageError

from .model import Model
from .refusal import (
    BAD_FORMAT,
    BAD_IMAGE,
    BAD_SIZE,
    BAD_URL,
    UNRESOLVED_UPLOAD,
    UPLOAD_GONE,
    Refused,
    download_failed,
    download_timeout,
)

FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
SHORTEST_SIDE, LONGEST_SIDE = 240, 8000
FETCH_TIMEOUT_S = 30.0
"""Longest silence of a server that has a frame."""

FETCH_MOST_S = 120.0
"""Longest time that one frame may take, however it drips."""

YOUNG_S = 600.0
"""Files that were written so short a time ago are not swept, whoever refers to them."""

_EXIF_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame that was looked at and kept.

    Attributes:
        digest: Names its file.
        size: Width and height in pixels, upright.
    """

    digest: str
    size: tuple[int, int]


class Frames:
    """The frames of one directory.

    Args:
        upload_path: The file of an ``oss://`` address, None where there is none for this model.
        allow_private: Whether addresses of private networks may be fetched; only right for a server that nobody
            but this machine can reach.
    """

    def __init__(self, directory: Path, *, upload_path: Callable[[str, str], Path | None], allow_private: bool) -> None:
        self._directory = directory
        self._upload_path = upload_path
        self._allow_private = allow_private
        self._decoders = anyio.CapacityLimiter(2)  # a large picture takes 200 MB while it is decoded
        self._fetchers = anyio.CapacityLimiter(8)  # more would wait for each other's connections and time out
        directory.mkdir(parents=True, exist_ok=True)
        self._http = httpx.AsyncClient(
            timeout=FETCH_TIMEOUT_S,
            follow_redirects=True,
            mounts={"all://127.0.0.1": None, "all://localhost": None},  # no proxy on the way to ourselves
            event_hooks={"request": [self._refuse_private]},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def path(self, digest: str) -> Path:
        """The file of a frame."""
        return self._directory / digest

    async def take(self, url: str, model: Model, *, resolve_oss: bool) -> Frame:
        """Fetch a frame, look at it and keep it.

        Args:
            url: ``http(s)://``, ``data:`` or ``oss://``.
            model: Whose limits hold.
            resolve_oss: Whether the call carried the header that ``oss://`` addresses need.

        Raises:
            Refused: With the service's words.
        """
        scheme = url.partition(":")[0].lower()
        if is_remote(url):
            data = await self._fetch(url, model.frame_max_bytes)
        elif scheme == "data":
            data = decode_data_uri(url)
        elif scheme == "oss":
            data = await self._read_upload(url, model, resolve_oss=resolve_oss)
        else:
            raise Refused(BAD_URL)
        return await anyio.to_thread.run_sync(self._keep, data, model, limiter=self._decoders)

    def sweep(self, needed: set[str]) -> None:
        """Delete the files that nobody needs, but none that is young."""
        for path in self._directory.iterdir():
            with contextlib.suppress(FileNotFoundError):  # a frame that is being written is renamed meanwhile
                if path.name not in needed and time.time() - path.stat().st_mtime > YOUNG_S:
                    path.unlink()

    def _keep(self, data: bytes, model: Model) -> Frame:
        size = inspect_frame(data, model)
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        if path.exists():
            os.utime(path)
        else:
            part_path = path.with_name(f"{digest}.{os.urandom(4).hex()}.part")
            part_path.write_bytes(data)
            part_path.replace(path)
        return Frame(digest=digest, size=size)

    async def _fetch(self, url: str, most_bytes: int) -> bytes:
        data = bytearray()
        try:
            async with self._fetchers:
                with anyio.fail_after(FETCH_MOST_S):
                    async with self._http.stream("GET", url) as reply:
                        if reply.status_code != 200:
                            raise Refused(download_failed(url))
                        async for chunk in reply.aiter_bytes():
                            data += chunk
                            if len(data) > most_bytes:
                                raise Refused(BAD_SIZE)
        except (httpx.TimeoutException, TimeoutError):
            raise Refused(download_timeout(url)) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
            raise Refused(download_failed(url)) from None
        return bytes(data)

    async def _read_upload(self, url: str, model: Model, *, resolve_oss: bool) -> bytes:
        if not resolve_oss:
            raise Refused(UNRESOLVED_UPLOAD)
        path = self._upload_path(url.partition("://")[2], model.name)
        if path is None:
            raise Refused(UPLOAD_GONE)
        return await anyio.Path(path).read_bytes()

    async def _refuse_private(self, request: httpx.Request) -> None:
        """Every hop of a fetch comes by here, so that a redirect can't lead inside either."""
        if self._allow_private:
            return
        found = await anyio.getaddrinfo(request.url.host, request.url.port or 443, type=socket.SOCK_STREAM)
        if not all(ipaddress.ip_address(address[4][0]).is_global for address in found):
            raise httpx.RequestError("private address", request=request)


def is_remote(url: str) -> bool:
    """Whether a frame must be fetched from another server."""
    return url.partition(":")[0].lower() in ("http", "https")


def decode_data_uri(uri: str) -> bytes:
    """The bytes of ``data:{MIME};base64,{data}``.

    Raises:
        Refused: It is none.
    """
    head, comma, body = uri.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise Refused(BAD_URL)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(BAD_IMAGE) from None


def inspect_frame(data: bytes, model: Model) -> tuple[int, int]:
    """Width and height of a frame that the model takes, upright.

    Raises:
        Refused: The model does not take it.
    """
    if len(data) > model.frame_max_bytes:
        raise Refused(BAD_SIZE)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise Refused(BAD_SIZE) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        raise Refused(BAD_FORMAT) from None
    with image:
        width, height = image.size
        if min(width, height) < SHORTEST_SIDE or max(width, height) > LONGEST_SIDE:
            raise Refused(BAD_SIZE)
        if model.max_aspect and max(width, height) > model.max_aspect * min(width, height):
            raise Refused(BAD_SIZE)
        if image.format == "PNG" and image.has_transparency_data:
            raise Refused(BAD_FORMAT)
        try:
            image.load()
            turned = image.getexif().get(_EXIF_ORIENTATION) in _TURNED
        except Exception:  # noqa: BLE001  broken files raise whatever their decoder came across
            raise Refused(BAD_IMAGE) from None
    return (height, width) if turned else (width, height)
