"""A day without trouble: a first batch, what the UI shows of it, sensors and schedule, and a row that changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from e2e.browser import Browser
from e2e.deployment import Deployment
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e

CHANGED, UNCHANGED = "lake-nightfall-1", "lake-push-in-1"


def test_lineage_partitions_automation_gallery_and_a_changed_row_are_in_the_ui_and_only_the_changed_row_is_paid_again(
    deploy: Callable[..., Deployment], browse: Callable[[Deployment], Browser]
) -> None:
    deployment = deploy(clips=10, service="url")
    deployment.serve()
    deployment.open_ui()
    browser = browse(deployment)

    browser.launch_job("render_batch")
    browser.wait_for_run(ends="Success")
    browser.photograph("run")
    browser.open_lineage()
    expect(browser.page.get_by_role("img", name="run_success").first).to_be_visible()
    browser.photograph("lineage")
    browser.open_asset("manifest", "Checks")
    expect(browser.page.get_by_text("cost_within_budget").first).to_be_visible()
    browser.photograph("manifest-checks")

    browser.open_asset("video", "Partitions")
    browser.wait_for_partitions(materialized=10)
    browser.open_partition(UNCHANGED)
    film = browser.metadata("film").locator("img")
    expect(film).to_be_visible()
    assert film.evaluate("image => image.complete && image.naturalWidth") > 0
    browser.photograph("partition")

    browser.go("Automation")
    for name in ("manifest_sensor", "clip_sensor", "nightly"):
        browser.turn(name, on=True)
    browser.page.reload()
    for name in ("manifest_sensor", "clip_sensor", "nightly"):
        browser.expect_turned(name, on=True)
    browser.photograph("automation")
    for name in ("manifest_sensor", "clip_sensor", "nightly"):
        browser.turn(name, on=False)

    first = deployment.created_tasks()
    assert first == Counter(deployment.prompts().values())
    rain = f"{deployment.prompts()[CHANGED]} Rain begins to fall."
    deployment.change_prompt(CHANGED, rain)
    browser.open_asset("manifest", "Overview")
    browser.materialize()
    browser.open_asset("video", "Partitions")
    unsynced = browser.page.get_by_text("Unsynced (1)")
    browser.open_partition(UNCHANGED)
    expect(browser.metadata("film")).to_be_visible()
    expect(unsynced).to_have_count(0)
    browser.open_partition(CHANGED)
    expect(unsynced).to_be_visible()
    unsynced.hover()
    browser.photograph("out-of-date")

    for clip_id in (CHANGED, UNCHANGED):
        browser.open_asset("video", "Partitions")
        browser.open_partition(clip_id)
        browser.materialize_partitions()
        browser.follow_run()
    assert deployment.created_tasks() - first == Counter({rain: 1})
    browser.open_asset("video", "Partitions")
    browser.open_partition(CHANGED)
    expect(browser.metadata("prompt")).to_contain_text("Rain begins to fall.")
    expect(unsynced).to_have_count(0)

    browser.page.goto((deployment.folder / "output" / "gallery" / "index.html").as_uri())
    expect(browser.page.get_by_text(CHANGED).first).to_be_visible()
    browser.photograph("gallery")
