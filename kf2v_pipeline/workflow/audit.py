"""Looks whether every video that was paid for is in the storage. Mending that is a person's matter, or a drive's."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.errors import StorageError
from kf2v_pipeline.storage.layout import VIDEOS, path_of
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.workflow.project import Project

_WORKERS = 8
"""Files that are read side by side: object stores answer slowly, and many at once."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A video that was paid for and is not as it was stored.

    Attributes:
        what: What is wrong with its file, in a sentence.
    """

    clip_id: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What the storage holds of what the ledger says.

    Attributes:
        intact: Videos that are there as they were stored.
        missing: The others, by path: a clip whose row changed has several videos, and may lose each of them.
    """

    intact: int
    missing: Mapping[str, Loss]


def audit_storage(project: Project, *, every_byte: bool = False) -> Audit:
    """Compares every stored attempt of this manifest's clips, retired ones among them, with its file.

    Clips that another manifest named last may lie in another storage, and are left to its own audit.

    Args:
        every_byte: Whether files are read and their digests compared; else only their sizes are.

    Raises:
        StorageError: The storage can't be listed.
    """
    store = project.store
    sizes = store.sizes(VIDEOS)
    attempts = project.ledger.attempts(states={State.STORED}, manifest=project.manifest_name)
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="audit") as pool:
        found = list(pool.map(lambda attempt: _look(store, attempt, sizes, every_byte=every_byte), attempts))
    missing = {
        path_of(attempt): Loss(clip_id=attempt.clip_id, what=what)
        for attempt, what in zip(attempts, found, strict=True)
        if what is not None
    }
    return Audit(intact=found.count(None), missing=missing)


def _look(store: Store, attempt: Attempt, sizes: Mapping[str, int], *, every_byte: bool) -> str | None:
    """What is wrong with an attempt's file; None where it is as it was stored."""
    path = path_of(attempt)
    if path not in sizes:
        return f"{path} is paid for, and not in the storage any more."
    if attempt.size_bytes is not None and sizes[path] != attempt.size_bytes:
        return f"{path} has {sizes[path]:,} bytes, and {attempt.size_bytes:,} were stored."
    try:
        if every_byte and attempt.sha256 and store.sha256(path) != attempt.sha256:
            return f"{path} is not the file that was stored: the digests differ."
    except StorageError as error:
        return str(error)
    return None
