"""Rebuilds a lost ledger from the storage: a video with a sidecar becomes a stored attempt again, at no cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from kf2v_pipeline.domain.attempt import Attempt, Fact, State
from kf2v_pipeline.errors import LedgerError, StorageError
from kf2v_pipeline.storage.layout import VIDEOS, is_cut, sidecar_path, video_path
from kf2v_pipeline.storage.sidecar import read_sidecar
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.workflow.driver import holding
from kf2v_pipeline.workflow.project import Project

_WORKERS = 8
"""Files that are read side by side: object stores answer slowly, and many at once."""

_BEAT_AFTER = 50
"""Adopted videos after which the command says in the ledger that it lives."""


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """What became of a storage's videos.

    Attributes:
        adopted: Their attempts, as the ledger has them now.
        known: How many videos the ledger had already.
        skipped: Why a file was left alone, in a clause, by its path.
    """

    adopted: tuple[Attempt, ...]
    known: int
    skipped: Mapping[str, str]


class _History(NamedTuple):
    """What a sidecar tells."""

    attempt: Attempt
    facts: tuple[Fact, ...]


def adopt_videos(project: Project, *, fast: bool = False) -> Adoption:
    """Takes every video of the storage whose sidecar can be believed into the ledger.

    Args:
        fast: Compare only the videos' sizes with their sidecars; else every byte is read and its digest compared.

    Raises:
        StorageError: The storage can't be listed.
        LedgerError: The ledger can't be used.
    """
    store, ledger = project.store, project.ledger
    sizes = store.sizes(VIDEOS)
    stored = {attempt.video_path for attempt in ledger.attempts(states={State.STORED})}
    videos = {path for path in sizes if PurePosixPath(path).suffix == ".mp4" and not is_cut(path)}
    sidecars = {str(PurePosixPath(path).with_suffix(".json")): path for path in sorted(videos - stored)}
    skipped = {path: "it has no sidecar" for sidecar, path in sidecars.items() if sidecar not in sizes}
    skipped |= dict.fromkeys(_lone_sidecars(sizes, videos), "its video is not there")
    found = [sidecar for sidecar in sidecars if sidecar in sizes]
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="adopt") as pool:
        looks = dict(zip(found, pool.map(lambda path: _look(store, path, sizes, fast=fast), found), strict=True))
    skipped |= {path: look for path, look in looks.items() if isinstance(look, str)}
    histories = {path: look for path, look in looks.items() if isinstance(look, _History)}
    adopted = []
    clip_ids = {history.attempt.clip_id for history in histories.values()}
    with holding(ledger, clip_ids, clock=project.clock, stale_after=project.stale_after) as hold:
        for number, (path, (attempt, facts)) in enumerate(histories.items(), 1):
            if attempt.clip_id in hold.held:
                skipped[path] = f"its clip is driven by {hold.held[attempt.clip_id]}"
                continue
            try:
                adopted.append(ledger.adopt(attempt, facts, owner=hold.owner))
            except LedgerError as error:
                skipped[path] = str(error).rstrip(".")
            if number % _BEAT_AFTER == 0:
                hold.beat()
    return Adoption(adopted=tuple(adopted), known=len(videos & stored), skipped=dict(sorted(skipped.items())))


def _lone_sidecars(sizes: Mapping[str, int], videos: set[str]) -> Iterator[str]:
    """Files that lie and are called as sidecars are, without a video beside them."""
    for path in sizes:
        parts = PurePosixPath(path)
        if len(parts.parts) == 3 and parts.suffix == ".json" and str(parts.with_suffix(".mp4")) not in videos:
            yield path


def _look(store: Store, path: str, sizes: Mapping[str, int], *, fast: bool) -> _History | str:
    """What the sidecar at that path tells, or why it is not believed."""
    try:
        attempt, facts = read_sidecar(store.read_bytes(path))
        detail = facts[-1].detail
        video = video_path(attempt.clip_id, attempt.fingerprint)
        if path != sidecar_path(attempt.clip_id, attempt.fingerprint) or detail["video_path"] != video:
            return f"it tells of {detail['video_path']}"
        if sizes[video] != detail["size_bytes"]:
            return f"its video has {sizes[video]:,} bytes, and {detail['size_bytes']:,} were stored"
        if not fast and store.sha256(video) != detail["sha256"]:
            return "its video is not the one that was stored: the digests differ"
    except (ValueError, StorageError) as error:
        return str(error).rstrip(".")
    return _History(attempt, facts)
