"""A day with a batch, in the UI alone: thirty clips of which four fail, are tried again, and are looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from e2e.browser import Browser
from e2e.deployment import Deployment
from e2e.failing import FAILING, created_tasks, faults
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e

CHANGED, UNCHANGED = "lake-nightfall-1", "lake-push-in-1"
AUTOMATIONS = ("manifest_sensor", "clip_sensor", "nightly")


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., Deployment], browse: Callable[[Deployment], Browser]) -> Deployment:
    """A web UI, and a batch that was launched in it on a service that fails four clips."""
    deployment = deploy(service="url", lag=timedelta(seconds=25))
    deployment.serve(faults=faults(deployment.prompts()))
    deployment.open_ui()
    browser = browse(deployment)
    browser.launch_job("render_batch")
    with browser.looking_away():
        deployment.wait_for_stored(26)
    browser.wait_for_run(ends="Failure")
    browser.photograph("failed-run")
    browser.page.close()
    return deployment


@pytest.fixture
def browser(deployment: Deployment, browse: Callable[[Deployment], Browser]) -> Iterator[Browser]:
    browser = browse(deployment)
    yield browser
    browser.page.close()


def test_failed_partitions_say_why_and_turn_green_by_the_dialogs_button_at_one_billed_task_a_clip(
    deployment: Deployment, browser: Browser
) -> None:
    prompts = deployment.prompts()
    browser.open_asset("video", "Partitions")
    browser.wait_for_partitions(materialized=26, failed=4, missing=0)
    first = deployment.created_tasks()
    assert first == created_tasks(prompts)

    for clip_id, fault in FAILING.items():
        browser.open_partition(clip_id)
        expect(browser.page.get_by_text("did not materialize this asset")).to_be_visible()
        browser.photograph(f"failed-{clip_id}")
        reason = browser.open_events(clip_id)
        expect(reason.get_by_text(fault["message"]).first).to_be_visible()
        browser.photograph(f"reason-{clip_id}")
        browser.close_dialog()

    deployment.serve()  # the service has healed
    browser.materialize_partitions("Failed", photograph="materialize-failed")
    with browser.looking_away():
        deployment.wait_for_stored(29)  # the last one turns green before our eyes
    browser.wait_for_partitions(materialized=30, failed=0)
    browser.photograph("all-green")
    assert deployment.created_tasks() - first == Counter({prompts[clip_id]: 1 for clip_id in FAILING})
    assert deployment.billed_tasks() == Counter(prompts.values())


def test_the_lineage_the_manifests_checks_and_a_partitions_film_are_shown(browser: Browser) -> None:
    browser.open_lineage()
    expect(browser.page.get_by_role("img", name="run_success").first).to_be_visible()
    browser.photograph("lineage")
    browser.open_asset("manifest", "Checks")
    expect(browser.page.get_by_text("cost_within_budget").first).to_be_visible()
    browser.photograph("manifest-checks")
    browser.open_asset("video", "Partitions")
    browser.open_partition(UNCHANGED)
    film = browser.metadata("film").locator("img")
    expect(film).to_be_visible()
    assert film.evaluate("image => image.complete && image.naturalWidth") > 0
    browser.photograph("partition")


def test_sensors_and_schedule_are_turned_on_and_off(browser: Browser) -> None:
    browser.go("Automation")
    for name in AUTOMATIONS:
        browser.turn(name, on=True)
    browser.page.reload()
    for name in AUTOMATIONS:
        browser.expect_turned(name, on=True)
    browser.photograph("automation")
    for name in AUTOMATIONS:
        browser.turn(name, on=False)


def test_a_changed_row_shows_its_partition_out_of_date_and_it_alone_is_paid_again(
    deployment: Deployment, browser: Browser
) -> None:
    before = deployment.created_tasks()
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
    assert deployment.created_tasks() - before == Counter({rain: 1})
    browser.open_asset("video", "Partitions")
    browser.open_partition(CHANGED)
    expect(browser.metadata("prompt")).to_contain_text("Rain begins to fall.")
    expect(unsynced).to_have_count(0)


def test_the_gallery_that_the_batch_wrote_shows_its_clips(deployment: Deployment, browser: Browser) -> None:
    browser.page.goto((deployment.folder / "output" / "gallery" / "index.html").as_uri())
    expect(browser.page.get_by_text(CHANGED).first).to_be_visible()
    browser.photograph("gallery")
