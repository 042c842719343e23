"""Dagster's own commands and its UI's questions, as a person's project has them: real processes, real GraphQL."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster_webserver.webserver import DagsterWebserver
from integration.deployment import Deployment
from starlette.testclient import TestClient

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.settings import API_KEY_NAME, PREFIX

ROOT = Path(__file__).parents[2]
StartServer = Callable[..., LocalServer]
WriteManifest = Callable[..., Path]

PROJECT = """
[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "trailers"
registry_modules = ["kf2v_pipeline"]
"""


def run(*command: str, folder: Path, **variables: str) -> str:
    """What a command of this environment prints, once it has succeeded."""
    tool = shutil.which(command[0], path=str(Path(sys.executable).parent))
    assert tool is not None
    own = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "DAGSTER_"))}
    environment = {**own, "PYTHONPATH": str(folder), "VIRTUAL_ENV": sys.prefix, "COLUMNS": "200", **variables}
    done = subprocess.run(
        [tool, *command[1:]], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_checkout_is_a_project_that_both_of_dagsters_commands_load(tmp_path: Path) -> None:
    home = {"KF2V_HOME": str(tmp_path / "home")}
    run("dagster", "definitions", "validate", "-w", "workspace.yaml", folder=ROOT, **home)
    assert "All definitions loaded successfully." in run("dg", "check", "defs", folder=ROOT, **home)
    listed = json.loads(run("dg", "list", "defs", "--json", folder=ROOT, **home))
    assert {asset["asset_key"] for asset in listed["assets"]} == {"manifest", "clip", "video", "video_table", "gallery"}


def test_a_person_scaffolds_a_batch_in_a_project_of_their_own_and_it_has_its_folders_name(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "trailers" / "defs").mkdir(parents=True)
    (tmp_path / "trailers" / "__init__.py").touch()
    (tmp_path / "trailers" / "defs" / "__init__.py").touch()
    (tmp_path / "trailers" / "definitions.py").write_text(
        "from pathlib import Path\n\nimport dagster as dg\n\n\n@dg.definitions\ndef defs():\n"
        "    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    )
    home = {"KF2V_HOME": str(tmp_path / "home")}

    run("dg", "scaffold", "defs", "kf2v_pipeline.FrameClipBatch", "summer-trailer", folder=tmp_path, **home)
    assert "kf2v_pipeline.FrameClipBatch" in run("dg", "list", "components", "--json", folder=tmp_path, **home)
    listed = json.loads(run("dg", "list", "defs", "--json", folder=tmp_path, **home))

    assert {job["name"] for job in listed["jobs"]} >= {"summer_trailer_render_clips", "summer_trailer_reconcile"}
    assert {sensor["name"] for sensor in listed["sensors"]} == {
        "summer_trailer_clip_sensor",
        "summer_trailer_manifest_sensor",
    }


def ask(client: TestClient, query: str) -> Any:
    """What the UI would be answered."""
    answer = client.post("/graphql", json={"query": query}).json()
    assert "errors" not in answer, answer
    return answer["data"]


def test_the_ui_shows_one_changed_clip_as_out_of_date_and_never_the_key(
    deploy: Callable[..., Deployment],
    start_server: StartServer,
    write_manifest: WriteManifest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = start_server()
    deployment = deploy(server, write_manifest("a", "b", "c"))
    deployment.run_job("render_batch")
    write_manifest("a", "b", "c", rows={"b": {"prompt": "A fast pan"}})
    deployment.run_job("refresh_manifest")
    for name, value in deployment.settings.to_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(API_KEY_NAME, "sk-not-for-any-eye")
    target = PythonFileTarget(
        str(ROOT / "definitions.py"), attribute=None, working_directory=str(ROOT), location_name=None
    )

    with WorkspaceProcessContext(deployment.instance, target) as workspace:
        client = TestClient(DagsterWebserver(workspace).create_asgi_app())
        node = ask(client, VIDEO_QUESTION)["assetNodeOrError"]
        tables = ask(client, "{assetNodes {assetKey {path} isPartitioned staleStatus}}")["assetNodes"]
        resources = json.dumps(ask(client, RESOURCES_QUESTION))

    assert dict(zip(node["partitionKeys"], node["staleStatusByPartition"], strict=True)) == {
        "a": "FRESH",
        "b": "STALE",
        "c": "FRESH",
    }
    assert {each["staleStatus"] for each in tables if not each["isPartitioned"]} == {"FRESH"}
    assert node["partitionStats"] == {"numMaterialized": 3, "numFailed": 0, "numPartitions": 3}
    assert API_KEY_NAME in resources
    assert not re.search("sk-not-for-any-eye", resources)


VIDEO_QUESTION = """
{assetNodeOrError(assetKey: {path: ["video"]}) {... on AssetNode {
    partitionKeys staleStatusByPartition partitionStats {numMaterialized numFailed numPartitions}
}}}
"""

RESOURCES_QUESTION = """
{repositoriesOrError {... on RepositoryConnection {nodes {allTopLevelResourceDetails {
    name configuredValues {key value type}
}}}}}
"""
