"""Builds the gallery: one static page that shows every clip, from the rows of the videos table and the store alone.

The page needs no server and no network. What a card says is in ``gallery_card``; how the page looks and behaves is in
``gallery.html``, ``gallery.css`` and ``gallery.js`` beside this file.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.media.fix import MAX_SOURCE_BYTES
from kf2v_pipeline.media.preview import Previews, previews, shrink_frame
from kf2v_pipeline.storage.layout import (
    GALLERY,
    PREVIEWS,
    first_frame_path,
    last_frame_path,
    poster_path,
    strip_path,
)
from kf2v_pipeline.storage.source import read_bytes
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.wan.frame_url import is_temporary
from kf2v_pipeline.workflow.gallery_card import Row, card_html, filters_html, rejected_html, summary_html

logger = logging.getLogger(__name__)

WORKERS = 4
"""Clips whose pictures are made side by side: as much waiting for the store as work."""


def build_gallery(store: Store, rows: Sequence[Row], *, title: str, rejected: Sequence[Problem]) -> str:
    """Writes ``gallery/index.html``, and those of its small pictures that are missing.

    Args:
        store: Where the videos lie and the page goes; its links are relative, so the folder may be moved or served.
        rows: The rows of the videos table.
        title: The page's headline.
        rejected: What is wrong with the manifest's rows; listed below the clips.

    Returns:
        The page's path in the store.

    Raises:
        StorageError: The page can't be written. A picture that can't be made is left out, with a warning in the log.
    """
    pictures = set(store.sizes(PREVIEWS))
    with ThreadPoolExecutor(WORKERS) as pool:
        pictures = pictures.union(*pool.map(partial(_make_pictures, store, pictures), rows))
    page = Template(_part("gallery.html")).substitute(
        title=escape(title),
        css=_part("gallery.css"),
        js=_part("gallery.js"),
        summary=summary_html(rows),
        filters=filters_html(rows),
        cards="\n".join(card_html(row, pictures) for row in rows),
        rejected=rejected_html(rejected),
    )
    store.write_bytes(GALLERY, page.encode())
    return GALLERY


def _part(name: str) -> str:
    return files("kf2v_pipeline.workflow").joinpath(name).read_text(encoding="utf-8")


def _make_pictures(store: Store, there: Collection[str], row: Row) -> set[str]:
    """Makes what is missing of a clip's poster, strip and frames; gives the paths of what it made."""
    clip_id, fingerprint = row["clip_id"], row["fingerprint"]
    made: set[str] = set()
    poster, strip = poster_path(clip_id, fingerprint), strip_path(clip_id, fingerprint)
    if row["status"] == "stored" and not (poster in there and strip in there):
        with _leaving_out(f"clip {clip_id}: the film's pictures"):
            film = _film_previews(store, row["video_path"])
            store.write_bytes(poster, film.poster)
            store.write_bytes(strip, film.strip)
            made |= {poster, strip}
    for path, location in (
        (first_frame_path(clip_id, fingerprint), row["first_frame_path"]),
        (last_frame_path(clip_id, fingerprint), row["last_frame_path"]),
    ):
        if location and path not in there and not _is_away(location):
            with _leaving_out(f"clip {clip_id}: the frame {location}"):
                store.write_bytes(path, shrink_frame(_read(store, location)))
                made.add(path)
    return made


def _is_away(location: str) -> bool:
    """Whether it lies on the web, which may be slow, gone, or signed with what the table does not keep."""
    return location.startswith(("http:", "https:", "data:")) or is_temporary(location)


@contextmanager
def _leaving_out(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  # whatever is wrong with one picture, the page comes
        logger.warning("The gallery leaves out %s (%s)", what, error)


def _film_previews(store: Store, video_path: str) -> Previews:
    local = store.local_path(video_path)
    if local is not None:
        return previews(local)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "film.mp4"
        copy.write_bytes(store.read_bytes(video_path))
        return previews(copy)


def _read(store: Store, location: str) -> bytes:
    if "://" in location or Path(location).is_absolute():
        return read_bytes(location, limit_bytes=MAX_SOURCE_BYTES)
    return store.read_bytes(location)
