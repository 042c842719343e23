"""Reads bytes and change tokens from any address: paths, fsspec URLs, http(s). Writing belongs elsewhere."""

from __future__ import annotations

import functools
import os
import posixpath
import re
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import fsspec  # type: ignore[import-untyped]  # it ships no types
import httpx

from kf2v_pipeline.domain.address import redact
from kf2v_pipeline.errors import StorageError

_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_HEADERS = {"User-Agent": "kf2v-pipeline"}

_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "oss": "oss",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
}
"""The extra of this package that reads a protocol."""

_MARKS = (
    "ETag",
    "etag",
    "generation",
    "md5",
    "mtime",
    "LastModified",
    "last_modified",
    "updated",
    "modified",
    "created",
)
"""What the file systems of fsspec call the thing that changes when an object does."""


def locate(reference: str, base: str) -> str:
    """The address of what a file refers to: an absolute local path, or a URL.

    Args:
        reference: A path or URL as a person wrote it. ``file://`` URLs may be absolute, relative (``file://./a.png``)
            or percent-encoded, as the vendor's SDK takes them.
        base: Address of the file that holds the reference; relative references count from its folder.

    Raises:
        StorageError: The reference is no URL that can be read, or is a relative ``file://`` beside a remote base.
    """
    if reference.startswith("data:"):
        return reference
    if reference[:7].lower() == "file://":
        return _locate_file(reference, base)
    if "://" in reference:
        _check_url(reference)
        return reference
    if "://" in base and not _is_absolute(reference):
        return _sibling(reference, base)
    return _absolute(reference, base)


def read_bytes(location: str, *, limit_bytes: int | None = None) -> bytes:
    """All bytes behind an address that ``locate`` gave.

    Args:
        location: An absolute path or a URL.
        limit_bytes: Refuse what is larger, before it is read where its size is told; None for no limit.

    Raises:
        StorageError: It can't be read, or is too large.
    """
    with _refusals(location):
        if _is_http(location):
            return _read_http(location, limit_bytes)
        if _is_local(location):
            return _read_local(location, limit_bytes)
        file_system, path = _open_file_system(location)
        _check_size(location, file_system.info(path)["size"], limit_bytes)
        content = file_system.cat_file(path)
        _check_size(location, len(content), limit_bytes)
        return bytes(content)


def token(location: str) -> str | None:
    """A cheap sign that differs once the file has changed; None where there is none (http) or no such file."""
    if _is_http(location):
        return None
    try:
        if _is_local(location):
            found = os.stat(location)  # noqa: PTH116  # text, as in ``_absolute``
            # A file moved here may have the size and mtime of the one before, but not its ctime.
            return f"{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"
        file_system, path = _open_file_system(location)
        info = file_system.info(path)
    except Exception:  # noqa: BLE001  # file systems raise what they like; reading the file will say what is wrong
        return None
    marks = [f"{name}={info[name]}" for name in _MARKS if info.get(name)]
    return "-".join([str(info.get("size")), *marks]) if marks else None


def is_there(location: str) -> bool:
    """Whether something is at an address; of http(s), which would have to be fetched, it is believed."""
    if _is_http(location):
        return True
    try:
        if _is_local(location):
            return os.path.exists(location)  # noqa: PTH110  # text, as in ``_absolute``
        file_system, path = _open_file_system(location)
        return bool(file_system.exists(path))
    except Exception:  # noqa: BLE001  # as in ``token``
        return False


def _locate_file(reference: str, base: str) -> str:
    path = unquote(reference[7:])
    if path.lower().startswith("localhost/"):
        path = path[len("localhost") :]
    if "://" in base and not _is_absolute(path):
        raise StorageError(
            reference,
            "it is relative to a folder of this machine, and the manifest is not on it",
            "write an absolute path, or leave file:// out",
        )
    return _absolute(path, base)


# Text instead of Path: a manifest of 100,000 rows would spend a second on Path objects.


def _is_absolute(path: str) -> bool:
    return os.path.isabs(path) or path.startswith("~/")  # noqa: PTH117  # see above


def _absolute(path: str, base: str) -> str:
    if path.startswith("~"):
        path = os.path.expanduser(path)  # noqa: PTH111  # see above
    return os.path.abspath(os.path.join(_folder_of(base), path))  # noqa: PTH100, PTH118  # see above


@functools.lru_cache(maxsize=8)
def _folder_of(base: str) -> str:
    return os.path.dirname(base)  # noqa: PTH120  # see above


