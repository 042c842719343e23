"""Builds the gallery: one static page that shows every clip, from the rows of the videos table and the store alone.

The page needs no server and no network. ``gallery_data`` says what it is told of its clips, in files of a few hundred
clips each that it reads as they are needed; how it looks and behaves is in the folder ``page`` beside this file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from html import escape
from importlib.resources import files
from itertools import islice
from string import Template

from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.domain.quality import CHECKS
from kf2v_pipeline.errors import StorageError
from kf2v_pipeline.storage.layout import GALLERY, GALLERY_DATA, PREVIEWS
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.workflow.gallery_data import Row, chunk_script, script_text
from kf2v_pipeline.workflow.gallery_summary import Summary
from kf2v_pipeline.workflow.picture import frame_shrinker, lacks_pictures, make_pictures

WORKERS = 4
"""Clips whose pictures are made side by side: as much waiting for the store as work."""

CHUNK_CLIPS = 200
"""Clips in one file of data: about 150 kB, so that the first ones show soon, also over a slow line."""

MOST_REJECTED = 500
"""Notes on rows that the page lists; the table of rejected rows has all of them."""

_SCRIPTS = ("element", "clips", "card", "grid", "prompt", "viewer", "page")

_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; img-src 'self' file: data:; media-src 'self' file:; "
    "script-src 'self' file: '{script}'; style-src '{style}'"
)
"""What a browser may do for the page, by which it enforces that the page asks for nothing from elsewhere, and runs no
script that a prompt could have smuggled in. ``'self'`` does not cover pages that are opened from disk everywhere."""

_NAME = re.compile(r"[0-9a-f]{16}\.js")
_NAMED = re.compile(r'"(?:chunks|before)":(\[.*?\])(?=,"|\})')


def build_gallery(store: Store, rows: Iterable[Row], *, title: str, rejected: Sequence[Problem]) -> str:
    """Writes ``gallery/index.html`` with its data, and those of its small pictures that are missing.

    What is there already is found in one listing. The data files are named by their content, and the page comes last:
    a page that is read while it is written anew finds the files that it names, since those of the page before stay
    until the next one.

    Args:
        store: Where the videos lie and the page goes; its links are relative, so the folder may be moved or served.
        rows: The rows of the videos table; they are read once, and never more than ``CHUNK_CLIPS`` are held.
        title: The page's headline.
        rejected: What is wrong with the manifest's rows; a view of its own.

    Returns:
        The page's path in the store.

    Raises:
        StorageError: The page can't be written. A picture that can't be made is left out, with a warning in the log.
    """
    there = {path for path, size_bytes in store.sizes(PREVIEWS).items() if size_bytes}  # none: a power cut emptied it
    before, older = _read_chunk_names(store)
    summary = Summary()
    chunks: list[tuple[str, int]] = []
    remaining = iter(rows)
    shrink = frame_shrinker(store)
    with ThreadPoolExecutor(WORKERS) as pool:
        while chunk := list(islice(remaining, CHUNK_CLIPS)):
            missing = [row for row in chunk if lacks_pictures(row, there)]
            there.update(*pool.map(partial(make_pictures, store, there, shrink), missing))
            chunks.append((_write_chunk(store, chunk_script(chunk, there)), len(chunk)))
            summary.add(chunk)
    names = [name for name, _ in chunks]
    facts = {"chunks": chunks, "before": before, **summary.facts(), **_rejected_facts(rejected)}
    store.write_bytes(GALLERY, _page(title, summary, facts, rejected).encode("utf-8", "replace"))
    for name in set(older) - set(before) - set(names):
        store.remove(f"{GALLERY_DATA}/{name}")
    return GALLERY


def _write_chunk(store: Store, script: str) -> str:
    content = script.encode()
    name = f"{hashlib.sha256(content).hexdigest()[:16]}.js"
    store.write_bytes(f"{GALLERY_DATA}/{name}", content)
    return name


def _read_chunk_names(store: Store) -> tuple[list[str], list[str]]:
    """Names of the data files of the page that is there, and of those that were kept from the page before it."""
    with suppress(StorageError, ValueError, TypeError, IndexError):
        page = store.read_bytes(GALLERY).decode()
        chunks, before = (json.loads(found) for found in _NAMED.findall(page)[:2])
        return [name for name, _ in chunks if _NAME.fullmatch(name)], [name for name in before if _NAME.fullmatch(name)]
    return [], []


def _page(title: str, summary: Summary, facts: dict[str, object], rejected: Sequence[Problem]) -> str:
    css = _part("style.css")
    js = "\n".join(_scripts())
    policy = _POLICY.format(script=_digest(js), style=_digest(css))
    return Template(_part("index.html")).substitute(
        title=escape(title),
        policy=policy,
        css=css,
        js=js,
        summary=escape(summary.sentence()),
        filters=_filters(summary, len({problem.row for problem in rejected if problem.blocking})),
        page=script_text(facts),
    )


def _scripts() -> Iterator[str]:
    yield '"use strict";\n(() => {'
    for name in _SCRIPTS:
        yield _part(f"{name}.js")
    yield "})();"


def _filters(summary: Summary, rejected_rows: int) -> str:
    """A button for all clips, one for each state that some clip has, and one for the rows that were set aside."""
    buttons = [("", "All", summary.clips), *summary.states()]
    if rejected_rows:
        buttons.append(("aside", "Set aside", rejected_rows))
    return "\n".join(
        f'<button type="button" data-show="{state}" aria-pressed="{str(not state).lower()}">{name} '
        f"<span>{count:,}</span></button>"
        for state, name, count in buttons
    )


def _rejected_facts(rejected: Sequence[Problem]) -> dict[str, object]:
    shown = rejected[:MOST_REJECTED]
    return {
        "rejected": [[problem.row, problem.clip_id, problem.column, problem.what, problem.fix] for problem in shown],
        "rejectedCount": len(rejected),
        "checks": {name: {"sentence": check.sentence} for name, check in CHECKS.items()},
    }


def _part(name: str) -> str:
    return (files("kf2v_pipeline.workflow") / "page" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """What a content security policy calls an inline script or style by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
