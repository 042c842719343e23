"""Writes the tables anew from the ledger. What their columns are is ``storage.tables``' matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.policy import standing
from kf2v_pipeline.storage.dataset import write_card, write_croissant
from kf2v_pipeline.storage.tables import video_rows, write_metadata, write_videos_table
from kf2v_pipeline.workflow.project import Project


def table_rows(project: Project, clips: Sequence[Clip] | None = None) -> list[dict[str, Any]]:
    """One row per clip, as the ledger knows it now; None for the clips of the project's manifest."""
    if clips is None:
        clips = project.wanted()
    return video_rows(
        project.store, clips, project.ledger.newest(clips), standing=lambda attempt: standing(attempt).value
    )


def refresh_tables(project: Project) -> list[dict[str, Any]]:
    """Writes the videos table, the metadata beside the videos, and what makes them a data set; gives the table's rows.

    Raises:
        StorageError: The storage can't be written to.
    """
    rows = table_rows(project)
    table = write_videos_table(project.store, rows)
    write_metadata(project.store, rows)
    write_card(project.store)
    write_croissant(project.store, table, rows, licence=project.settings.license)
    return rows
