"""What Dagster's UI shows of clips: a film strip, prompts, costs. Which events carry it, ``events`` says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any
from urllib.parse import quote

import dagster as dg

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.price import Money, total_by_currency
from kf2v_pipeline.domain.quality import Quality, flaws
from kf2v_pipeline.errors import StorageError
from kf2v_pipeline.media.preview import inline_strip
from kf2v_pipeline.storage.layout import GALLERY, strip_path
from kf2v_pipeline.storage.store import Store

CELL_CHARS = 120
"""Characters of a prompt that a table of the UI shows."""

THIN_SPACE = "\u2009"
"""Between a mark and what no space separates from it: Markdown knows no mark of a full stop within a word."""

_LEAST_KEPT = 0.5
"""Of the letters of a text, for a newer one to be shown as a change of it; the gallery has the same."""

_ALONE = "\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""Characters that are words of their own: Han, Hiragana, Katakana."""

_TOKEN = re.compile(rf"[{_ALONE}]|(?:(?![{_ALONE}])[\w'\u2019-])+|.")


def video_metadata(clip: Clip, attempt: Attempt, store: Store, quality: Quality | None) -> dict[str, Any]:
    """All that a person may want to know of a stored video, the picture first.

    Numbers are plain, so that the UI plots them over the partitions.
    """
    metadata: dict[str, Any] = {
        "film": _film(clip, store),
        "prompt": clip.prompt,
        "actual_prompt": _prompt_change(clip.prompt, attempt.actual_prompt),
        "flaws": "\n".join(f"{flaw.check}: {flaw.sentence}" for flaw in flaws(quality)) if quality else None,
        "cost": None if attempt.cost is None else float(attempt.cost),
        "currency": attempt.currency,
        "gallery": way_to(f"{address_of(store, GALLERY)}#{clip.clip_id}"),
        "path": dg.MetadataValue.path(place_of(store, attempt.video_path)) if attempt.video_path else None,
        "dagster/uri": address_of(store, attempt.video_path) if attempt.video_path else None,
        "model": attempt.model,
        "service": attempt.service,
        "resolution": clip.resolution,
        "size": f"{attempt.width}x{attempt.height}" if attempt.width else None,
        "duration_s": attempt.duration_s,
        "frames": attempt.frames,
        "size_bytes": attempt.size_bytes,
        "waited_s": _seconds(attempt.submitted_at, attempt.started_at),
        "rendered_s": _seconds(attempt.started_at, attempt.ended_at),
        "collected_s": _seconds(attempt.ended_at, attempt.stored_at),
        "attempt": attempt.number,
        "task_id": attempt.task_id,
        "request_id": attempt.request_id,
        "sha256": attempt.sha256,
        "fingerprint": clip.fingerprint,
        **({f"quality_{name}": value for name, value in quality.to_record().items()} if quality else {}),
    }
    return {name: value for name, value in metadata.items() if value is not None}


def clip_metadata(clip: Clip, before: Clip | None = None) -> dict[str, Any]:
    """What a row asks for, and what it asked for before."""
    metadata: dict[str, Any] = {
        "prompt": _prompt_change(before.prompt, clip.prompt) if before else clip.prompt,
        "model": clip.model,
        "resolution": clip.resolution,
        "first_frame": dg.MetadataValue.path(clip.first_frame.location),
        "last_frame": dg.MetadataValue.path(clip.last_frame.location) if clip.last_frame else None,
        "row": clip.row,
        "fingerprint": clip.fingerprint,
    }
    return {name: value for name, value in metadata.items() if value is not None}


def address_of(store: Store, path: str) -> str:
    """Where a file of the storage is, as a URL, also on this machine."""
    place = place_of(store, path)
    return place if "://" in place else f"file://{quote(place)}"


def place_of(store: Store, path: str) -> str:
    """Where a file of the storage is, as a person writes it."""
    return f"{store.url.rstrip('/')}/{path}"


