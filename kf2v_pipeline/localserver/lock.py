"""A lock between processes, on a file; it goes with the process that holds it, however that ends."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

RETRY_S = 0.05


class LockTaken(Exception):
    """Another process, or another holder in this one, has the lock."""


class FileLock:
    """One holder's handle of a lock.

    Args:
        path: The file; it stays behind, empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def take(self, *, timeout_s: float) -> None:
        """Take it, waiting so long at most; a no-op for who has it.

        Raises:
            LockTaken: It did not become free in time.
            OSError: The file can't be made.
        """
        if self._handle is not None:
            return
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        ends = time.monotonic() + timeout_s
        while not _try_lock(handle):
            if time.monotonic() >= ends:
                os.close(handle)
                raise LockTaken(str(self._path))
            time.sleep(RETRY_S)  # no system tells when a lock of another process is free and bounds the wait, too
        self._handle = handle

    def release(self) -> None:
        """Give it back; a no-op for who does not have it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _try_lock(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
