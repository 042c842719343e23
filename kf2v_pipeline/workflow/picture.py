"""Makes those small pictures of a clip that are missing: the film's poster, strip and loop, and its two frames.

The collector makes a film's pictures when it stores it, while the film is at hand; here is made what it could not make
or what was stored by others, once: what is there is never made again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from kf2v_pipeline.media.fix import MAX_SOURCE_BYTES
from kf2v_pipeline.media.preview import Previews, previews, shrink_frame
from kf2v_pipeline.storage.layout import first_frame_path, last_frame_path, loop_path, poster_path, strip_path
from kf2v_pipeline.storage.source import read_bytes
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.wan.frame_url import is_temporary
from kf2v_pipeline.workflow.gallery_data import Row

logger = logging.getLogger(__name__)

Shrink = Callable[[str], bytes]
"""Gives the small picture of the frame at a location."""

_REMEMBERED = 64
"""Small pictures of frames that are remembered, of some 30 kB each."""


def write_previews(store: Store, made: Previews, clip_id: str, fingerprint: str) -> set[str]:
    """Writes the pictures of a film; gives their paths in the store.

    Raises:
        StorageError: The store can't be written.
    """
    pictures = {poster_path: made.poster, strip_path: made.strip, loop_path: made.loop}
    for path, content in pictures.items():
        store.write_bytes(path(clip_id, fingerprint), content, lasting=False)
    return _film_paths(clip_id, fingerprint)


def lacks_pictures(row: Row, there: Collection[str]) -> bool:
    """Whether some picture could be made of the row's clip that is not there."""
    return _lacks_film(row, there) or bool(_missing_frames(row, there))


def frame_shrinker(store: Store) -> Shrink:
    """Gives the small picture of the frame at a location, as a row of the table has it.

    The last ones are remembered: where clips follow each other, the last frame of one is the first of the next.
    """
    return lru_cache(maxsize=_REMEMBERED)(lambda location: shrink_frame(_read(store, location)))


def make_pictures(store: Store, there: Collection[str], shrink: Shrink, row: Row) -> set[str]:
    """Makes what is missing of a clip's pictures; gives the paths of what it made.

    Args:
        there: The paths of all small pictures that the store has.
        shrink: Gives the small picture of a frame.
    """
    clip_id, fingerprint = row["clip_id"], row["fingerprint"]
    made: set[str] = set()
    if _lacks_film(row, there):
        with _leaving_out(f"clip {clip_id}: the film's pictures"), store.at_hand(row["video_path"]) as film:
            made |= write_previews(store, previews(film), clip_id, fingerprint)
    for path, location in _missing_frames(row, there).items():
        with _leaving_out(f"clip {clip_id}: the frame {location}"):
            store.write_bytes(path, shrink(location), lasting=False)
            made.add(path)
    return made


def _film_paths(clip_id: str, fingerprint: str) -> set[str]:
    return {path(clip_id, fingerprint) for path in (poster_path, strip_path, loop_path)}


def _lacks_film(row: Row, there: Collection[str]) -> bool:
    return row["status"] == "stored" and not all(
        path in there for path in _film_paths(row["clip_id"], row["fingerprint"])
    )


def _missing_frames(row: Row, there: Collection[str]) -> dict[str, str]:
    """Where each frame is read that can be and whose small copy is missing, by that copy's path."""
    key = (row["clip_id"], row["fingerprint"])
    wanted = {first_frame_path(*key): row["first_frame_path"], last_frame_path(*key): row["last_frame_path"]}
    return {path: place for path, place in wanted.items() if place and path not in there and not _is_away(place)}


def _is_away(location: str) -> bool:
    """Whether it lies on the web, which may be slow, gone, or signed with what the table does not keep."""
    return location.startswith(("http:", "https:", "data:")) or is_temporary(location)


@contextmanager
def _leaving_out(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  # whatever is wrong with one picture, the page comes
        logger.warning("The gallery leaves out %s (%s)", what, error)


def _read(store: Store, location: str) -> bytes:
    if "://" in location or Path(location).is_absolute():
        return read_bytes(location, limit_bytes=MAX_SOURCE_BYTES)
    return store.read_bytes(location)
