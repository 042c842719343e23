"""The storage: a folder on this machine, or a prefix at any fsspec URL, behind one small interface.

Knows nothing of videos and tables; paths are relative to its root and come from ``layout``.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import gettempdir, mkstemp
from typing import Any, BinaryIO, cast
from uuid import uuid4

import fsspec  # type: ignore[import-untyped]  # it ships no types
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]  # it ships no types

from kf2v_pipeline.domain.address import redact
from kf2v_pipeline.errors import StorageError

_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "oss": "oss",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "adl": "azure",
}
"""The extra of this package that brings the file system of a protocol."""

COPY_PREFIX = "kf2v-"
"""What the names of copies begin with that lie on this machine only for a while."""

_KIND_NAMES = {"s3": "ContentType", "s3a": "ContentType", "gs": "content_type", "gcs": "content_type"}
"""What the file systems call a file's kind that do not tell it by the name when bytes are written (s3fs, gcsfs)."""

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
}
"""Without its kind a browser saves a page from an object store in place of showing it."""

_ANOTHER = "choose another place with --storage (KF2V_STORAGE)"

_FIXES = {
    errno.ENOSPC: "make room there and run again",
    errno.EDQUOT: "make room there and run again",
    errno.EACCES: f"allow this user or key to write there, or {_ANOTHER}",
    errno.EPERM: f"allow this user or key to write there, or {_ANOTHER}",
    errno.EROFS: _ANOTHER,
    errno.ENOTDIR: f"a file is where a folder is needed: move it away, or {_ANOTHER}",
    errno.EEXIST: f"a file is where a folder is needed: move it away, or {_ANOTHER}",
    errno.EISDIR: f"a folder is where a file is needed: move it away, or {_ANOTHER}",
    errno.ENOENT: "check that it exists",
}
"""What mends an error of the operating system."""


