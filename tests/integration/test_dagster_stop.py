"""A run that is stopped in the UI, or that loses its process: every task goes on, and nothing is paid twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from integration.deployment import Deployment, run_elsewhere
from integration.service import Service
from life import Life
from waiting import wait_for

WriteManifest = Callable[..., Path]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["stopped", "killed"])
def test_the_next_run_goes_on_with_the_tasks_of_a_run_that_ended_in_the_middle(
    number: signal.Signals,
    deploy: Callable[..., Deployment],
    service: Service,
    write_manifest: WriteManifest,
) -> None:
    with service.over(pending_s=6) as server:
        deployment = deploy(server, write_manifest("a", "b"))
        run = Life(run_elsewhere, deployment.settings, "render_batch")
        try:
            wait_for("the run has made its tasks", lambda: run.ends_within(0) or len(server.journal()["creates"]) == 2)
            assert not run.ends_within(0), "it ended before"
            [record] = deployment.instance.get_run_records()
            if number is signal.SIGINT:  # so does the UI: it says what it wants, and interrupts the process
                deployment.instance.report_run_canceling(record.dagster_run)
            os.kill(run.pid, number)
            assert run.ends_within(60)
        finally:
            run.kill()
        if number is signal.SIGINT:
            [record] = deployment.instance.get_run_records()
            assert record.dagster_run.status is dg.DagsterRunStatus.CANCELED
            log = " ".join(entry.user_message for entry in deployment.instance.all_logs(record.dagster_run.run_id))
            assert "The run was stopped with 2 tasks in flight" in log

        assert isinstance(deployment.tick("clip_sensor"), dg.RunRequest)
        assert deployment.run_job("render_clips").success

        assert deployment.partitions() == ({"a", "b"}, set())
        assert server.journal()["billed"]["videos"] == 2
