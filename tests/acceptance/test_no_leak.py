"""Secrets stay in memory: after whole runs with everything going wrong, no file, output or log record holds one."""

from __future__ import annotations

import base64
import gzip
import logging
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pandas as pd
import pytest

from kf2v_pipeline.cli import main
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault

KEY = "sk-canary-5f1d7c0e9b3a4d62"
SIGNATURE = "FrameCanary/8c2e+41=="
PASSWORD = "canary-password-77aa"  # noqa: S105  # it opens nothing
REPEATED = "canary-of-the-services-own-words"

Canaries = Mapping[str, str]


def spellings(secret: str) -> set[bytes]:
    """The secret as it is, as a URL has it, and as a header or a body may carry it."""
    return {secret.encode(), quote(secret, safe="").encode(), base64.b64encode(secret.encode()).rstrip(b"=")}


def find(canaries: Canaries, places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Which secret is where; the one search that these tests trust."""
    wanted = {name: spellings(secret) for name, secret in canaries.items()}
    return [
        f"{name} in {place}"
        for place, content in places
        for name, words in wanted.items()
        if any(word in content for word in words)
    ]


def files_below(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Every file, as its bytes and, where those are packed, also as what they say."""
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            yield str(path), content
            if content.startswith(b"\x1f\x8b"):
                yield f"{path} (unpacked)", gzip.decompress(content)
            elif content.startswith(b"PAR1"):
                yield f"{path} (read)", pd.read_parquet(path).to_csv().encode()
            elif content.startswith(b"SQLite format 3"):
                yield f"{path} (read)", b"\n".join(cells_of(path))


def cells_of(database: Path) -> Iterator[bytes]:
    """Every text and blob of an SQLite file; its bytes alone may hold one in pieces."""
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608  # names out of the file itself
                for cell in row:
                    content = cell if isinstance(cell, bytes) else str(cell).encode("utf-8", "replace")
                    yield content
                    with suppress(zlib.error):  # Dagster keeps its snapshots packed
                        yield zlib.decompress(content)


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Every record of every logger of this process from now on, at DEBUG, as a handler would write it."""
    written: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(f"{record.name}: {self.format(record)} {record.args!r}")

    keeper = Keeper(logging.DEBUG)
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        if logger is logging.getLogger() or not logger.propagate:
            logger.addHandler(keeper)
    yield written
    for logger, level, _ in before:
        logger.setLevel(level)
        logger.removeHandler(keeper)


class _Signed(BaseHTTPRequestHandler):
    """Frames behind a signature or a password; anything else is refused."""

    folder: Path

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        login = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
        is_good = parse_qs(parts.query).get("Signature") == [SIGNATURE] or login in self.headers.get(
            "Authorization", ""
        )
        file = self.folder / parts.path.lstrip("/")
        content = file.read_bytes() if is_good and file.is_file() else b""
        self.send_response(200 if content else 403)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    handler = type("_Site", (_Signed,), {"folder": tmp_path / "frames"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def kf2v(*arguments: str) -> int:
    """One command in this process; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(str(ended.value.code or 0))


def video_signatures(server: LocalServer) -> set[str]:
    """What signs the addresses of all videos, as the service tells whoever has the key."""
    found = set()
    for task_id in {entry["task_id"] for entry in server.journal()["creates"]} - {None}:
        headers = {"Authorization": f"Bearer {KEY}"}
        reply = httpx.get(f"{server.base_url}/tasks/{task_id}", headers=headers, trust_env=False).json()
        found |= set(parse_qs(urlsplit(reply["output"].get("video_url", "")).query).get("Signature", []))
    return found


def test_no_secret_is_left_behind_by_whole_runs_in_which_much_goes_wrong(
    *,
    start_server: Callable[..., LocalServer],
    write_manifest: Callable[..., Path],
    site: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    log: list[str],
) -> None:
    server = start_server(
        keys=(KEY,),
        faults=(
            Fault(
                on="create", kind="error", match="refused", status=400, code="InvalidParameter", message=f"No, {KEY}!"
            ),
            Fault(on="create", kind="cut", count=1),
            Fault(on="download", kind="expired", count=1),
            Fault(on="download", kind="cut", count=1, skip=1),
            Fault(
                on="task",
                kind="fail",
                match="moderated",
                code="DataInspectionFailed",
                message=f"Input https://host/a.png?Signature={REPEATED} may contain inappropriate content.",
            ),
        ),
    )
    query = f"Expires=2000000000&OSSAccessKeyId=LTAI&Signature={quote(SIGNATURE, safe='')}"
    manifest = write_manifest(
        "plain",
        "signed",
        "login",
        "moderated",
        "refused",
        "gone",
        rows={
            "signed": {"first_frame": f"http://{site}/1-first.png?{query}"},
            "login": {"last_frame": f"http://me:{PASSWORD}@{site}/2-last.png"},
            "moderated": {"prompt": "moderated", "first_frame": f"http://{site}/3-first.png?{query}"},
            "refused": {"prompt": "refused"},
            "gone": {"first_frame": f"http://{site}/none.png?{query}"},
        },
    )
    home, storage = tmp_path / "home", tmp_path / "out"
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    monkeypatch.setenv("KF2V_SERVICE", server.base_url)
    monkeypatch.setenv("KF2V_HOME", str(home))
    monkeypatch.setenv("KF2V_STORAGE", str(storage))

    assert kf2v("run", str(manifest)) == 1
    assert kf2v("run", str(manifest), "--json", "--clip", "moderated") == 1
    assert kf2v("plan", str(manifest)) == 1
    assert kf2v("status", "--json") == 0
    printed = "".join(capfd.readouterr())

    rows = pd.read_parquet(storage / "tables" / "videos.parquet").set_index("clip_id")
    failed = {"moderated": "failed", "refused": "failed"}
    assert rows["status"].to_dict() == {"plain": "stored", "signed": "stored", "login": "stored", **failed}
    assert rows.loc["refused", "error_message"] == "No, …!"
    assert rows.loc["signed", "first_frame_path"] == f"http://{site}/1-first.png"
    assert "403" in printed
    assert any(line.startswith("httpx: ") for line in log)
    signatures = video_signatures(server)
    assert len(signatures) == 3
    canaries = {
        "the key": KEY,
        "a frame's signature": SIGNATURE,
        "a frame's password": PASSWORD,
        "a signature in the service's words": REPEATED,
        "any signature": "Signature=",
        **{f"the signature of video {number}": text for number, text in enumerate(signatures)},
    }
    places = [("the output", printed.encode()), ("the log", "\n".join(log).encode())]
    assert find(canaries, [*places, *files_below(home, storage)]) == []


def test_the_search_finds_a_secret_in_whatever_it_is_kept(tmp_path: Path) -> None:
    (tmp_path / "plain.json").write_text(f'{{"url": "https://host/a?Signature={quote(SIGNATURE, safe="")}"}}')
    (tmp_path / "packed.log.gz").write_bytes(gzip.compress(f"Authorization: Bearer {KEY}".encode()))
    words = [f"{KEY} {number}" for number in range(200)]
    pd.DataFrame({"message": words}).to_parquet(tmp_path / "table.parquet", compression="zstd")
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("CREATE TABLE fact (text, blob)")
        connection.execute("INSERT INTO fact VALUES (?, ?)", ("x" * 10_000 + KEY, zlib.compress(PASSWORD.encode())))
        connection.commit()

    found = find({"key": KEY, "signature": SIGNATURE, "password": PASSWORD}, files_below(tmp_path))

    assert set(found) >= {
        f"signature in {tmp_path / 'plain.json'}",
        f"key in {tmp_path / 'packed.log.gz'} (unpacked)",
        f"key in {tmp_path / 'table.parquet'} (read)",
        f"key in {tmp_path / 'ledger.db'} (read)",
        f"password in {tmp_path / 'ledger.db'} (read)",
    }


def test_the_log_keeps_what_any_logger_says(log: list[str]) -> None:
    logging.getLogger("httpcore.connection").debug("GET %s", f"https://host/a?Signature={SIGNATURE}")
    logging.getLogger("of.a.new.module").debug("x", exc_info=ValueError(KEY))
    assert find({"key": KEY, "signature": SIGNATURE}, [("the log", "\n".join(log).encode())]) == [
        "key in the log",
        "signature in the log",
    ]
