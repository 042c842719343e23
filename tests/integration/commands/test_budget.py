"""Budgets: what a run and a day may cost, counted before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from integration.commands.office import LeapingClock, Office, verdicts
from integration.service import Service

from kf2v_pipeline.domain.policy import Standing
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.workflow.forecast import forecast

WriteManifest = Callable[..., Path]

CLIP_COSTS = Decimal("0.5")  # five seconds at 480P


def test_the_budget_of_a_day_holds_over_all_its_runs_and_is_anew_on_the_next_day(
    office: Office, service: Service, write_manifest: WriteManifest
) -> None:
    manifest = write_manifest(*"abcde")
    budget = {"max_spend": CLIP_COSTS * 2, "max_spend_per_day": CLIP_COSTS * 3}
    with service.over() as server:
        for stored, left in ((2, 3), (1, 2), (0, 2)):
            report = office.drive(office.open(service.base_url, manifest, **budget))
            assert list(verdicts(report).values()).count("stored") == stored
            assert list(verdicts(report).values()).count("left") == left
        assert len(server.journal()["creates"]) == 3
        assert "The budget of 1.5 CNY a day is reached: 1.50 is spent" in report.stops[0]
        assert "it begins anew at 00:00 UTC" in report.stops[0]
        project = office.open(service.base_url, manifest, **budget)
        project.clock = LeapingClock(days=1)
        assert list(verdicts(office.drive(project)).values()).count("stored") == 2


def test_a_task_that_failed_takes_nothing_from_the_budget(
    office: Office, service: Service, write_manifest: WriteManifest
) -> None:
    fault = Fault(on="task", kind="fail", match="take 0", code="DataInspectionFailed", message="no")
    project = office.open(service.base_url, write_manifest("a", "b"), max_spend_per_day=CLIP_COSTS)
    with service.over(faults=(fault,)):
        office.drive(project)  # the second clip may not wait until the first one has failed
        office.drive(project)
    assert [attempt.state.value for attempt in project.ledger.attempts()] == ["failed", "stored"]


@pytest.fixture
def unpriced(office: Office, service: Service) -> dict[str, object]:
    """Settings of a service that has no price for its model: Singapore's, with this machine's address."""
    catalog = office.folder / "catalog.toml"
    catalog.write_text(f'[services.singapore]\nbase_url = "{service.base_url}"\n')
    return {"catalog": catalog, "api_key": "sk-key"}


@pytest.mark.parametrize("budget", ["max_spend", "max_spend_per_day"])
def test_nothing_is_bought_blindly_where_a_budget_is_to_be_kept(
    budget: str, office: Office, service: Service, write_manifest: WriteManifest, unpriced: dict[str, object]
) -> None:
    project = office.open("singapore", write_manifest("a", "b"), **{budget: Decimal(100)}, **unpriced)
    with service.over() as server:
        report = office.drive(project)
        assert server.journal()["creates"] == []
    assert verdicts(report) == {"a": "left", "b": "left"}
    assert report.stops == (
        "Lane singapore/wan2.2-kf2v-flash stopped: the price of wan2.2-kf2v-flash 480P is not known, so no budget can "
        "be kept; write it into a catalog file (KF2V_CATALOG), or run without a budget.",
    )


def test_without_a_budget_a_model_without_a_price_is_used_all_the_same(
    office: Office, service: Service, write_manifest: WriteManifest, unpriced: dict[str, object]
) -> None:
    with service.over():
        assert verdicts(office.drive(office.open("singapore", write_manifest("a"), **unpriced))) == {"a": "stored"}


def test_a_plan_tells_what_its_budgets_do_not_cover(
    office: Office, service: Service, write_manifest: WriteManifest, unpriced: dict[str, object]
) -> None:
    manifest = write_manifest(*"abc")
    budget = {"max_spend": CLIP_COSTS, "max_spend_per_day": CLIP_COSTS * 2}
    assert forecast(office.open(service.base_url, manifest, **budget)).over_budget == (
        "A run may spend 0.5 CNY: the rest stays planned.",
        "1 CNY may still be spent today (UTC): the rest stays planned.",
    )
    assert forecast(office.open("singapore", manifest, **budget, **unpriced)).over_budget == (
        "Without a known price no budget can be kept, so it stays planned: write it into a file (KF2V_CATALOG).",
    )


def test_a_plan_tells_how_long_a_run_will_take_once_a_task_of_its_lane_has_ended(
    office: Office, service: Service, write_manifest: WriteManifest
) -> None:
    project = office.open(service.base_url, write_manifest("a"))
    before = forecast(project)
    with service.over():
        office.drive(project)
    nothing_left = forecast(project)
    more = forecast(office.open(service.base_url, write_manifest(*"abcde")))

    assert (before.expected, before.unlearned) == (None, (f"{service.base_url}/wan2.2-kf2v-flash",))
    assert (nothing_left.expected, nothing_left.unlearned) == (nothing_left.expected * 0, ())
    assert more.count(Standing.PLANNED) == 4
    (length,) = project.ledger.durations(f"{service.base_url}/wan2.2-kf2v-flash")
    assert more.expected is not None
    assert more.expected.total_seconds() == pytest.approx(max(2 * length.total_seconds(), 1.5 + length.total_seconds()))
