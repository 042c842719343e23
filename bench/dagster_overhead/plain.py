"""The same engine without Dagster: takes the manifest in and drives its clips. Settings come from the environment."""

import asyncio
import os

from kf2v_pipeline.orchestration.definitions import open_project
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.outcome import Silence, Verdict

with open_project(Settings.from_mapping(os.environ)) as project:
    take_in_manifest(project)
    clips = list(project.wanted())
    report = asyncio.run(project.engine(clips, Silence()).drive(clips))
assert len(report.of(Verdict.STORED)) == len(clips)
