"""The tables that people work with: videos, rejected rows, and the index that Hugging Face reads.

They are written anew from the clips and the ledger whenever something changed; nothing is decided from them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from io import BytesIO
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it ships no types

from kf2v_pipeline.domain.address import redact
from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.domain.quality import FIELD_KINDS, Quality, flaws
from kf2v_pipeline.storage.layout import METADATA, REJECTED_TABLE, VIDEOS, VIDEOS_TABLE
from kf2v_pipeline.storage.quality import Cut
from kf2v_pipeline.storage.store import Store

Row = dict[str, Any]

_INSTANT = pa.timestamp("us", tz="UTC")

VIDEOS_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("status", pa.string()),
        ("video_path", pa.string()),
        ("file_name", pa.string()),
        ("task_id", pa.string()),
        ("request_id", pa.string()),
        ("service", pa.string()),
        ("model", pa.string()),
        ("resolution", pa.string()),
        ("seed", pa.int64()),
        ("prompt", pa.string()),
        ("negative_prompt", pa.string()),
        ("actual_prompt", pa.string()),
        ("first_frame_path", pa.string()),
        ("last_frame_path", pa.string()),
        ("fingerprint", pa.string()),
        ("attempt", pa.int64()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("fps", pa.float64()),
        ("frames", pa.int64()),
        ("duration_s", pa.float64()),
        ("codec", pa.string()),
        ("size_bytes", pa.int64()),
        ("sha256", pa.string()),
        # Sums and plots want a plain number; the exact amount is the ledger's.
        ("cost", pa.float64()),
        ("currency", pa.string()),
        ("submitted_at", _INSTANT),
        ("started_at", _INSTANT),
        ("ended_at", _INSTANT),
        ("stored_at", _INSTANT),
        ("error_code", pa.string()),
        ("error_message", pa.string()),
        ("aspect", pa.string()),
        ("fit", pa.string()),
        ("cut_path", pa.string()),
        ("cut_width", pa.int64()),
        ("cut_height", pa.int64()),
        ("flaws", pa.string()),
        *((f"quality_{name}", pa.int64() if int in kinds else pa.float64()) for name, kinds in FIELD_KINDS.items()),
    ]
)
"""Our columns, in order. Those that the manifest carries follow them."""

_TYPED_CHARACTERS = 5_000_000
"""Hugging Face takes the types of the metadata from its first 10 MB, where a column must have a value already, or it
fails on the first one that comes later (``datasets`` 5.2, ``FolderBasedBuilder._read_metadata``). A character may
take two bytes and more."""

_REJECTED_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("clip_id", pa.string()),
        ("column", pa.string()),
        ("what", pa.string()),
        ("fix", pa.string()),
        ("blocking", pa.bool_()),
    ]
)

_OF_ATTEMPT = [name for name in VIDEOS_SCHEMA.names if name in {field.name for field in fields(Attempt)}]
_OURS = frozenset(VIDEOS_SCHEMA.names)


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A table as it was written.

    Attributes:
        schema: Its columns, of pyarrow.
    """

    schema: pa.Schema
    sha256: str
    size_bytes: int


def video_rows(
    store: Store,
    clips: Iterable[Clip],
    newest: Mapping[str, Attempt],
    standing: Callable[[Attempt | None], str],
    *,
    qualities: Mapping[str, Quality] | None = None,
    cuts: Mapping[str, Cut] | None = None,
) -> list[Row]:
    """A row per clip, in the clips' order, with all of our columns and the carried ones.

    Args:
        store: Frames below its root are named relative to it.
        clips: The clips of the manifest.
        newest: The newest attempt of each clip's fingerprint, by clip_id.
        standing: Says where a clip stands: stored, failed, in_flight or planned.
        qualities: What the stored ones measure, by clip_id.
        cuts: The cuts that the stored ones have, in the aspect that is asked for, by clip_id.
    """
    rows = []
    for clip in clips:
        row = _video_row(store, clip, newest.get(clip.clip_id), standing)
        row |= _quality_columns((qualities or {}).get(clip.clip_id))
        row |= _cut_columns(clip, (cuts or {}).get(clip.clip_id))
        rows.append(row)
    return rows


def write_videos_table(store: Store, rows: Sequence[Row]) -> TableFile:
    """Writes ``tables/videos.parquet``; a column without any value keeps its type."""
    return _write_table(store, VIDEOS_TABLE, _videos_table(rows))


def read_videos_table(store: Store) -> list[Row]:
    """The rows that ``write_videos_table`` wrote.

    Raises:
        StorageError: There is no such table, or it can't be read.
    """
    rows: list[Row] = pq.read_table(BytesIO(store.read_bytes(VIDEOS_TABLE))).to_pylist()
    return rows


