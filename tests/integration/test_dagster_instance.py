"""Dagster's instance: what we write is what the documents show, and both it and its PostgreSQL twin load."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

import kf2v_pipeline
from kf2v_pipeline.orchestration.instance import DAGSTER_YAML, open_instance
from kf2v_pipeline.orchestration.names import DRIVE_TAG, MAX_RUNTIME_SECONDS

DOCS = Path(__file__).parents[2] / "docs"
DEPLOY = (DOCS / "deploy.md").read_text("utf-8")


def shown(title: str) -> str:
    """The YAML below a comment of the page."""
    found = re.search(rf"<!-- {re.escape(title)} -->\n```yaml\n(.*?)```", DEPLOY, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_page_shows_the_settings_that_are_written() -> None:
    assert shown("the instance of kf2v") == DAGSTER_YAML


def test_render_runs_are_held_back_by_their_tag_and_dead_workers_alone_are_started_again(blank_instance: Path) -> None:
    with open_instance(blank_instance) as instance:
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        assert (queue.max_concurrent_runs, queue.tag_concurrency_limits) == (4, [{"key": DRIVE_TAG, "limit": 2}])
        assert instance.run_retries_enabled
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_max_runtime_seconds == MAX_RUNTIME_SECONDS


def test_an_instance_on_postgresql_keeps_runs_there(
    new_postgresql_url: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = shown("an instance on PostgreSQL") + DAGSTER_YAML
    (tmp_path / "dagster.yaml").write_text(settings)
    address = sa.make_url(new_postgresql_url()).set(drivername="postgresql+psycopg2")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", address.render_as_string(hide_password=False))

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("clips", ["a"])
        assert instance.get_dynamic_partitions("clips") == ["a"]
        assert yaml.safe_load(settings)["storage"]["postgres"]["postgres_url"] == {"env": "DAGSTER_POSTGRES_URL"}
        assert type(instance.event_log_storage).__name__ == "PostgresEventLogStorage"


def test_the_python_on_the_pages_is_python_and_asks_for_public_names_alone() -> None:
    text = (DOCS / "dagster.md").read_text("utf-8") + DEPLOY
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    imported = {
        alias.name
        for block in blocks
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.ImportFrom) and node.module == "kf2v_pipeline"
        for alias in node.names
    }
    assert imported
    assert imported <= set(kf2v_pipeline.__all__)
