"""Dagster's own instance in the project's home: its folder, and its ``dagster.yaml``."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from kf2v_pipeline.errors import SettingsError

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
  enabled: true # stops runs that pass their tag dagster/max_runtime, also those whose machine is gone
  max_runtime_seconds: 86400 # of runs without that tag: a day
  free_slots_after_run_end_seconds: 300
sensors:
  use_threads: true # a slow sensor of another project does not hold up ours
  num_workers: 4
concurrency:
  runs:
    max_concurrent_runs: 4
    tag_concurrency_limits:
      - key: kf2v/drive # on every run that renders: two of four, so that other jobs are not crowded out
        limit: 2
retention:
  sensor:
    purge_after_days:
      skipped: 7
      failure: 30
      success: -1
"""
"""The settings of Dagster's instance; ``docs/deploy.md`` has the same for an instance on PostgreSQL."""


def prepare_dagster_home(folder: Path) -> Path:
    """Makes the folder with its ``dagster.yaml``, if they are not there yet."""
    _write_once(folder / "dagster.yaml", DAGSTER_YAML)
    return folder


def open_instance(folder: Path) -> dg.DagsterInstance:
    """Dagster's persistent instance in that folder; whoever opens it, closes it."""
    return dg.DagsterInstance.from_config(str(prepare_dagster_home(folder)))


_LOCATION = '''\
"""What Dagster loads for this project; put it where you like and add your own definitions to it."""

import os

from kf2v_pipeline import Settings, build_definitions

defs = build_definitions(Settings.from_mapping(os.environ))
'''


def prepare_location(home: Path) -> Path:
    """The ``definitions.py`` that Dagster's UI loads: the one in the working folder, else one in the home."""
    own = Path("definitions.py")
    if own.exists():
        return own.absolute()
    path = home / "definitions.py"
    _write_once(path, _LOCATION)
    return path


def _write_once(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        what = f"{path} can't be written ({error.strerror})"
        raise SettingsError("KF2V_HOME", what, "choose a folder that can be written to, with --home") from None
