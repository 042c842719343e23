"""What Dagster was told before of a batch's rows and videos, and of clips that failed.

It is asked of all clips at once, since a drive that asks of each lets its heartbeat wait. Dagster has no public way to
ask for the versions of all partitions of an asset, or for those that are red; its event log storage has (1.13).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import dagster as dg

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.storage.database import chunks

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


@dataclass(frozen=True, kw_only=True)
class Red:
    """The partitions of ``video`` that are red: a run that failed was to make them, and nothing came after it.

    Attributes:
        clip_ids: All of them.
        attempts: Of which attempt a run told that it failed, by clip_id.
    """

    clip_ids: frozenset[str] = frozenset()
    attempts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def ask(cls, instance: dg.DagsterInstance, names: Names) -> Red:
        """What the instance knows now."""
        log, video = instance.event_log_storage, names.video
        planned = log.get_latest_asset_partition_materialization_attempts_without_materializations(video)
        failed = _failed_runs(instance, {run_id for run_id, _ in planned.values()})
        red = {clip_id: event for clip_id, (run_id, event) in planned.items() if run_id in failed}
        said = log.get_latest_storage_id_by_partition(video, dg.DagsterEventType.ASSET_OBSERVATION)
        reasons = [said[clip_id] for clip_id, event in red.items() if said.get(clip_id, _BEGINNING) > event]
        told: dict[str, str] = {}
        for chunk in chunks(reasons):
            of_chunk = dg.AssetRecordsFilter(video, storage_ids=chunk)
            for record in instance.fetch_observations(of_chunk, limit=len(chunk)).records:
                observation = record.asset_observation
                if observation is not None and observation.partition is not None and ATTEMPT in observation.tags:
                    told[observation.partition] = observation.tags[ATTEMPT]
        return cls(clip_ids=frozenset(red), attempts=told)


def _failed_runs(instance: dg.DagsterInstance, run_ids: Collection[str]) -> set[str]:
    failure = [dg.DagsterRunStatus.FAILURE]
    of_chunks = (dg.RunsFilter(run_ids=chunk, statuses=failure) for chunk in chunks(run_ids))
    return {run_id for of_chunk in of_chunks for run_id in instance.get_run_ids(of_chunk)}
