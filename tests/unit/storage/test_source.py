"""Reading bytes and change tokens from paths, fsspec URLs and http."""

from __future__ import annotations

import logging
import os
from base64 import b64decode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import pytest

from kf2v_pipeline.errors import StorageError
from kf2v_pipeline.storage.source import locate, read_bytes, token


@pytest.mark.parametrize(
    ("reference", "location"),
    [
        ("a.png", "/batch/a.png"),
        ("frames/a.png", "/batch/frames/a.png"),
        ("../a.png", "/a.png"),
        ("/elsewhere/a.png", "/elsewhere/a.png"),
        ("file:///elsewhere/a%20b.png", "/elsewhere/a b.png"),
        ("file://localhost/elsewhere/a.png", "/elsewhere/a.png"),
        ("file://./frames/a.png", "/batch/frames/a.png"),
        ("file://frames/a.png", "/batch/frames/a.png"),
        ("file://../a.png", "/a.png"),
        ("file://./%E9%A6%96%E5%B8%A7%20100%25.png", "/batch/首帧 100%.png"),
        ("file:///elsewhere/./x/../a?b#1.png", "/elsewhere/a?b#1.png"),
        ("FILE:///elsewhere/a.png", "/elsewhere/a.png"),
        ("100%.png", "/batch/100%.png"),
        ("a: b?.png", "/batch/a: b?.png"),
        ("https://host/a.png?sign=x", "https://host/a.png?sign=x"),
        ("s3://bucket/a.png", "s3://bucket/a.png"),
        ("oss://bucket/a.png", "oss://bucket/a.png"),
        ("data:image/png;base64,AAAA", "data:image/png;base64,AAAA"),
    ],
)
def test_a_reference_in_a_local_manifest_counts_from_its_folder(reference: str, location: str) -> None:
    assert locate(reference, "/batch/manifest.csv") == location


@pytest.mark.parametrize(
    ("reference", "base", "location"),
    [
        ("a.png", "s3://bucket/dir/m.csv", "s3://bucket/dir/a.png"),
        ("../x/a.png", "s3://bucket/dir/m.csv", "s3://bucket/x/a.png"),
        ("../../../a.png", "s3://bucket/dir/m.csv", "s3://bucket/a.png"),
        ("a #1.png", "gs://bucket/m.csv", "gs://bucket/a #1.png"),
        ("a.png", "memory://m.csv", "memory://a.png"),
        ("a.png", "simplecache::s3://bucket/dir/m.csv", "simplecache::s3://bucket/dir/a.png"),
        ("a.png", "zip://dir/m.csv::s3://bucket/b.zip", "zip://dir/a.png::s3://bucket/b.zip"),
        ("f/a.png", "https://host/dir/m.csv?sign=secret", "https://host/dir/f/a.png"),
        ("16:9.png", "https://host/dir/m.csv", "https://host/dir/16:9.png"),
        ("/data/a.png", "s3://bucket/dir/m.csv", "/data/a.png"),
        ("file:///data/a.png", "s3://bucket/dir/m.csv", "/data/a.png"),
        ("https://host/a.png", "s3://bucket/dir/m.csv", "https://host/a.png"),
    ],
)
def test_a_reference_in_a_remote_manifest_is_its_sibling(reference: str, base: str, location: str) -> None:
    assert locate(reference, base) == location


def test_a_tilde_is_the_home_of_the_user() -> None:
    assert locate("~/a.png", "/batch/m.csv") == str(Path.home() / "a.png")
    assert locate("~/a.png", "s3://bucket/m.csv") == str(Path.home() / "a.png")
    assert locate("file://~/a%20b.png", "/batch/m.csv") == str(Path.home() / "a b.png")
    assert locate("file://~/a.png", "s3://bucket/m.csv") == str(Path.home() / "a.png")


def test_a_relative_file_url_beside_a_remote_manifest_is_refused() -> None:
    with pytest.raises(StorageError, match="write an absolute path"):
        locate("file://./a.png", "s3://bucket/m.csv")


def test_a_broken_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(StorageError) as refusal:
        locate("https://user:secret@[broken/a.png", "/batch/m.csv")
    assert "secret" not in str(refusal.value)


def test_bytes_come_from_paths_object_stores_and_data_uris(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"local")
    fsspec.filesystem("memory").pipe_file("/source/a", b"remote")

    assert read_bytes(str(tmp_path / "a")) == b"local"
    assert read_bytes("memory://source/a") == b"remote"
    assert read_bytes("data:text/plain;base64,aW5saW5l") == b"inline"