class Store:
    """Files below one root. A file is seen whole or not at all, under whatever name it is read.

    On a local disk that is a temporary name in the same folder and a rename; on object stores it is a single put.

    Attributes:
        url: The root as people may see it: an absolute path, or a URL without its secrets.
    """

    def __init__(self, file_system: Any, root: str, url: str) -> None:
        self.url = url
        self._fs = file_system
        self._root = root.rstrip("/")
        self._is_local = isinstance(file_system, LocalFileSystem)

    @classmethod
    def open(cls, url: str) -> Store:
        """The store at a path or fsspec URL. Nothing is read or written yet.

        Raises:
            StorageError: The URL's protocol is unknown, or its package is not installed.
        """
        shown = redact(url)
        try:
            # Other processes write here too, so a listing that was kept may be wrong.
            file_system, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            raise StorageError(shown, _words(error), _installation(url)) from None
        except ValueError as error:
            raise StorageError(shown, _words(error), "use a path or a URL that fsspec knows, such as s3://…") from None
        except Exception as error:  # noqa: BLE001  # each backend has an error family of its own, none is imported here
            raise _refusal(shown, error) from None
        return cls(file_system, root, root if isinstance(file_system, LocalFileSystem) else shown)

    def check_writable(self) -> None:
        """Writes a small file and removes it.

        Raises:
            StorageError: The store can't be written.
        """
        probe = f".kf2v-{uuid4().hex}"
        try:
            self.write_bytes(probe, b"kf2v")
            self.remove(probe)
        except StorageError as error:
            raise StorageError(self.url, error.what, error.fix) from None

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return self.size_bytes(path) is not None

    def size_bytes(self, path: str) -> int | None:
        """The file's size; None if there is no such file."""
        with self._refusals(path):
            try:
                info = self._fs.info(self._full(path))
            except (FileNotFoundError, NotADirectoryError):
                return None
            return int(info["size"]) if info["type"] == "file" else None

    def sizes(self, folder: str) -> dict[str, int]:
        """Every file below a folder, with its size in bytes; empty if there is no such folder."""
        start = len(self._root) + 1
        with self._refusals(folder):
            if self._is_local:
                return {path[start:]: size_bytes for path, size_bytes in _walk(self._full(folder))}
            try:
                found = self._fs.find(self._full(folder), detail=True)
            except FileNotFoundError:
                return {}
            return {path[start:]: int(info["size"] or 0) for path, info in found.items()}

    def missing(self, paths: Collection[str]) -> frozenset[str]:
        """Those of the paths where no file is; many at a time, since the files of an object store are listed at once.

        Raises:
            StorageError: The store can't be read.
        """
        if self._is_local:
            return frozenset(path for path in paths if not Path(self._full(path)).is_file())
        folders = {path.partition("/")[0] for path in paths}
        present = {path for folder in folders for path in self.sizes(folder)}
        return frozenset(path for path in paths if path not in present)

    def read_bytes(self, path: str) -> bytes:
        """All of a file.

        Raises:
            StorageError: There is no such file, or it can't be read.
        """
        with self._refusals(path):
            return cast("bytes", self._fs.cat_file(self._full(path)))

    def open_file(self, path: str) -> BinaryIO:
        """The file, open for reading; whoever opens it closes it."""
        with self._refusals(path):
            return cast("BinaryIO", self._fs.open(self._full(path), "rb"))

    def sha256(self, path: str) -> str:
        """Digest of a file's bytes, which are all read, 64 hex digits.

        Raises:
            StorageError: There is no such file, or it can't be read.
        """
        with self._refusals(path), self._fs.open(self._full(path), "rb") as file:
            return sha256_of(file)

    def write_bytes(self, path: str, data: bytes, *, lasting: bool = True) -> None:
        """Puts a file in place, whole, over one of the same name.

        Args:
            lasting: Whether to wait until it is on the disk; not for what is made anew where it is missing.
        """
        with self._refusals(path):
            if self._is_local:
                with _replacing(Path(self._full(path)), lasting=lasting) as part:
                    part.write_bytes(data)
            else:
                self._fs.pipe_file(self._full(path), data, **self._kind(path))

    def put_file(self, local: Path, path: str, *, beside: str | None = None) -> None:
        """Puts a copy of a file of this machine in place, whole, over one of the same name.

        Args:
            beside: A file that was put into the same folder lately, and shows what a copy would be like there. Where
                the file itself is like that, the place becomes its second name: change it no more. None to copy.
        """
        with self._refusals(path):
            if self._is_local:
                with _replacing(Path(self._full(path))) as part:
                    if beside is None or not _link(local, part, like=Path(self._full(beside))):
                        shutil.copyfile(local, part)
                part.unlink(missing_ok=True)  # still there where it and the place were names of one file
            else:
                self._fs.put_file(str(local), self._full(path))

    def remove(self, path: str) -> None:
        """Removes a file; it is no error if there is none."""
        with self._refusals(path), suppress(FileNotFoundError):
            self._fs.rm_file(self._full(path))

    def local_path(self, path: str) -> Path | None:
        """The file's path on this machine; None where the store lies elsewhere."""
        return Path(self._full(path)) if self._is_local else None

    @contextmanager
    def at_hand(self, path: str, folder: Path | None = None) -> Iterator[Path]:
        """A file as one of this machine: itself, or a copy for as long as the context lasts.

        Args:
            folder: Where the copy lies meanwhile; it is made if need be. None for the system's temporary folder.

        Raises:
            StorageError: The file can't be read, or this machine has no room for the copy.
        """
        here = self.local_path(path)
        if here is not None:
            yield here
            return
        with ExitStack() as stack:
            try:
                if folder is not None:
                    folder.mkdir(parents=True, exist_ok=True)
                handle, name = mkstemp(PurePosixPath(path).suffix, COPY_PREFIX, folder)
                stack.callback(Path(name).unlink, missing_ok=True)
                with os.fdopen(handle, "wb") as file:
                    file.writelines(self._chunks(path))
            except OSError as error:
                raise _refusal(str(folder or gettempdir()), error) from None
            yield Path(name)

    def relative(self, location: str) -> str | None:
        """The path of a file that is named by its full address; None if it does not lie below the root."""
        start = f"{self.url.rstrip('/')}/"
        address = location.removeprefix("file://") if self._is_local else location
        return address[len(start) :] if address.startswith(start) else None

    def _chunks(self, path: str) -> Iterator[bytes]:
        with self._refusals(path), self._fs.open(self._full(path), "rb") as file:
            yield from iter(lambda: file.read(1 << 20), b"")

    def _kind(self, path: str) -> dict[str, str]:
        """The argument that says what kind of file it is, for file systems that need to be told."""
        protocols = self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,)
        name = next((_KIND_NAMES[protocol] for protocol in protocols if protocol in _KIND_NAMES), None)
        kind = _KINDS.get(PurePosixPath(path).suffix)
        return {name: kind} if name and kind else {}

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    @contextmanager
    def _refusals(self, path: str) -> Iterator[None]:
        try:
            yield
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001  # each backend has an error family of its own, none is imported here
            raise _refusal(f"{self.url.rstrip('/')}/{path}", error) from None


