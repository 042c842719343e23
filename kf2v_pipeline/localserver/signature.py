"""Signed addresses and upload policies: what this server hands out, it knows again. Keys belong to the store."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timezone
from urllib.parse import quote, urlencode


def sign(secret: bytes, *parts: str) -> str:
    """A signature over the parts, as object stores write theirs: base64 of an HMAC-SHA1."""
    text = "\n".join(parts).encode()
    return base64.b64encode(hmac.new(secret, text, hashlib.sha1).digest()).decode()


def is_signed(secret: bytes, signature: str, *parts: str) -> bool:
    """Whether the signature is ours and over exactly these parts."""
    return hmac.compare_digest(sign(secret, *parts).encode(), signature.encode("utf-8", "replace"))


def signed_url(secret: bytes, *, host_url: str, path: str, expires_at: datetime) -> str:
    """An address that may be read, with GET alone, until it expires."""
    expires = str(int(expires_at.timestamp()))
    query = {"Expires": expires, "OSSAccessKeyId": "LOCAL", "Signature": sign(secret, "GET", expires, path)}
    return f"{host_url}{quote(path)}?{urlencode(query)}"


def refuse_url(
    secret: bytes, *, method: str, path: str, expires: str, signature: str, now: datetime
) -> tuple[str, str] | None:
    """Code and message why an address may not be read, in an object store's words; None when it may."""
    if not is_signed(secret, signature, "GET", expires, path) or method != "GET":
        return (
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
        )
    if now >= datetime.fromtimestamp(int(expires), timezone.utc):
        return "AccessDenied", "Request has expired."
    return None
