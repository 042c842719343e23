"""A batch as a component of Dagster: ``dg scaffold defs kf2v_pipeline.FrameClipBatch NAME`` writes one."""

import os
from typing import Any

import dagster as dg
from pydantic import Field

from kf2v_pipeline.orchestration.definitions import build_definitions
from kf2v_pipeline.orchestration.names import OWNER
from kf2v_pipeline.settings import NAMES, Settings


class FrameClipBatch(dg.Component, dg.Model, dg.Resolvable):
    """A table of frame pairs and prompts that becomes videos: assets, checks, jobs, sensors and a schedule.

    What is left out comes from the ``KF2V_*`` variables, and the API key from ``DASHSCOPE_API_KEY`` alone.
    """

    manifest: str | None = Field(default=None, description="Path or fsspec URL of the manifest.")
    storage: str | None = Field(default=None, description="Where videos and tables go: a path or any fsspec URL.")
    home: str | None = Field(default=None, description="Folder of the state on this machine.")
    ledger: str | None = Field(default=None, description="SQLAlchemy URL of the ledger; SQLite in home by default.")
    service: str | None = Field(default=None, description="local, singapore, beijing, or a base URL.")
    max_spend: float | None = Field(default=None, description="Most that one run may spend.")
    max_spend_per_day: float | None = Field(default=None, description="The same for all runs of a UTC day together.")
    frames: str | None = Field(default=None, description="How frames travel: auto, inline, upload, or url.")
    fix_frames: bool | None = Field(default=None, description="Mend frames that the service would refuse.")
    long_prompts: str | None = Field(default=None, description="Prompts over the model's limit: refuse, or cut.")
    catalog: str | None = Field(default=None, description="A TOML file over the catalog of services and prices.")
    workspace: str | None = Field(default=None, description="Sub-workspace of the account.")
    lanes: str | None = Field(default=None, description="Lanes for rows with service auto: service/model, by commas.")
    license: str | None = Field(default=None, description="License of the videos, as the storage's data set names it.")
    quality: bool | None = Field(default=None, description="Whether stored films are measured.")
    nightly_cron: str | None = Field(default=None, description="When the nightly schedule renders.")
    nightly_timezone: str | None = Field(default=None, description="The timezone of nightly_cron.")
    prefix: str | None = Field(
        default=None, description="Before every name of this batch. The name of its folder by default; may be empty."
    )
    group: str = Field(default="", description="The assets' group; the prefix by default.")
    owners: list[str] = Field(default_factory=lambda: [OWNER], description="E-mail addresses, or team:NAME.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The batch's definitions.

        Raises:
            SettingsError: A setting can't be used.
        """
        chosen: dict[str, Any] = {name: getattr(self, name, None) for name in NAMES.values()}
        settings = Settings.from_mapping(os.environ, **chosen)
        prefix = context.path.name.replace("-", "_") if self.prefix is None else self.prefix
        return build_definitions(settings, prefix=prefix, group=self.group, owners=self.owners)