def write_metadata(store: Store, rows: Sequence[Row]) -> None:
    """Writes ``videos/metadata.jsonl``: a line per stored video, its ``file_name`` relative to that folder.

    Hugging Face leaves out the videos of older fingerprints, which have no line, and fails on an empty file, so there
    is none while nothing is stored. It wants one type in each column, so values are as in the videos table; instants
    are ISO 8601 text, since it would drop their zone (``datasets`` 5.2).
    """
    stored = [row for row in _videos_table(rows).to_pylist() if row["status"] == "stored"]
    if not stored:
        store.remove(METADATA)
        return
    lines = [_json({"file_name": row["file_name"], **row}) for row in stored]
    if sum(map(len, lines)) > _TYPED_CHARACTERS:
        early = _first_values(stored)
        lines = [lines[at] for at in early] + [line for at, line in enumerate(lines) if at not in early]
    store.write_bytes(METADATA, "".join(f"{line}\n" for line in lines).encode())


def write_rejected(store: Store, problems: Sequence[Problem]) -> None:
    """Writes ``tables/rejected.parquet``: a row per problem, also where there is none."""
    if problems:
        table = pa.Table.from_pylist([asdict(problem) for problem in problems], _REJECTED_SCHEMA)
    else:  # the usual case: made of values, pyarrow would look for pandas first, and load it for half a second
        table = pa.Table.from_batches([], _REJECTED_SCHEMA)
    _write_table(store, REJECTED_TABLE, table)


def _videos_table(rows: Sequence[Row]) -> pa.Table:
    carried = dict.fromkeys(name for row in rows for name in row if name not in _OURS)
    table = pa.Table.from_pylist([{name: row.get(name) for name in VIDEOS_SCHEMA.names} for row in rows], VIDEOS_SCHEMA)
    for name in carried:
        table = table.append_column(name, _carried_array([row.get(name) for row in rows]))
    return table


def _first_values(rows: Sequence[Row]) -> dict[int, None]:
    """Numbers of the rows that are the first to have a value in some column, in their order."""
    found: dict[str, int] = {}
    for at, row in enumerate(rows):
        for name, value in row.items():
            if value is not None:
                found.setdefault(name, at)
    return dict.fromkeys(sorted(found.values()))


def _video_row(store: Store, clip: Clip, attempt: Attempt | None, standing: Callable[[Attempt | None], str]) -> Row:
    row: Row = dict.fromkeys(VIDEOS_SCHEMA.names)
    if attempt is not None:
        clip = clip.in_lane(attempt.lane)
        row.update({name: getattr(attempt, name) for name in _OF_ATTEMPT})
        row["attempt"] = attempt.number
        row["cost"] = None if attempt.cost is None else float(attempt.cost)
        row["file_name"] = attempt.video_path and attempt.video_path.removeprefix(f"{VIDEOS}/")
    row.update(
        clip_id=clip.clip_id,
        status=_plain(standing(attempt)),
        service=redact(clip.service),
        model=clip.model,
        resolution=clip.resolution,
        seed=clip.seed,
        prompt=clip.prompt,
        negative_prompt=clip.negative_prompt,
        first_frame_path=_frame_path(store, clip.first_frame),
        last_frame_path=_frame_path(store, clip.last_frame),
        fingerprint=clip.fingerprint,
    )
    for name, value in clip.carried.items():
        # DuckDB does not tell Status from status.
        free = name
        while free.casefold() in _OURS or free in row:
            free = f"manifest_{free}"
        row[free] = value
    return row


def _quality_columns(quality: Quality | None) -> Row:
    """The numbers, and the names of the checks that failed: empty where none did, None where nothing was measured."""
    if quality is None:
        return {}
    names = ",".join(flaw.check for flaw in flaws(quality))
    return {"flaws": names, **{f"quality_{name}": value for name, value in quality.to_record().items()}}


def _cut_columns(clip: Clip, cut: Cut | None) -> Row:
    row: Row = {"aspect": clip.aspect, "fit": clip.fit}
    if cut is not None:
        row |= {"cut_path": cut.cut_path, "cut_width": cut.width, "cut_height": cut.height}
    return row


def _plain(standing: str) -> str:
    """The word alone: ``str`` of an enumeration that is text would give its name too."""
    return str(getattr(standing, "value", standing))


def _frame_path(store: Store, frame: Frame | None) -> str | None:
    return None if frame is None else store.relative(frame.location) or redact(frame.location)


def _carried_array(values: list[Any]) -> pa.Array:
    """A column in the one type that all its values share; as JSON text where they share none."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pa.array(values, pa.int64())
    if kinds and kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array(
        [value if value is None or isinstance(value, str) else _json(value) for value in values], pa.string()
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_text)


def _text(value: object) -> str:
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else str(value)


def _write_table(store: Store, path: str, table: pa.Table) -> TableFile:
    buffer = BytesIO()
    pq.write_table(table, buffer)
    content = buffer.getvalue()
    store.write_bytes(path, content)
    return TableFile(schema=table.schema, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
