"""What becomes of a run while the process that launched it, Dagster's code server, is reloaded or dies."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster_webserver.webserver import DagsterWebserver
from integration.deployment import VIDEO, Deployment
from starlette.testclient import TestClient
from waiting import wait_for

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Duration

pytestmark = pytest.mark.chaos
"""They take two minutes; whose worker dies in mid-batch is tried in each run of the tests (``test_dagster_retry``)."""

PROJECT = Path(__file__).parents[2] / "definitions.py"

LAUNCH = """
mutation {launchPipelineExecution(executionParams: {runConfigData: {}, selector: {
    repositoryLocationName: "definitions.py", repositoryName: "__repository__", pipelineName: "render_batch"
}}) {__typename ... on LaunchRunSuccess {run {runId}}}}
"""
RELOAD = """
mutation {reloadRepositoryLocation(repositoryLocationName: "definitions.py") {
    __typename ... on WorkspaceLocationEntry {loadStatus locationOrLoadError {__typename}}
}}
"""


class Station:
    """A web UI and its code server on one deployment, and a batch of theirs that is in the middle of its tasks."""

    def __init__(self, deployment: Deployment, server: LocalServer, workspace: Any) -> None:
        self.deployment = deployment
        self._server = server
        self._workspace = workspace
        self._client = TestClient(DagsterWebserver(workspace).create_asgi_app())
        launched = self.ask(LAUNCH)["launchPipelineExecution"]
        self.run_id: str = launched["run"]["runId"]
        deployment.instance.launch_run(self.run_id, workspace.create_request_context())  # the daemon's work
        wait_for("the run has made its tasks", lambda: len(server.journal()["creates"]) == 2)

    def ask(self, query: str) -> Any:
        """What the UI would be answered."""
        answer = self._client.post("/graphql", json={"query": query}).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def code_servers(self) -> list[int]:
        """The processes that hold the project's definitions."""
        below = Path(f"/proc/{os.getpid()}/task").glob("*/children")
        children = [int(pid) for path in below for pid in path.read_text(encoding="ascii").split()]
        return [pid for pid in children if b"dagster\0api\0grpc" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    @property
    def status(self) -> dg.DagsterRunStatus:
        """How the batch's run stands."""
        run = self.deployment.instance.get_run_by_id(self.run_id)
        assert run is not None
        return run.status

    def is_stored(self) -> bool:
        """Whether every clip is; the clip sensor has its tick before, and the run that it asks for."""
        if isinstance(self.deployment.tick("clip_sensor"), dg.RunRequest):
            self.deployment.run_job("render_clips")
        return self.deployment.instance.get_materialized_partitions(VIDEO) == {"a", "b"}

    def tasks(self) -> Counter[str]:
        """Tasks that the service made, by prompt."""
        return Counter(create["prompt"] for create in self._server.journal()["creates"] if create["task_id"])


@pytest.fixture
def station(
    deploy: Callable[..., Deployment],
    start_server: Callable[..., LocalServer],
    write_manifest: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Station]:
    server = start_server(durations=(Duration(median_s=6),))
    deployment = deploy(server, write_manifest("a", "b"))
    for name, value in deployment.settings.to_environment().items():
        monkeypatch.setenv(name, value)
    target = PythonFileTarget(str(PROJECT), attribute=None, working_directory=str(PROJECT.parent), location_name=None)
    with WorkspaceProcessContext(deployment.instance, target) as workspace:
        yield Station(deployment, server, workspace)


def test_a_run_goes_on_to_its_end_while_the_code_location_is_reloaded(station: Station) -> None:
    before = station.code_servers()
    assert station.ask(RELOAD)["reloadRepositoryLocation"]["loadStatus"] == "LOADED"

    assert station.code_servers() != before
    wait_for("the run has ended", lambda: station.status.value in ("SUCCESS", "FAILURE", "CANCELED"))
    assert station.status is dg.DagsterRunStatus.SUCCESS
    assert station.is_stored()
    assert set(station.tasks().values()) == {1}
    assert len(station.tasks()) == 2


def test_a_batch_is_finished_with_one_task_a_clip_though_the_code_server_was_killed_in_its_middle(
    station: Station,
) -> None:
    (code_server,) = station.code_servers()
    os.kill(code_server, signal.SIGKILL)

    wait_for("all is stored", station.is_stored)
    assert set(station.tasks().values()) == {1}
    assert len(station.tasks()) == 2
    wait_for("the run is not under way for ever", lambda: station.status is not dg.DagsterRunStatus.STARTED)
