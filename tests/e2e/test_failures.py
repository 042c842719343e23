"""A batch in which clips fail: which partitions turn red, what they say, and what trying them again costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from e2e.browser import Browser
from e2e.deployment import Deployment
from playwright.sync_api import expect

from kf2v_pipeline.domain.policy import MAX_FAILED_TRIES
from kf2v_pipeline.localserver.fault import Fault

pytestmark = pytest.mark.e2e

MODERATED = {"on": "task", "kind": "fail", "code": "DataInspectionFailed", "message": "Output data may be unsuitable."}
BROKEN = {"on": "task", "kind": "fail", "code": "InternalError", "message": "An internal error has occurred."}
FAILING = {
    "skyline-pan-1": MODERATED,
    "dune-pull-back-1": BROKEN,
    "otter-close-up-2": MODERATED,
    "heron-portrait-3": BROKEN,
}


def test_failed_partitions_say_why_and_turn_green_by_the_dialogs_button_at_one_billed_task_a_clip(
    deploy: Callable[..., Deployment], browse: Callable[[Deployment], Browser]
) -> None:
    deployment = deploy(service="url", lag=timedelta(seconds=25))
    prompts = deployment.prompts()
    deployment.serve(faults=tuple(Fault(match=prompts[clip_id], **fault) for clip_id, fault in FAILING.items()))
    deployment.open_ui()
    browser = browse(deployment)

    browser.launch_job("render_batch")
    browser.wait_for_run(ends="Failure")
    browser.photograph("failed-run")
    browser.open_asset("video", "Partitions")
    browser.wait_for_partitions(materialized=26, failed=4, missing=0)
    first = deployment.created_tasks()
    tries = {prompts[clip_id]: MAX_FAILED_TRIES for clip_id, fault in FAILING.items() if fault is BROKEN}
    assert first == Counter(dict.fromkeys(prompts.values(), 1) | tries)

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
    browser.wait_for_partitions(materialized=30, failed=0)
    browser.photograph("all-green")
    assert deployment.created_tasks() - first == Counter({prompts[clip_id]: 1 for clip_id in FAILING})
    assert deployment.billed_tasks() == Counter(prompts.values())
