"""Ports for servers that start later."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_port() -> Iterator[int]:
    """A port that refuses connections, and that nobody else is given until this is left.

    It is bound by a socket that does not listen. Whoever asks for this very port with ``SO_REUSEADDR``, as servers do,
    may listen there, also again and again (Linux; elsewhere the port is free, and another process may be given it).
    """
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        port: int = keeper.getsockname()[1]
        if sys.platform != "linux":
            keeper.close()
        yield port
