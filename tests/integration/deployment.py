"""One project with a real Dagster instance, as a user has it: what the tests of the assets and jobs share."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from blank_ledger import write_blank_ledger
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.orchestration.definitions import build_definitions
from kf2v_pipeline.orchestration.instance import open_instance
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.opening import open_project
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.storage.tables import Row, read_videos_table

VIDEO, CLIPS = Names().video, Names().clips

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
MODERATED = Fault(on="task", kind="fail", count=1, match="take 1", code="DataInspectionFailed", message="Not this one.")


class Deployment:
    """One project with its Dagster instance, as a user has it."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings) -> None:
        self.instance = instance
        self.settings = settings
        self.definitions = build_definitions(settings)

    def materialize(
        self, *names: str, config: Mapping[str, Any] | None = None, **options: Any
    ) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_implicit_global_asset_job_def()
        selection = [dg.AssetKey(name) for name in names]
        config = {**QUIET, **(config or {})}
        return job.execute_in_process(
            instance=self.instance, asset_selection=selection, raise_on_error=False, run_config=config, **options
        )

    def materialize_range(self, first: str, last: str) -> dg.ExecuteInProcessResult:
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        return self.materialize("video", tags=tags)

    def run_job(
        self, name: str, config: Mapping[str, Any] | None = None, tags: Mapping[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_job_def(name)
        config = {**QUIET, **(config or {})}
        return job.execute_in_process(instance=self.instance, raise_on_error=False, run_config=config, tags=tags)

    def partitions(self) -> tuple[set[str], set[str]]:
        """The green and the red partitions of ``video``, as Dagster's UI counts them."""
        status = get_and_update_asset_status_cache_value(self.instance, VIDEO, CLIPS)
        assert status is not None
        green = status.deserialize_materialized_partition_subsets(CLIPS)
        red = status.deserialize_failed_partition_subsets(CLIPS)
        return set(green.get_partition_keys()) - set(red.get_partition_keys()), set(red.get_partition_keys())

    def told(self, run_id: str) -> Counter[tuple[str, str | None]]:
        """How often a run materialized which asset, and which partition of it."""
        events = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        dagster_events = [event.get_dagster_event() for event in events]
        return Counter(
            (event.asset_key.to_user_string(), event.partition) for event in dagster_events if event.asset_key
        )

    def table(self) -> list[Row]:
        """The videos table, as it lies in the storage."""
        with open_project(self.settings) as project:
            return read_videos_table(project.store)

    def checks(self, name: str) -> dict[str, tuple[bool, str]]:
        """How each check of an asset stands now: whether it passed, and how grave it is if not."""
        keys = self.definitions.resolve_asset_graph().get_check_keys_for_assets({dg.AssetKey(name)})
        records = self.instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys))
        evaluations = {key.name: record.evaluation for key, record in records.items()}
        return {check: (each.passed, each.severity.value) for check, each in evaluations.items() if each is not None}

    def tick(self, name: str, cursor: str | None = None) -> Any:
        """What a sensor answers."""
        sensor = self.definitions.resolve_sensor_def(name)
        return sensor(dg.build_sensor_context(instance=self.instance, cursor=cursor, definitions=self.definitions))

    def stale(self, *clip_ids: str) -> set[str]:
        """Those partitions of ``video`` that Dagster's UI calls out of sync."""
        graph = self.definitions.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(self.instance, graph, LoadingContextForTest(self.instance))
        return {clip_id for clip_id in clip_ids if resolver.get_stale_causes(VIDEO, clip_id)}


def run_elsewhere(settings: Settings, job: str) -> None:
    """Runs a job in a process that has nothing open yet."""
    with open_instance(settings.dagster_home) as instance:
        Deployment(instance, settings).run_job(job)


def make_instance(folder: Path) -> Path:
    """An empty instance, to be copied: making its databases takes a second."""
    with open_instance(folder) as instance:
        assert instance.get_runs() == []
    return folder


@contextmanager
def deployments(folder: Path, blank: Path | None = None) -> Iterator[Any]:
    """Deploys a project for a server and a manifest; twice gives the same home and storage.

    Args:
        blank: An empty instance to begin with; None to make one.
    """
    home = folder / "home"
    write_blank_ledger(home / "ledger.db")
    if blank is not None:
        shutil.copytree(blank, home / "dagster")
    with open_instance(home / "dagster") as instance:

        def deploy_one(server: LocalServer, manifest: Path, **options: Any) -> Deployment:
            # Measuring takes half a second of processor a film; the tests that are about it ask for it.
            places: dict[str, Any] = {"storage": str(folder / "out"), "home": home, "quality": False}
            settings = Settings(manifest=str(manifest), service=server.base_url, **{**places, **options})
            return Deployment(instance, settings)

        yield deploy_one