def way_to(address: str) -> dg.UrlMetadataValue | dg.PathMetadataValue:
    """A link where a browser follows it from Dagster's page, which it does to no file; else a text to be copied."""
    return dg.MetadataValue.url(address) if address.startswith("http") else dg.MetadataValue.path(address)


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> dg.TableMetadataValue:
    """A table of the UI; texts are cut to what a cell shows."""
    return dg.MetadataValue.table(
        [dg.TableRecord({column: _cell(row.get(column)) for column in columns}) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(column) for column in columns]),
    )


def cost_table(bills: Iterable[tuple[str, Money]]) -> dg.TableMetadataValue:
    """What was billed, a line per model and currency."""
    bills = list(bills)
    counts = Counter((model, money.currency) for model, money in bills)
    rows = [
        {
            "model": model,
            "videos": count,
            "cost": f"{total_by_currency(money for name, money in bills if name == model)[currency]:f}",
            "currency": currency,
        }
        for (model, currency), count in sorted(counts.items())
    ]
    return table(rows, ("model", "videos", "cost", "currency"))


def amounts(money: Mapping[str, Any]) -> str:
    """Amounts by currency in one line; ``nothing`` where there are none."""
    return ", ".join(f"{amount:f} {currency}" for currency, amount in money.items()) or "nothing"


def _film(clip: Clip, store: Store) -> dg.MarkdownMetadataValue | None:
    try:
        strip = store.read_bytes(strip_path(clip.clip_id, clip.fingerprint))
    except StorageError:
        return None
    try:
        return dg.MetadataValue.md(inline_strip(strip))
    except Exception:  # noqa: BLE001  # half a picture, as a power cut may leave it, leads Pillow to any error
        return None


def _prompt_change(before: str | None, after: str | None) -> str | dg.MarkdownMetadataValue | None:
    """The text as it is now, with what was added in bold and what was taken out struck through."""
    if not before or not after or before == after:
        return after
    old, new = _tokens(before), _tokens(after)
    pieces: list[str] = []
    for change, start, end, new_start, new_end in _changes(old, new):
        gone, now = "".join(old[start:end]), "".join(new[new_start:new_end])
        if change == "equal":
            pieces.append(_plain(now))
            continue
        come = now.strip()
        lead, _, trail = now.partition(come) if come else (now, "", "")
        pieces += [lead, _marked("~~", gone.strip()), _marked("**", come), trail]
    return dg.MetadataValue.md(_in_line(filter(None, pieces)))


def _tokens(text: str) -> list[str]:
    """Words, single Chinese and Japanese characters, punctuation, and the spaces between."""
    return _TOKEN.findall(" ".join(text.split()))


def _changes(old: Sequence[str], new: Sequence[str]) -> Sequence[tuple[str, int, int, int, int]]:
    """What to do with which tokens; a text that keeps little of the old one replaces it as a whole."""
    changes = SequenceMatcher(str.isspace, old, new, autojunk=False).get_opcodes()
    kept = sum(_letters(old[start:end]) for change, start, end, _, _ in changes if change == "equal")
    return changes if kept >= _letters(old) * _LEAST_KEPT else [("replace", 0, len(old), 0, len(new))]


def _letters(tokens: Iterable[str]) -> int:
    return sum(len(token) for token in tokens if not token.isspace())


def _marked(sign: str, text: str) -> str:
    return f"{sign}{_plain(text)}{sign}" if text else ""


def _in_line(pieces: Iterable[str]) -> str:
    """The pieces in line; a mark beside a letter or a full stop is one only where a space lies between them."""
    text = ""
    for piece in pieces:
        is_apart = not text or text[-1].isspace() or piece[0].isspace()
        text += piece if is_apart else f"{THIN_SPACE}{piece}"
    return text


def _plain(text: str) -> str:
    """A text in which nothing counts as Markdown."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#~|!" else letter for letter in text)


def _cell(value: Any) -> str | int | float | bool:
    if isinstance(value, bool | int | float):
        return value
    text = "" if value is None else str(value)
    return text if len(text) <= CELL_CHARS else f"{text[: CELL_CHARS - 1]}…"


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else round((end - start).total_seconds(), 3)