def _check_url(reference: str) -> None:
    try:
        urlsplit(reference)
    except ValueError:
        scheme = reference.partition("://")[0]
        raise StorageError(f"{scheme}://…", "it is no URL that can be read", "correct the URL") from None


def _sibling(reference: str, base: str) -> str:
    if _is_http(base):
        return urljoin(base, f"./{reference}")
    # A chained URL (simplecache::s3://bucket/a.csv, zip://a.csv::s3://bucket/b.zip) has its path after the first "://".
    scheme, _, rest = base.partition("://")
    path, chain, outer = rest.partition("::")
    root, slash, inner = path.partition("/")
    if not slash:
        return f"{scheme}://{posixpath.normpath(reference)}{chain}{outer}"
    joined = posixpath.normpath(posixpath.join("/", posixpath.dirname(inner), reference))
    return f"{scheme}://{root}{joined}{chain}{outer}"


def _is_http(location: str) -> bool:
    return location[:8].lower().startswith(("http://", "https://"))


def _is_local(location: str) -> bool:
    return "://" not in location and not location.startswith("data:")


def _open_file_system(location: str) -> tuple[Any, str]:
    if location.startswith("data:"):
        return fsspec.filesystem("data"), location
    # Other processes write there too, so a listing that was kept may be wrong.
    file_system, path = fsspec.core.url_to_fs(location, use_listings_cache=False)
    return file_system, path


def _read_local(path: str, limit_bytes: int | None) -> bytes:
    file = Path(path)
    found = file.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError
    if not stat.S_ISREG(found.st_mode):  # a pipe or a device may never end
        raise StorageError(path, "it is no regular file", "name a regular file")
    _check_size(path, found.st_size, limit_bytes)
    return file.read_bytes()


def _read_http(url: str, limit_bytes: int | None) -> bytes:
    content = bytearray()
    options: dict[str, Any] = {"follow_redirects": True, "event_hooks": {"request": [_hide_secrets]}}
    with (
        httpx.Client(verify=_tls(), timeout=_TIMEOUT, headers=_HEADERS, **options) as client,
        client.stream("GET", url) as reply,
    ):
        if not reply.is_success:
            said = f"the server answers {reply.status_code} {reply.reason_phrase}".rstrip()
            raise StorageError(redact(url), said, "correct the address, or make it readable from here")
        for chunk in reply.iter_bytes():
            content += chunk
            _check_size(url, len(content), limit_bytes)
    return bytes(content)


class _ShownUrl(httpx.URL):
    """A URL that is shown without its secrets: httpx logs every URL that it requests."""

    def __str__(self) -> str:
        return redact(super().__str__())

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"


def _hide_secrets(request: httpx.Request) -> None:
    request.url = _ShownUrl(request.url)


@functools.cache
def _tls() -> ssl.SSLContext:
    """The trusted certificates, loaded once: that takes longer than fetching a small picture."""
    return httpx.create_ssl_context()


def _check_size(location: str, size_bytes: int | None, limit_bytes: int | None) -> None:
    if limit_bytes is not None and size_bytes is not None and size_bytes > limit_bytes:
        raise StorageError(redact(location), f"it is larger than {limit_bytes:,} bytes", "make the file smaller")


@contextmanager
def _refusals(location: str) -> Iterator[None]:
    """Turns whatever a storage raises into one sentence."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001  # file systems raise what they like: botocore's, aiohttp's, KeyError
        raise StorageError(redact(location), *_explain(location, error)) from None


def _explain(location: str, error: Exception) -> tuple[str, str]:
    """What is wrong, and what mends it."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "there is no such file", "correct the path"
    if isinstance(error, IsADirectoryError):
        return "it is a folder", "name a file in it"
    if isinstance(error, PermissionError):
        return "it may not be read", "give this user or key the right to read it"
    if isinstance(error, ImportError):
        protocol = location.partition("://")[0].rpartition("::")[2]
        extra = _EXTRAS.get(protocol)
        mend = f"install kf2v-pipeline[{extra}]" if extra else f"install what fsspec needs for {protocol}://"
        return f"what reads {protocol}:// is not installed", mend
    words = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split()).rstrip(".")
    # A storage may repeat the address with its signature.
    words = re.sub(r"\w+://\S+", lambda match: redact(match[0]), words)
    return words[:200], "check the address, and that it can be read from here"
