"""The store on a real disk, and on fsspec's memory in the place of an object store."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.errors import StorageError
from kf2v_pipeline.storage.store import Store


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "out") if request.param == "disk" else f"memory://{uuid4().hex}/out")


def test_what_was_written_is_read_back(store: Store) -> None:
    store.write_bytes("videos/a/1.mp4", b"film")
    assert store.read_bytes("videos/a/1.mp4") == b"film"
    with store.open_file("videos/a/1.mp4") as file:
        assert file.read() == b"film"


def test_a_file_of_this_machine_is_put_in_place(store: Store, tmp_path: Path) -> None:
    local = tmp_path / "download.part"
    local.write_bytes(b"film")
    store.put_file(local, "videos/a/1.mp4")
    assert store.read_bytes("videos/a/1.mp4") == b"film"
    assert local.exists()


def _put_beside(folder: Path, change: Callable[[Path], object]) -> tuple[Path, Path]:
    """Puts a film beside a sidecar; gives the film, which was changed before, and what lies in the store."""
    store, film = Store.open(str(folder / "out")), folder / "film.mp4"
    film.write_bytes(b"film")
    change(film)
    store.write_bytes("videos/a/1.json", b"{}")
    store.put_file(film, "videos/a/1.mp4", beside="videos/a/1.json")
    return film, folder / "out/videos/a/1.mp4"


needs_attributes = pytest.mark.skipif(not hasattr(os, "listxattr"), reason="only Linux shows all that a file is like")


@needs_attributes
def test_a_file_that_nobody_can_tell_from_a_copy_is_not_copied(tmp_path: Path) -> None:
    film, put = _put_beside(tmp_path, lambda _film: None)
    assert put.samefile(film)


@needs_attributes
def test_a_file_is_put_over_itself(tmp_path: Path) -> None:
    """As by whoever tries again after an error that came when all was done."""
    film, put = _put_beside(tmp_path, lambda _film: None)
    Store.open(str(tmp_path / "out")).put_file(film, "videos/a/1.mp4", beside="videos/a/1.json")
    assert put.samefile(film)
    assert sorted(path.name for path in put.parent.iterdir()) == ["1.json", "1.mp4"]


def test_a_file_that_its_owner_alone_may_read_is_copied_to_where_others_may(tmp_path: Path) -> None:
    film, put = _put_beside(tmp_path, lambda film: film.chmod(0o600))
    assert not put.samefile(film)
    assert put.stat().st_mode == put.with_suffix(".json").stat().st_mode


@needs_attributes
def test_a_file_with_a_label_of_its_own_is_copied_without_it(tmp_path: Path) -> None:
    def label(film: Path) -> None:
        try:
            os.setxattr(film, "user.kf2v.label", b"another")
        except OSError:
            pytest.skip("this file system keeps no labels")

    film, put = _put_beside(tmp_path, label)
    assert not put.samefile(film)
    assert os.listxattr(put) == os.listxattr(put.with_suffix(".json"))


def test_a_file_is_copied_where_nothing_lies_beside_its_place(store: Store, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"film")
    store.put_file(film, "videos/a/1.mp4", beside="videos/a/1.json")
    assert store.read_bytes("videos/a/1.mp4") == film.read_bytes() == b"film"


def test_a_file_is_at_hand_on_this_machine_and_a_copy_is_gone_afterwards(store: Store, tmp_path: Path) -> None:
    store.write_bytes("videos/a/1.mp4", b"film")
    with store.at_hand("videos/a/1.mp4", tmp_path / "incoming") as film:
        assert film.read_bytes() == b"film"
    assert store.read_bytes("videos/a/1.mp4") == b"film"
    assert list(tmp_path.glob("incoming/*")) == []


def test_a_copy_for_which_this_machine_has_no_place_is_told_with_that_place(tmp_path: Path) -> None:
    store = Store.open(f"memory://{uuid4().hex}")
    store.write_bytes("1.mp4", b"film")
    (tmp_path / "incoming").write_text("a file where a folder is needed")
    with pytest.raises(StorageError, match=rf"^Storage {tmp_path}/incoming: .*; a file is where a folder is needed"):
        store.at_hand("1.mp4", tmp_path / "incoming").__enter__()


def test_a_file_elsewhere_that_is_gone_is_not_at_hand() -> None:
    with pytest.raises(StorageError, match=r"/1\.mp4: there is no such file"):
        Store.open(f"memory://{uuid4().hex}").at_hand("1.mp4").__enter__()


def test_a_second_write_replaces_the_first(store: Store) -> None:
    store.write_bytes("a.txt", b"long old content")
    store.write_bytes("a.txt", b"new")
    assert store.read_bytes("a.txt") == b"new"


def test_a_size_is_told_and_is_none_where_there_is_no_file(store: Store) -> None:
    store.write_bytes("videos/a/1.mp4", b"film")
    assert store.size_bytes("videos/a/1.mp4") == 4
    assert store.size_bytes("videos/a/2.mp4") is None
    assert store.size_bytes("videos/a") is None


def test_a_file_exists_until_it_is_removed_and_removing_it_twice_is_no_error(store: Store) -> None:
    store.write_bytes("a.txt", b"a")
    assert store.exists("a.txt")
    store.remove("a.txt")
    store.remove("a.txt")
    assert not store.exists("a.txt")


def test_the_sizes_name_every_file_below_a_folder_from_the_root(store: Store) -> None:
    store.write_bytes("videos/a/1.mp4", b"1")
    store.write_bytes("videos/b/2.mp4", b"22")
    store.write_bytes("tables/videos.parquet", b"333")
    assert store.sizes("videos") == {"videos/a/1.mp4": 1, "videos/b/2.mp4": 2}
    assert store.sizes("previews") == {}


def test_files_that_are_missing_are_told_from_many(store: Store) -> None:
    store.write_bytes("videos/a/1.mp4", b"1")
    assert store.missing(["videos/a/1.mp4", "videos/a/2.mp4", "videos/a", "else/a"]) == {
        "videos/a/2.mp4",
        "videos/a",
        "else/a",
    }
    assert store.missing([]) == frozenset()


def test_reading_what_is_not_there_says_so_in_one_sentence(store: Store) -> None:
    with pytest.raises(StorageError, match=r"^Storage \S+/out/no\.txt: .+\.$"):
        store.read_bytes("no.txt")


def test_checking_leaves_nothing_behind(store: Store) -> None:
    store.check_writable()
    assert store.sizes("") == {}


def test_only_a_store_on_this_machine_has_local_paths(tmp_path: Path) -> None:
    assert Store.open(str(tmp_path)).local_path("a/1.mp4") == tmp_path / "a" / "1.mp4"
    assert Store.open("memory://out").local_path("a/1.mp4") is None


def test_a_relative_folder_and_a_file_url_become_the_same_absolute_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Store.open("output").url == Store.open(f"file://{tmp_path}/output").url == str(tmp_path / "output")


def test_the_shown_url_keeps_no_secret() -> None:
    assert Store.open("memory://user:secret@bucket/out?sig=abc").url == "memory://bucket/out"


@given(st.text("abc/._- 日", min_size=1).filter(lambda path: not path.startswith("/")))
def test_a_file_below_the_root_is_known_by_its_path_from_there(path: str) -> None:
    for url in ("/somewhere/out", "memory://bucket/out"):
        assert Store.open(url).relative(f"{url}/{path}") == path


@pytest.mark.parametrize("location", ["/somewhere/outer/a.png", "/a.png", "s3://bucket/out/a.png", "https://x/a.png"])
def test_a_file_elsewhere_has_no_path_from_the_root(location: str) -> None:
    assert Store.open("/somewhere/out").relative(location) is None


@contextmanager
def _small_files_only(limit_bytes: int) -> Iterator[None]:
    """Lets the system refuse larger files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_write_that_breaks_off_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "out"))
    store.write_bytes("a.mp4", b"old")
    with _small_files_only(1000), pytest.raises(StorageError, match="File too large"):
        store.write_bytes("a.mp4", bytes(100_000))
    assert store.read_bytes("a.mp4") == b"old"
    assert list(store.sizes("")) == ["a.mp4"]


