"""What Dagster was told before of a batch's rows and videos, and of clips that failed.

Of rows and videos it is asked in two queries, however many clips there are. Dagster has no public way to ask for the
versions of all partitions of an asset; its event log storage has (1.13).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.orchestration.names import Names

DATA_VERSION = "dagster/data_version"

ATTEMPT = "kf2v/attempt"
"""On an observation that says why a clip failed: the attempt that did."""

_BEGINNING = 1
"""An event that is older than any of ours. Dagster takes 0 for "none", and then compares an event with itself."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What Dagster knows.

    Attributes:
        videos: The fingerprint of which video Dagster was told last, by clip_id.
        rows: The fingerprint that a changed row was said to ask for last, by clip_id; most rows never change.
        row_events: The event that said so, by clip_id.
    """

    videos: Mapping[str, str]
    rows: Mapping[str, str]
    row_events: Mapping[str, int]

    @classmethod
    def ask(cls, instance: dg.DagsterInstance, names: Names) -> Told:
        """What the instance knows now."""
        log = instance.event_log_storage
        stored, observed = dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION
        videos = log.get_latest_tags_by_partition(names.video, stored, [DATA_VERSION])
        rows = log.get_latest_tags_by_partition(names.clip, observed, [DATA_VERSION])
        return cls(
            videos={clip_id: tags[DATA_VERSION] for clip_id, tags in videos.items()},
            rows={clip_id: tags[DATA_VERSION] for clip_id, tags in rows.items()},
            row_events=log.get_latest_storage_id_by_partition(names.clip, observed),
        )

    @staticmethod
    def newest_video_event(instance: dg.DagsterInstance, names: Names) -> int | None:
        """The newest event by which Dagster was told of a video; None where there is none."""
        events = instance.event_log_storage.get_latest_storage_id_by_partition(
            names.video, dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        return max(events.values(), default=None)

    def is_told(self, clip: Clip) -> bool:
        """Whether Dagster knows of the video that the clip asks for."""
        return self.videos.get(clip.clip_id) == clip.fingerprint

    def is_outdated(self, clip: Clip) -> bool:
        """Whether Dagster knows of a video that was made for another version of the clip's row."""
        return self.videos.get(clip.clip_id, clip.fingerprint) != clip.fingerprint

    def row_event(self, clip: Clip) -> int:
        """The event after which a change of the clip's row makes its video outdated.

        A video counts as made of the newest row that Dagster knows of, if that is what it was made of; else as made
        before it, so that it is outdated the moment it is told.
        """
        event = self.row_events.get(clip.clip_id)
        if event is None:
            return _BEGINNING
        return event if self.rows.get(clip.clip_id) == clip.fingerprint else max(event - 1, _BEGINNING)


def is_told_failed(instance: dg.DagsterInstance, names: Names, attempt: Attempt) -> bool:
    """Whether a partition is red because of this very attempt: a run that failed said so, and nothing came after it."""
    of_clip = dg.AssetRecordsFilter(names.video, asset_partitions=[attempt.clip_id])
    said = next(iter(instance.fetch_observations(of_clip, limit=1).records), None)
    if said is None or said.asset_observation is None or said.asset_observation.tags.get(ATTEMPT) != attempt.attempt_id:
        return False
    stored = next(iter(instance.fetch_materializations(of_clip, limit=1).records), None)
    run = instance.get_run_by_id(said.run_id)
    return (
        (stored is None or stored.storage_id < said.storage_id)
        and run is not None
        and run.status is dg.DagsterRunStatus.FAILURE
    )
