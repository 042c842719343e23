"""The one server of a project: started once by whoever needs it, outliving that, gone when idle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from kf2v_pipeline.localserver.lock import FileLock
from kf2v_pipeline.localserver.place import ServerError, read_record
from kf2v_pipeline.localserver.process import ensure_server, stop_server

START = (
    "import sys; from pathlib import Path; from kf2v_pipeline.localserver.process import ensure_server; "
    "print(ensure_server(Path(sys.argv[1])))"
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    stop_server(tmp_path)


def start_elsewhere(home: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", START, home], capture_output=True, text=True, check=True
    ).stdout.strip()


def pid_of(home: Path) -> int:
    record = read_record(home)
    assert record is not None
    return int(record["pid"])


def test_processes_that_need_it_at_once_get_the_same_server_and_it_outlives_them(home: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = set(pool.map(start_elsewhere, [home] * 3))
    assert found == {ensure_server(home)}
    assert pid_of(home) != os.getpid()


def test_after_a_kill_it_comes_back_at_the_same_address(home: Path) -> None:
    before, pid = ensure_server(home), pid_of(home)
    os.kill(pid, signal.SIGKILL)
    assert ensure_server(home) == before
    assert pid_of(home) != pid


def test_it_stops_when_idle(home: Path) -> None:
    base_url = ensure_server(home, idle_stop=timedelta(seconds=0.2))
    life = FileLock(home / "server.lock")
    life.take(timeout_s=20)  # the server holds it as long as it lives
    life.release()
    with pytest.raises(httpx.ConnectError):
        httpx.get(base_url, trust_env=False)


def test_it_is_stopped_and_there_is_nothing_left_to_stop(home: Path) -> None:
    ensure_server(home)
    assert stop_server(home)
    assert not stop_server(home)
    ensure_server(home)


def test_it_leaves_when_its_directory_is_taken_away(home: Path) -> None:
    ensure_server(home)
    life = FileLock(home / "server.lock")
    (home / "server.json").unlink()
    life.take(timeout_s=20)
    life.release()
    ensure_server(home)


def test_what_listens_at_the_recorded_address_must_be_ours(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    theirs = ensure_server(other)
    try:
        (home / "server.json").write_text((other / "server.json").read_text())
        assert ensure_server(home) != theirs
    finally:
        stop_server(other)


def test_a_directory_that_can_not_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServerError, match=r"can't be used: (Not a directory|File exists)"):
        ensure_server(tmp_path / "file" / "home")


def test_a_failed_start_says_where_to_look(home: Path) -> None:
    (home / "server.sqlite").mkdir()
    with pytest.raises(ServerError, match=r"server\.log"):
        ensure_server(home)
