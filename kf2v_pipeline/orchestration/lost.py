"""Runs that lost their process or machine: Dagster may show them as started for ever, and keeps their places taken."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

import dagster as dg

from kf2v_pipeline.storage.ledger import Driver
from kf2v_pipeline.workflow.driver import all_drivers, is_gone
from kf2v_pipeline.workflow.project import Project

LOST_AFTER = timedelta(minutes=2)
"""How long a driver may be silent before its run counts as lost, wherever it was: well beyond the time after which its
clips may be taken over. A run that lives on after all does no harm: it sends nothing that another one took over."""

FORGOTTEN_AFTER = timedelta(days=1)
"""How long the silent driver of another machine stays known: each container that is replaced leaves one."""


def end_lost_runs(instance: dg.DagsterInstance, project: Project) -> None:
    """Tells Dagster of runs whose driver was lost that they failed."""
    now = project.clock()
    drivers = all_drivers(project.ledger, at=now)
    lost = dict(_lost_runs(project, drivers, now))
    if not lost:
        return
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        if run.run_id in lost:
            instance.report_run_failed(run, lost[run.run_id])
    remembered = project.ledger.drivers(at=now, stale_after=FORGOTTEN_AFTER)
    for driver in drivers:
        if driver.run_id in lost and (is_gone(driver) or driver not in remembered):  # one of elsewhere might wake up
            project.ledger.dismiss(driver.owner, at=now)


def _lost_runs(project: Project, drivers: Collection[Driver], now: datetime) -> Iterator[tuple[str, str]]:
    """The runs of drivers that are lost, with a sentence each; not those that another driver carries on."""
    heard = {driver.owner for driver in project.ledger.drivers(at=now, stale_after=LOST_AFTER)}
    living = {driver.run_id for driver in drivers if driver.owner in heard and not is_gone(driver)}
    for driver in drivers:
        if driver.run_id and driver.run_id not in living:
            how = "is gone" if is_gone(driver) else f"has been silent for {LOST_AFTER.seconds // 60} minutes"
            yield (
                driver.run_id,
                f"Its process {driver.pid} on {driver.host} {how}; what it had in flight goes on in another run.",
            )