def test_what_is_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    fsspec.filesystem("memory").pipe_file("/source/large", b"12345")

    for location in (str(tmp_path / "a"), "memory://source/large"):
        assert read_bytes(location, limit_bytes=5) == b"12345"
        with pytest.raises(StorageError, match="larger than 4 bytes"):
            read_bytes(location, limit_bytes=4)


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("/no/such/file", "there is no such file; correct the path"),
        ("/dev/null", "it is no regular file"),
        ("/tmp", "it is a folder; name a file in it"),  # noqa: S108  # any folder
        ("/a\0b", "null byte"),
        ("memory://no/such/file", "there is no such file; correct the path"),
        ("nothing://a/b", "Protocol not known: nothing"),
        ("oss://bucket/a.png", r"install kf2v-pipeline\[oss\]"),
        ("gs://bucket/a.png", r"install kf2v-pipeline\[gcs\]"),
        ("simplecache::oss://bucket/a.png", r"install kf2v-pipeline\[oss\]"),
        ("lakefs://a/b", "install what fsspec needs for lakefs://"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(location: str, sentence: str) -> None:
    with pytest.raises(StorageError, match=sentence) as refusal:
        read_bytes(location)
    assert "\n" not in str(refusal.value)


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="no regular file"):
        read_bytes(str(tmp_path / "pipe"))


def test_a_token_changes_with_a_local_file(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one")
    before = token(str(file))
    assert before is not None
    assert token(str(file)) == before
    file.write_bytes(b"other")
    assert token(str(file)) != before


def test_a_token_changes_when_another_file_of_the_same_size_and_time_takes_the_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
        os.utime(tmp_path / name, ns=(1, 1))
    before = token(str(tmp_path / "a"))
    (tmp_path / "b").replace(tmp_path / "a")
    assert token(str(tmp_path / "a")) != before


def test_a_token_changes_with_an_object() -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/source/token", b"one")
    before = token("memory://source/token")
    assert before is not None
    assert token("memory://source/token") == before
    store.pipe_file("/source/token", b"two")
    assert token("memory://source/token") != before


@pytest.mark.parametrize("location", ["/no/such/file", "memory://no/such", "oss://b/a", "https://host/a", "data:,a"])
def test_there_is_no_token_of_what_shows_none(location: str) -> None:
    assert token(location) is None


class _Site(BaseHTTPRequestHandler):
    """``/file``, ``/moved`` (to it), ``/asked`` (by whom), ``/endless``, ``/short`` (cut off), ``/loop``; else 404."""

    def do_GET(self) -> None:
        if self.path.startswith("/file"):
            self._answer(200, {"Content-Length": "4"}, b"file")
        elif self.path.startswith("/asked"):
            _, _, code = self.headers.get("Authorization", "").partition(" ")
            said = f"{b64decode(code).decode()} {self.path}".encode()
            self._answer(200, {"Content-Length": str(len(said))}, said)
        elif self.path == "/moved":
            self._answer(302, {"Location": "/file", "Content-Length": "0"})
        elif self.path == "/endless":
            self._answer(200, {}, b"x" * 1_000_000)
        elif self.path == "/short":
            self._answer(200, {"Content-Length": "9"}, b"file")
        elif self.path == "/loop":
            self._answer(302, {"Location": "/loop", "Content-Length": "0"})
        else:
            self._answer(404, {"Content-Length": "0"})

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_http_is_read_and_redirects_are_followed(site: str) -> None:
    assert read_bytes(f"{site}/file", limit_bytes=4) == b"file"
    assert read_bytes(f"{site}/moved") == b"file"


def test_an_http_answer_without_a_length_is_cut_at_the_limit(site: str) -> None:
    with pytest.raises(StorageError, match="larger than 1,000 bytes"):
        read_bytes(f"{site}/endless", limit_bytes=1000)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("/none?sign=secret", "answers 404 Not Found"), ("/loop?sign=secret", "404"), ("/loop", "redirects")],
)
def test_an_http_refusal_names_the_address_without_its_secrets(site: str, path: str, sentence: str) -> None:
    with pytest.raises(StorageError, match=sentence) as refusal:
        read_bytes(site.replace("//", "//user:secret@") + path)
    assert "secret" not in str(refusal.value)
    assert site in str(refusal.value)


def test_what_http_logs_holds_no_secret(site: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    signed = site.replace("//", "//user:s3cret@")
    assert read_bytes(f"{signed}/file?Signature=s3cret") == b"file"
    assert read_bytes(f"{signed}/moved") == b"file"
    assert f"GET {site}/file" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_user_and_a_query_are_sent_all_the_same(site: str) -> None:
    assert (
        read_bytes(f"{site.replace('//', '//user:s3cret@')}/asked?Signature=s3cret")
        == b"user:s3cret /asked?Signature=s3cret"
    )


def test_an_http_answer_that_is_cut_off_is_not_taken_for_whole(site: str) -> None:
    with pytest.raises(StorageError, match="/short"):
        read_bytes(f"{site}/short")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/a", "http://no-such-host.invalid/a", "http://host:port/a", "http://"]
)
def test_an_http_server_out_of_reach_is_one_sentence(url: str) -> None:
    with pytest.raises(StorageError, match="check the address") as refusal:
        read_bytes(url)
    assert "\n" not in str(refusal.value)
