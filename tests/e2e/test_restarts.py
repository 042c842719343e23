"""A batch that the sensors drive and of which four clips fail, through the death of whatever drives it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from e2e.browser import Browser
from e2e.deployment import Deployment
from e2e.failing import FAILING, created_tasks, faults
from playwright.sync_api import expect

from kf2v_pipeline.localserver.scenario import Duration

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]  # some minutes of waiting for sensors


def test_the_sensors_finish_a_batch_whose_worker_and_daemon_were_killed_with_one_task_a_clip(
    deploy: Callable[..., Deployment], browse: Callable[[Deployment], Browser]
) -> None:
    deployment = deploy()
    prompts, slowly = deployment.prompts(), (Duration(median_s=3),)
    deployment.serve(durations=slowly, faults=faults(prompts))
    deployment.open_ui()  # the sensors are on, since nothing can be spent
    browser = browse(deployment)

    browser.open_asset("video", "Partitions")
    browser.wait_for_materialized(3)
    deployment.kill_run_worker()
    browser.wait_for_materialized(10)
    deployment.kill_daemon()
    deployment.open_ui()
    browser.open()
    browser.open_asset("video", "Partitions")
    browser.wait_for_partitions(materialized=26, failed=4, missing=0)
    first = deployment.created_tasks()
    assert first == created_tasks(prompts)

    deployment.serve(durations=slowly)  # the service has healed
    browser.materialize_partitions("Failed")
    browser.wait_for_partitions(materialized=30, failed=0)
    assert deployment.created_tasks() - first == Counter({prompts[clip_id]: 1 for clip_id in FAILING})
    assert deployment.billed_tasks() == Counter(prompts.values())
    browser.go("Runs")
    expect(browser.page.get_by_text("refresh_manifest").first).to_be_visible()
    browser.photograph("runs")
