"""Hosts, judged by their names alone: loopback, public or neither. Nothing is looked up in DNS here."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home", ".corp", ".home.arpa", ".test")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine: ``localhost``, ``127.0.0.0/8`` or ``::1``."""
    name = _bare(host)
    address = _address(name)
    return address.is_loopback if address else name == "localhost" or name.endswith(".localhost")


def is_public(host: str) -> bool:
    """Whether the host looks like one that the whole internet can reach.

    Addresses that are loopback, private, link-local or reserved are not; neither are names without a dot, names under
    the suffixes of private networks, and numbers that only look like an address (``0x7f.1``).
    """
    name = _bare(host)
    address = _address(name)
    if address:
        return address.is_global and not address.is_multicast
    last = name.rpartition(".")[2]
    return "." in name and not name.endswith(_PRIVATE_SUFFIXES) and not last[:1].isdigit()


def _bare(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name.partition("%")[0])
    except ValueError:
        return None