def test_a_copy_that_breaks_off_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "out"))
    store.write_bytes("a.mp4", b"old")
    (tmp_path / "download").write_bytes(bytes(100_000))
    with _small_files_only(1000), pytest.raises(StorageError, match="File too large"):
        store.put_file(tmp_path / "download", "a.mp4")
    assert store.read_bytes("a.mp4") == b"old"
    assert list(store.sizes("")) == ["a.mp4"]


def test_whoever_reads_while_a_file_is_replaced_reads_the_old_one_to_its_end(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path))
    store.write_bytes("a.txt", b"old content")
    with store.open_file("a.txt") as file:
        start = file.read(3)
        store.write_bytes("a.txt", b"NEW CONTENT")
        assert start + file.read() == b"old content"


def test_a_file_where_a_folder_is_needed_is_named_with_what_mends_it(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StorageError) as caught:
        Store.open(str(tmp_path / "out")).check_writable()
    assert caught.value.path == str(tmp_path / "out")
    assert "KF2V_STORAGE" in caught.value.fix


def test_an_unknown_protocol_is_refused_when_the_store_is_opened() -> None:
    with pytest.raises(StorageError, match="Protocol not known: nowhere"):
        Store.open("nowhere://bucket/out")


def test_a_protocol_whose_package_is_missing_names_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(StorageError, match=r"pip install 'kf2v-pipeline\[gcs\]'"):
        Store.open("gs://bucket/out")
