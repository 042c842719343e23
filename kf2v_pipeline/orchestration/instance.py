"""Dagster's own instance in the project's home: its folder, and its ``dagster.yaml``."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

DAGSTER_YAML = """\
# Written once; change it as you like.
telemetry:
  enabled: false
nux:
  enabled: false
run_retries:
  enabled: true
  max_retries: 3
  retry_on_asset_or_op_failure: false # a worker that died is started again; a clip that failed is not paid again
run_monitoring:
  enabled: true
sensors:
  use_threads: true
  num_workers: 4
concurrency:
  runs:
    max_concurrent_runs: 4
"""


def prepare_dagster_home(folder: Path) -> Path:
    """Makes the folder with its ``dagster.yaml``, if they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dagster.yaml"
    if not path.exists():
        path.write_text(DAGSTER_YAML, encoding="utf-8")
    return folder


def open_instance(folder: Path) -> dg.DagsterInstance:
    """Dagster's persistent instance in that folder; whoever opens it, closes it."""
    return dg.DagsterInstance.from_config(str(prepare_dagster_home(folder)))


_LOCATION = '''\
"""What Dagster loads for this project; put it where you like and add your own definitions to it."""

import os

from kf2v_pipeline.orchestration.definitions import build_definitions
from kf2v_pipeline.settings import Settings

defs = build_definitions(Settings.from_mapping(os.environ))
'''


def prepare_location(home: Path) -> Path:
    """The ``definitions.py`` that Dagster's UI loads: the one in the working folder, else one in the home."""
    own = Path("definitions.py")
    if own.exists():
        return own.absolute()
    home.mkdir(parents=True, exist_ok=True)
    path = home / "definitions.py"
    if not path.exists():
        path.write_text(_LOCATION, encoding="utf-8")
    return path
