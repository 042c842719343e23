"""The columns of the manifest, of the videos and of their table, as Dagster is told of them: schemas, and lineage."""

from collections.abc import Iterable

import dagster as dg
import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types

from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.storage.manifest import OPTIONAL_COLUMNS, REQUIRED_COLUMNS
from kf2v_pipeline.storage.tables import VIDEOS_SCHEMA

_COLUMNS = {
    "clip_id": "The clip's name: its partition, its folder, its row in the tables.",
    "first_frame": "Where the film begins: a path or URL.",
    "last_frame": "Where the film ends: a path or URL.",
    "prompt": "What happens in between.",
    "negative_prompt": "What must not be seen.",
    "model": "The service's name of the model; its default where empty.",
    "resolution": "480P, 720P or 1080P, as far as the model offers it.",
    "duration": "Length of the film in seconds, as far as the model offers a choice.",
    "seed": "Makes a film repeatable; drawn by the service where empty.",
    "prompt_extend": "Whether the service may write the prompt out.",
    "watermark": "Whether the service marks the film.",
    "template": "A video effect of the service, in the place of the last frame.",
    "service": "local, singapore, beijing, or a base URL; the setting where empty.",
    "aspect": "The cut that is wanted beside the raw film, such as 9:16.",
    "fit": "How the cut is made: crop, pad or blur.",
}
"""What each column of a manifest means."""

_FROM_MANIFEST = ("clip_id", "model", "resolution", "seed", "prompt", "negative_prompt", "aspect", "fit")
"""Columns of the videos table that are the manifest's."""

_FROM_VIDEO = ("video_path", "width", "height", "fps", "frames", "duration_s", "codec", "size_bytes", "sha256")
"""Columns of the videos table that describe the stored film."""


def manifest_columns() -> dg.TableSchema:
    """The columns that a manifest may have."""
    columns = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
    return dg.TableSchema(
        [
            dg.TableColumn(
                name,
                type="string",
                description=_COLUMNS.get(name),
                constraints=dg.TableColumnConstraints(nullable=name not in REQUIRED_COLUMNS, unique=name == "clip_id"),
            )
            for name in columns
        ]
    )


def table_columns() -> dg.TableSchema:
    """The columns of the videos table that are ours."""
    return _schema(VIDEOS_SCHEMA.names)


def film_columns() -> dg.TableSchema:
    """What is known of each stored video: the columns that the table has from it."""
    return _schema(_FROM_VIDEO)


def _schema(names: Iterable[str]) -> dg.TableSchema:
    fields: list[pa.Field] = [VIDEOS_SCHEMA.field(name) for name in names]
    return dg.TableSchema([dg.TableColumn(field.name, type=str(field.type)) for field in fields])


def table_lineage(names: Names) -> dg.TableColumnLineage:
    """Which columns of the videos table come out of which asset."""
    columns = {name: [dg.TableColumnDep(names.manifest, name)] for name in _FROM_MANIFEST}
    columns |= {f"{end}_frame_path": [dg.TableColumnDep(names.manifest, f"{end}_frame")] for end in ("first", "last")}
    columns |= {name: [dg.TableColumnDep(names.video, name)] for name in _FROM_VIDEO}
    return dg.TableColumnLineage(columns)
