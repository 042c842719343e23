"""Writes the tables anew from the ledger. What their columns are is ``storage.tables``' matter."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.policy import standing
from kf2v_pipeline.storage.dataset import write_card, write_croissant
from kf2v_pipeline.storage.tables import video_rows, write_metadata, write_videos_table
from kf2v_pipeline.workflow.finish import cut_of, measured_of
from kf2v_pipeline.workflow.project import Project

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WrittenTables:
    """What the tables were written from.

    Attributes:
        rows: One per clip.
        newest: The attempts that the rows tell of, as the ledger knew them, by clip_id.
    """

    rows: list[dict[str, Any]]
    newest: dict[str, Attempt]


def table_rows(project: Project, clips: Sequence[Clip] | None = None) -> list[dict[str, Any]]:
    """One row per clip, as the ledger knows it now; None for the clips of the project's manifest."""
    if clips is None:
        clips = project.wanted()
    return _rows(project, clips, project.ledger.newest(clips))


def _rows(project: Project, clips: Sequence[Clip], newest: Mapping[str, Attempt]) -> list[dict[str, Any]]:
    ids = [attempt.attempt_id for attempt in newest.values() if attempt.state is State.STORED]
    cuts = project.ledger.cuts(ids) if any(clip.aspect for clip in clips) else {}
    of_clips = {
        clip.clip_id: cut
        for clip in clips
        if clip.clip_id in newest and (cut := cut_of(clip, cuts, newest[clip.clip_id])) is not None
    }
    return video_rows(
        project.store,
        clips,
        newest,
        standing=lambda attempt: standing(attempt).value,
        qualities=measured_of(project.ledger, newest),
        cuts=of_clips,
    )


def refresh_tables(project: Project) -> WrittenTables:
    """Writes the videos table, the metadata beside the videos, and what makes them a data set.

    Videos that were not measured or cut yet are so now, for a minute at most.

    Raises:
        StorageError: The storage can't be written to.
    """
    _finish_missing(project)
    # Read only now: in that minute other runs take manifests in, store clips, and write the tables themselves.
    clips = project.wanted()
    newest = project.ledger.newest(clips)
    rows = _rows(project, clips, newest)
    table = write_videos_table(project.store, rows)
    write_metadata(project.store, rows)
    write_card(project.store)
    write_croissant(project.store, table, rows, licence=project.settings.license)
    return WrittenTables(rows=rows, newest=newest)


def _finish_missing(project: Project) -> None:
    clips = project.wanted()
    for sentence in project.finisher.finish_missing(clips, project.ledger.newest(clips)):
        _LOG.warning(sentence)