def sha256_of(file: BinaryIO) -> str:
    """Digest of what is left to read of a file, however large it is: 64 hex digits."""
    digest = hashlib.sha256()
    for chunk in iter(lambda: file.read(1 << 20), b""):
        digest.update(chunk)
    return digest.hexdigest()


def _walk(folder: str) -> Iterator[tuple[str, int]]:
    """Every file below a folder of this machine with its size; fsspec takes three times as long for it."""
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        else:
            with suppress(FileNotFoundError):  # a file may go while it is listed
                yield entry.path.replace(os.sep, "/"), entry.stat().st_size


def _refusal(shown: str, error: Exception) -> StorageError:
    # Object stores raise Python's classes, and leave out the number.
    number = errno.ENOENT if isinstance(error, FileNotFoundError) else getattr(error, "errno", None)
    fix = _FIXES.get(number) if isinstance(number, int) else None
    return StorageError(shown, _words(error), fix or "check the address, and the credentials if it needs some")


def _words(error: Exception) -> str:
    """What a backend says, on one line, without a signed URL's query."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file, folder or bucket"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return re.sub(r"\?\S+", "", " ".join(str(text).split())).rstrip(".")


def _installation(url: str) -> str:
    protocol = url.partition("://")[0].rpartition("::")[2]
    extra = _EXTRAS.get(protocol)
    if extra:
        return f"run: pip install 'kf2v-pipeline[{extra}]'"
    return f"install the package that fsspec uses for {protocol}://"


@contextmanager
def scratch_film(folder: Path) -> Iterator[Path]:
    """Where a film of this machine may be made for a while; it is removed in the end, and swept if the process dies.

    Raises:
        OSError: The folder can't be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{COPY_PREFIX}{uuid4().hex}.mp4"
    try:
        yield path
    finally:
        with suppress(OSError):  # it is only in the way
            path.unlink(missing_ok=True)


@contextmanager
def _replacing(path: Path, *, lasting: bool = True) -> Iterator[Path]:
    """A temporary name that takes the file's place once it is safely on disk; gone again if that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        yield part
        if lasting:
            _sync(part)
        part.replace(path)
        if lasting:
            _sync(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _link(path: Path, name: Path, *, like: Path) -> bool:
    """Gives a file a second name, where it is one like another; False where it is not, or where that can't be done.

    Compared is what Linux keeps of a file: disk, owner, group, mode, further rights (POSIX ACLs) and labels (SELinux).
    """
    if not hasattr(os, "listxattr"):
        return False
    try:
        if _traits(path) != _traits(like):
            return False
        os.link(path, name)
    except OSError:  # not every file system has attributes and second names, and a disk may be mounted twice
        return False
    return True


def _traits(path: Path) -> tuple[object, ...]:
    found = path.stat()
    attributes = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    return found.st_dev, found.st_uid, found.st_gid, found.st_mode, attributes


def _sync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
