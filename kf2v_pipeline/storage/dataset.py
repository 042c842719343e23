"""What makes the storage a data set for others: the card that Hugging Face reads, and a description as Croissant.

Both name files relative to where they lie, so the folder may be moved, copied or published as it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types

from kf2v_pipeline.storage.layout import CROISSANT, DATASET_CARD, FINGERPRINT_DIGITS, VIDEOS, VIDEOS_TABLE
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.storage.tables import Row, TableFile

DESCRIPTION = "Videos made from a first frame, a last frame and a prompt, with all that is known of their making."

_CARD = f"""---
configs:
- config_name: default
  data_files:
  - split: train
    path:
    - metadata.jsonl
    - "*/*.mp4"
---
# Videos

{DESCRIPTION}

- `metadata.jsonl`: a line per video; `load_dataset` reads it together with the film.
- `<clip_id>/<fingerprint>.mp4`: the film as the service made it.
- `<clip_id>/<fingerprint>.json`: how that film was made: request, task, times, hashes.

Write here what others should know: where the frames are from, and what may be done with the films. This file was
written once and is yours; keep the lines between the dashes.
"""
"""Without it the sidecars, of which there are as many as films, would make it a data set of JSON for ``datasets`` 5.2,
and a clip that is called ``test`` or ``val`` would become a split of its own."""

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The names that a Croissant description uses (Croissant Format Specification 1.0, appendix 1)."""

_TABLE, _FILMS = "videos-table", "video-files"


def write_card(store: Store) -> None:
    """Writes ``videos/README.md`` where there is none; what a person made of it is never written over."""
    if not store.exists(DATASET_CARD):
        store.write_bytes(DATASET_CARD, _CARD.encode())


def write_croissant(store: Store, table: TableFile, rows: Sequence[Row], *, licence: str | None) -> None:
    """Writes ``croissant.json``: the videos table and the films, as Croissant 1.0 (JSON-LD).

    Args:
        table: The videos table as it lies in the store.
        rows: Its rows.
        licence: What may be done with the films, as a URL or an SPDX identifier; only who owns them can say.
    """
    text = json.dumps(_describe(table, rows, licence), ensure_ascii=False, indent=2)
    store.write_bytes(CROISSANT, f"{text}\n".encode("utf-8", "replace"))


def _describe(table: TableFile, rows: Sequence[Row], licence: str | None) -> dict[str, Any]:
    stored_at = [row["stored_at"] for row in rows if isinstance(row["stored_at"], datetime)]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": VIDEOS,
        "description": DESCRIPTION,
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        **({"license": licence} if licence else {}),
        **({"datePublished": max(stored_at).date().isoformat()} if stored_at else {}),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": _TABLE,
                "name": _TABLE,
                "description": "A row per clip, also of those that have no film.",
                "contentUrl": VIDEOS_TABLE,
                "contentSize": f"{table.size_bytes} B",
                "encodingFormat": "application/x-parquet",
                "sha256": table.sha256,
            },
            {
                "@type": "cr:FileSet",
                "@id": _FILMS,
                "name": _FILMS,
                "description": "The films as the service made them.",
                "encodingFormat": "video/mp4",
                "includes": f"{VIDEOS}/*/{'?' * FINGERPRINT_DIGITS}.mp4",  # cuts have longer names
            },
        ],
        "recordSet": [_clips(table.schema), _films()],
    }


def _clips(schema: pa.Schema) -> dict[str, Any]:
    """The rows of the table, a field per column."""
    return {
        "@type": "cr:RecordSet",
        "@id": "clips",
        "name": "clips",
        "key": {"@id": "clips/clip_id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"clips/{quote(column.name, safe='')}",
                "name": column.name,
                "dataType": _kind(column.type),
                "source": {"fileObject": {"@id": _TABLE}, "extract": {"column": column.name}},
            }
            for column in schema
        ],
    }


def _films() -> dict[str, Any]:
    """The films, each with the row that it belongs to."""
    return {
        "@type": "cr:RecordSet",
        "@id": "films",
        "name": "films",
        "key": {"@id": "films/video_path"},
        "field": [
            {**_film_field("video_path", "sc:Text", "fullpath"), "references": {"@id": "clips/video_path"}},
            _film_field("content", "sc:VideoObject", "content"),
        ],
    }


def _film_field(name: str, kind: str, file_property: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"films/{name}",
        "name": name,
        "dataType": kind,
        "source": {"fileSet": {"@id": _FILMS}, "extract": {"fileProperty": file_property}},
    }


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind):
        return "sc:Float"
    return "sc:DateTime" if pa.types.is_timestamp(kind) else "sc:Text"
