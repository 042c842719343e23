"""A drive that is stopped: what is on its way is waited for a little and recorded, and nothing new is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from integration.commands.office import QUICK, Office, verdicts
from integration.service import Service

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.outcome import Silence
from kf2v_pipeline.workflow.project import Project

WriteManifest = Callable[..., Path]


def slow_create(delay_s: float) -> dict[str, Any]:
    return {"faults": (Fault(on="create", kind="slow", delay_s=delay_s, count=1),), "pending_s": 0.5}


async def stop_in_create(project: Project, server: LocalServer, *, times: int = 1) -> None:
    """Drives, and cancels the drive so many times as soon as its first create has reached the service."""
    clips = list(take_in_manifest(project).clips)
    driving = asyncio.ensure_future(project.engine(clips, Silence()).drive(clips))
    while not server.journal()["creates"]:  # noqa: ASYNC110  # nobody tells of it
        await asyncio.sleep(0)
    for _ in range(times):
        driving.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    with suppress(asyncio.CancelledError):
        await driving


def states(project: Project) -> list[str]:
    return [attempt.state.value for attempt in project.ledger.attempts()]


def test_a_create_that_is_on_its_way_is_waited_for_and_nothing_else_is_sent(
    office: Office, service: Service, write_manifest: WriteManifest
) -> None:
    project = office.open(service.base_url, write_manifest("a", "b", "c"))
    with service.over(**slow_create(1)) as server:
        asyncio.run(stop_in_create(project, server))
        assert states(project) == ["submitted"]
        assert len(server.journal()["creates"]) == 1
        assert verdicts(office.drive(project)) == dict.fromkeys("abc", "stored")
        assert server.journal()["billed"]["videos"] == 3


@pytest.mark.parametrize(("times", "patience"), [(1, timedelta(seconds=0.1)), (2, timedelta(seconds=60))])
def test_a_reply_that_takes_too_long_or_that_a_person_does_not_wait_for_is_looked_for_by_the_next_run(
    times: int, patience: timedelta, office: Office, service: Service, write_manifest: WriteManifest
) -> None:
    project = office.open(service.base_url, write_manifest("a"), tempo=replace(QUICK, last_reply=patience))
    with service.over(**slow_create(3)) as server:
        asyncio.run(stop_in_create(project, server, times=times))
        assert states(project) == ["unconfirmed"]
        assert verdicts(office.drive(project)) == {"a": "stored"}
        assert server.journal()["billed"]["videos"] == 1


def test_a_create_that_is_refused_just_then_is_recorded_as_refused(
    office: Office, service: Service, write_manifest: WriteManifest
) -> None:
    project = office.open(service.base_url, write_manifest("a"))
    with service.over(faults=(Fault(on="create", kind="throttle"),)) as server:
        asyncio.run(stop_in_create(project, server))
    assert states(project) == ["refused"]
    with service.over():
        assert verdicts(office.drive(project)) == {"a": "stored"}


def test_a_stopped_drive_lets_go_of_its_clips(office: Office, service: Service, write_manifest: WriteManifest) -> None:
    project = office.open(service.base_url, write_manifest("a"))
    with service.over(**slow_create(0.2)) as server:
        asyncio.run(stop_in_create(project, server))
    assert project.ledger.holders(at=project.clock(), stale_after=project.stale_after) == {}
    assert project.ledger.drivers(at=project.clock(), stale_after=project.stale_after) == ()
