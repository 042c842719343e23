"""Addresses of frames, videos and stores: how they are shown without their secrets."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def redact(address: str) -> str:
    """The address without user, password, query and fragment; ``data:`` URIs lose their data.

    A plain path comes back as it is. What is cut away may sign or name somebody, what stays tells which file it is.
    """
    if address.startswith("data:"):
        return address.partition(",")[0] + ",…"
    if "://" not in address:
        return address
    try:
        parts = urlsplit(address)
    except ValueError:  # a broken host, such as ``http://[x``: only the scheme can be told apart
        return address.partition("://")[0] + "://…"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
