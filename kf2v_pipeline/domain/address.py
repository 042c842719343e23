"""Addresses of frames, videos and stores: how they are shown without their secrets."""

from __future__ import annotations

import re

_CHAIN = re.compile(r"::(?=[a-z][a-z0-9+.-]*(?:::|://))", re.IGNORECASE)
"""Where one link of a chained fsspec URL (``simplecache::s3://…``) ends and the next begins."""

_HOST = re.compile(r"(?:\[[^\[\]]*\]|[^:\[\]]*)(?::[0-9]*)?")
_END_OF_HOST = re.compile(r"[/?#]")
_END_OF_PATH = re.compile(r"[?#]")
_END_OF_KEY = re.compile(r"\?")
"""Outside of the web a ``#`` is a letter of the file's name."""


def redact(address: str) -> str:
    """The address without user, password, query and fragment; ``data:`` URIs lose their data.

    A plain path comes back as it is. What is cut away may sign or name somebody, what stays tells which file it is.
    """
    if address.startswith("data:"):
        return address.partition(",")[0] + ",…"
    if "://" not in address:
        return address
    return "::".join(map(_redact_link, _CHAIN.split(address)))


def has_secret(address: str) -> bool:
    """Whether there is more to the address than may be shown, so that it must not be kept anywhere.

    Any query counts: the names of parameters that sign differ from store to store, and no list of them is whole.
    """
    return redact(address) != address


def _redact_link(link: str) -> str:
    scheme, separator, rest = link.partition("://")
    if not separator:
        return link
    found = _END_OF_HOST.search(rest)
    end = found.start() if found else len(rest)
    host = rest[:end].rpartition("@")[2]
    if not _HOST.fullmatch(host):  # no host, or a password with a character that ends it: only the scheme is safe
        return f"{scheme}://…"
    path = rest[end:] if rest.startswith("/", end) else ""
    is_web = scheme.lower() in ("http", "https")
    return f"{scheme}://{host}{(_END_OF_PATH if is_web else _END_OF_KEY).split(path, maxsplit=1)[0]}"
