"""The local server as a process of its own, one per directory: found, started where there is none, and stopped."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx

from .lock import FileLock, LockTaken
from .place import LIFE_LOCK, START_LOCK, ServerError, make_directory, own_url, read_record

LOG = "server.log"
LOG_MOST = 1024 * 1024
"""Bytes of the log beyond which a new server begins it anew."""

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]


def ensure_server(
    directory: Path,
    *,
    idle_stop: timedelta = timedelta(minutes=15),
    start_timeout: timedelta = timedelta(seconds=30),
) -> str:
    """Base URL of the directory's one local server, which is started if it does not live.

    The server is a process of its own: it outlives who started it, and stops by itself once it is idle. Any number
    of processes may call this at once; one of them starts it.

    Args:
        directory: Where the server keeps its tasks and films; also its record, its locks and its log.
        idle_stop: How long a server that is started here stays without anything to do.
        start_timeout: How long to wait for another starter, and for the server to answer.

    Raises:
        ServerError: It could not be started.
    """
    directory = directory.resolve()
    with _starting(directory, start_timeout):
        return _find(directory) or _start(directory, idle_stop, start_timeout)


def stop_server(directory: Path, *, timeout: timedelta = timedelta(seconds=10)) -> bool:
    """Stop the directory's local server; False if none lives. Its tasks stay, and go on with the next one.

    Raises:
        ServerError: It did not stop in time.
    """
    directory = directory.resolve()
    with _starting(directory, timeout):
        base_url = _find(directory)
        if base_url is None:
            return False
        httpx.post(own_url(base_url, "stop"), timeout=timeout.total_seconds(), trust_env=False)
        life = FileLock(directory / LIFE_LOCK)
        try:
            life.take(timeout_s=timeout.total_seconds())
        except LockTaken:
            raise ServerError(f"The local server of {directory} did not stop in time.") from None
        life.release()
        return True


@contextlib.contextmanager
def _starting(directory: Path, timeout: timedelta) -> Iterator[None]:
    """Be the only one who starts or stops a server of this directory."""
    make_directory(directory)
    lock = FileLock(directory / START_LOCK)
    try:
        lock.take(timeout_s=timeout.total_seconds())
    except LockTaken:
        raise ServerError(f"Another process starts or stops the local server of {directory} for too long.") from None
    except OSError as error:
        raise ServerError(f"The directory {directory} can't be used: {error.strerror}.") from error
    try:
        yield
    finally:
        lock.release()


def _find(directory: Path) -> str | None:
    """Base URL of the directory's server if it lives and is ours."""
    record = read_record(directory)
    if record is None:
        return None
    base_url = str(record.get("base_url"))
    try:
        reply = httpx.get(own_url(base_url, "health"), timeout=5, trust_env=False)
        said = reply.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return None
    ours = isinstance(said, dict) and said.get("directory") == str(directory)
    return base_url if ours else None


def _start(directory: Path, idle_stop: timedelta, timeout: timedelta) -> str:
    process = _spawn(directory, idle_stop)
    ends = time.monotonic() + timeout.total_seconds()
    while time.monotonic() < ends:
        base_url = _find(directory)
        if base_url:
            threading.Thread(target=process.wait, daemon=True).start()  # so that it never stays behind as a zombie
            return base_url
        if process.poll() is not None:
            raise ServerError(
                f"The local server ended at once with code {process.returncode}; {directory / LOG} says why."
            )
        time.sleep(0.05)  # a process of its own: it tells that it is there by its file alone
    process.kill()
    process.wait()
    raise ServerError(f"The local server did not start in time; {directory / LOG} says what it did.")


def _spawn(directory: Path, idle_stop: timedelta) -> subprocess.Popen[bytes]:
    """Start the process, detached from this one's terminal, signals and working directory."""
    path = os.pathsep.join(filter(None, (str(_PACKAGE_PARENT), os.environ.get("PYTHONPATH"))))
    environment = {name: value for name, value in os.environ.items() if name != "DASHSCOPE_API_KEY"}
    command = [sys.executable, "-m", f"{__package__}", "--dir", str(directory)]
    command += ["--idle-stop-s", str(idle_stop.total_seconds())]
    log_path = directory / LOG
    fresh = not log_path.exists() or log_path.stat().st_size > LOG_MOST
    with log_path.open("wb" if fresh else "ab") as log:
        return subprocess.Popen(  # noqa: S603  our own interpreter and module
            command,
            cwd=directory,
            env={**environment, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=sys.platform != "win32",
            creationflags=_DETACHED,
        )


_DETACHED = 0
if sys.platform == "win32":
    _DETACHED = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
