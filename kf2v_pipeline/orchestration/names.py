"""What one batch's definitions are called in Dagster. A prefix keeps several batches of one code location apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg

from kf2v_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from kf2v_pipeline.workflow.outcome import Listener
    from kf2v_pipeline.workflow.project import Project

OWNER = "team:video"
"""Who looks after the assets, unless a person says otherwise."""

DRIVE_TAG = "kf2v/drive"
"""On every run that drives clips: ``tag_concurrency_limits`` of an instance count it."""

MAX_RUNTIME_SECONDS = 24 * 60 * 60
"""A run that takes longer is stopped, where ``run_monitoring`` is on: after a day no task is left to wait for."""

_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class Names:
    """The names of one batch.

    Attributes:
        prefix: Before every name: a part of its own in asset keys (``nightly/video``), with an underscore elsewhere
            (``nightly_render_clips``). Empty where a code location holds one batch.
        group: The assets' group; empty for the prefix, or else ``kf2v``.
        owners: Of the assets: e-mail addresses, or ``team:NAME``.
    """

    prefix: str = ""
    group: str = ""
    owners: tuple[str, ...] = (OWNER,)

    def __post_init__(self) -> None:
        """Refuses what Dagster would refuse with a traceback.

        Raises:
            SettingsError: The prefix is no name.
        """
        if self.prefix and not _PREFIX.fullmatch(self.prefix):
            fix = "write letters, digits and underscores, beginning with a letter"
            raise SettingsError("prefix", f"{self.prefix!r} can't be part of a name in Dagster", fix)

    def of(self, name: str) -> str:
        """A job's, op's, sensor's, schedule's, resource's or partitions' name."""
        return f"{self.prefix}_{name}" if self.prefix else name

    def key(self, name: str) -> dg.AssetKey:
        """An asset's key."""
        return dg.AssetKey([self.prefix, name] if self.prefix else [name])

    @property
    def group_name(self) -> str:
        """The assets' group."""
        return self.group or self.prefix or "kf2v"

    @property
    def manifest(self) -> dg.AssetKey:
        """The table that a person writes."""
        return self.key("manifest")

    @property
    def clip(self) -> dg.AssetKey:
        """What each row asks for."""
        return self.key("clip")

    @property
    def video(self) -> dg.AssetKey:
        """The stored videos."""
        return self.key("video")

    @property
    def video_table(self) -> dg.AssetKey:
        """The videos table."""
        return self.key("video_table")

    @property
    def gallery(self) -> dg.AssetKey:
        """The page to look at all videos."""
        return self.key("gallery")

    @cached_property
    def clips(self) -> dg.DynamicPartitionsDefinition:
        """One partition per clip; its key is the ``clip_id``."""
        return dg.DynamicPartitionsDefinition(name=self.of("clips"))

    @property
    def drive_tags(self) -> dict[str, str]:
        """The tags of a run that drives clips.

        Dagster starts a run whose worker died again at the step that failed; ours hand on in memory, so begin at the
        first one: what was done before is found done.
        """
        return {
            DRIVE_TAG: self.group_name,
            "dagster/max_runtime": str(MAX_RUNTIME_SECONDS),
            "dagster/retry_strategy": "ALL_STEPS",
        }

    @property
    def handed_on(self) -> dg.Out:
        """The output of an op whose value goes on to the next one, within the process."""
        return dg.Out(io_manager_key=self.of("kf2v_memory"))

    def project(self, context: Any) -> Project:
        """The batch's project, out of the resources of a running op."""
        project: Project = getattr(context.resources, self.of("kf2v_project"))
        return project

    def listener(self, context: Any) -> Listener:
        """Who is told how a drive goes, beside Dagster."""
        listener: Listener = getattr(context.resources, self.of("kf2v_listener"))
        return listener
