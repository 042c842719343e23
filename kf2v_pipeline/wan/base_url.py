"""Base URLs of services: one spelling each, since they name services, lanes and fingerprints. No requests here."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.wan.host import is_loopback

WORKSPACE_HOST = re.compile(r"[a-z0-9-]+\.(?P<region>[a-z0-9-]+)\.maas\.aliyuncs\.com")
"""Hosts of workspaces (vendor page of the 2.2 API; regions in the vendor's Python SDK 2.0.2, ``common/env.py``)."""

_API_PATH = "/api/v1"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def normalise_base_url(address: str, setting: str) -> str:
    """The address as scheme, host, port where it isn't the scheme's own, and path without trailing slash.

    Without a scheme it is https, and http on loopback. A workspace's host without a path gets ``/api/v1``.

    Args:
        address: As a person wrote it.
        setting: How an error names the place where it was written.

    Raises:
        SettingsError: The address can't be a base URL, or would carry a secret into names and logs.
    """
    try:
        if "://" not in address:
            address = f"{'http' if is_loopback(urlsplit(f'//{address}').hostname or '') else 'https'}://{address}"
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _no_base_url(setting) from None
    if parts.scheme not in _DEFAULT_PORTS or not host or re.search(r"\s", address):
        raise _no_base_url(setting)
    if parts.username is not None or parts.query or parts.fragment:
        what = "a base URL can't hold a user, a query or a fragment"
        raise SettingsError(setting, what, "put the key into DASHSCOPE_API_KEY")
    shown = f"[{host}]" if ":" in host else host
    if port not in (None, _DEFAULT_PORTS[parts.scheme]):
        shown += f":{port}"
    path = parts.path.rstrip("/") or (_API_PATH if WORKSPACE_HOST.fullmatch(host) else "")
    return f"{parts.scheme}://{shown}{path}"


def _no_base_url(setting: str) -> SettingsError:
    return SettingsError(setting, "that is no base URL", "write one such as https://gateway.example.com/api/v1")
