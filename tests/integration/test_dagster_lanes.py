"""One bad lane: its clips stay planned and wait, and the clip sensor goes on with those of the others at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from integration.commands.office import Office
from integration.deployment import Deployment
from integration.service import Service
from integration.test_dagster_sensors import said

from kf2v_pipeline.domain.attempt import Fact, FactKind, State
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.orchestration.names import DRIVE_TAG
from kf2v_pipeline.orchestration.stop import STOPPED_LANES_TAG, STOPPED_TAG, Stop, as_batch_tag, as_tag
from kf2v_pipeline.storage.ledger import Driver, Ledger
from kf2v_pipeline.workflow.project import utc_now

FLASH, PLUS = "wan2.2-kf2v-flash", "wanx2.1-kf2v-plus"
ARREARS = Fault(on="create", kind="error", model=FLASH, status=400, code="Arrearage", message="Access denied.")
OF_PLUS = {"model": PLUS, "resolution": "720P"}
OF_ANY = {"service": "auto", "resolution": "720P"}

Deploy = Callable[..., Deployment]
StartServer = Callable[..., LocalServer]
WriteManifest = Callable[..., Path]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """The same home and storage as the deployment's."""
    with ExitStack() as opened:
        yield Office(tmp_path, opened)


def only(*clip_ids: str) -> Mapping[str, Any]:
    """A run that ends before it comes to the others, as at the end of a slice."""
    return {"ops": {"claim": {"config": {"clip_ids": list(clip_ids)}}}}


def begin(
    deployment: Deployment, status: dg.DagsterRunStatus, *, job: str = "render_clips", **tags: str
) -> dg.DagsterRun:
    """A run that is not carried out: Dagster alone knows of it."""
    made_of = deployment.definitions.resolve_job_def(job)
    tags = {DRIVE_TAG: made_of.tags[DRIVE_TAG], **tags}
    return deployment.instance.create_run_for_job(made_of, status=status, tags=tags)


def stop_in_a_run(
    deployment: Deployment,
    lane: str,
    at: datetime,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.CANCELED,
    *,
    is_left: bool = False,
) -> dg.DagsterRun:
    """A run in which the lane stopped; it is not carried out."""
    run = begin(deployment, status)
    deployment.instance.add_run_tags(run.run_id, as_tag({lane: Stop("Arrearage", at, is_left)}, run.run_id))
    return run


def make_a_task(ledger: Ledger, clip_id: str) -> None:
    """Leaves a clip's task in flight, which the service knows nothing of, as a run that was stopped does."""
    now, [clip] = utc_now(), ledger.wanted([clip_id])
    gone = Driver(owner="gone", host="another-machine", pid=1)
    ledger.enlist(gone, at=now)
    ledger.claim(gone.owner, [clip_id], at=now, stale_after=timedelta(seconds=60))
    attempt = ledger.prepare(clip, owner=gone.owner, at=now - timedelta(minutes=1))
    detail = {"task_id": "task-1", "request_id": "request-1", "submitted_at": now}
    ledger.record(Fact(attempt_id=attempt.attempt_id, kind=FactKind.ACCEPTED, at=now, detail=detail))
    ledger.dismiss(gone.owner, at=now)


def left_out(deployment: Deployment) -> list[str]:
    """The lanes that take no clips in the run that the clip sensor asks for."""
    lanes: list[str] = deployment.tick("clip_sensor").run_config["ops"]["claim"]["config"]["without_lanes"]
    return lanes


def end(deployment: Deployment, run: dg.DagsterRun) -> None:
    """Ends a run now."""
    deployment.instance.report_run_failed(run)


def test_clips_of_another_lane_are_driven_at_once_and_those_of_the_stopped_one_wait(
    deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest, office: Office
) -> None:
    server, manifest = start_server(faults=(ARREARS,)), write_manifest(*"abcd", rows={"c": OF_PLUS, "d": OF_PLUS})
    deployment = deploy(server, manifest)
    deployment.materialize("manifest")
    first = deployment.run_job("render_clips", config=only("a"))
    lane = f"{server.base_url}/{FLASH}"
    tags = deployment.instance.get_run_by_id(first.run_id).tags  # type: ignore[union-attr]  # it was just made
    assert json.loads(tags[STOPPED_LANES_TAG])[lane]["code"] == "Arrearage"

    request = deployment.tick("clip_sensor")

    assert isinstance(request, dg.RunRequest)
    assert deployment.run_job("render_clips", config=request.run_config).success
    assert deployment.partitions() == ({"c", "d"}, set())
    ledger = office.open(server.base_url, manifest).ledger
    assert [attempt.clip_id for attempt in ledger.attempts(["a", "b"])] == ["a"]
    assert f"Wanted: 2 clips. Lane {lane} stopped (Arrearage)" in said(deployment.tick("clip_sensor"))


def test_a_clip_that_several_lanes_may_make_is_not_tried_in_the_stopped_one(
    deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest, office: Office
) -> None:
    server = start_server(faults=(ARREARS,))
    manifest = write_manifest("a", "b", "c", rows={"b": OF_ANY, "c": OF_ANY})
    lanes = ",".join(f"{server.base_url}/{model}" for model in (FLASH, PLUS))
    deployment = deploy(server, manifest, lanes=lanes)
    deployment.materialize("manifest")
    deployment.run_job("render_clips", config=only("a"))
    request = deployment.tick("clip_sensor")

    deployment.run_job("render_clips", config=request.run_config)

    ledger = office.open(server.base_url, manifest).ledger
    assert {attempt.model for attempt in ledger.attempts(["b", "c"])} == {PLUS}
    assert deployment.partitions() == ({"b", "c"}, set())


def test_a_clip_that_several_lanes_may_make_waits_only_where_all_of_them_stopped(
    deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest, office: Office
) -> None:
    refused_everywhere = Fault(on="create", kind="error", status=400, code="Arrearage", message="Access denied.")
    server = start_server(faults=(refused_everywhere,))
    manifest = write_manifest("a", "b", **OF_ANY)
    flash, plus = (f"{server.base_url}/{model}" for model in (FLASH, PLUS))
    deployment = deploy(server, manifest, lanes=f"{flash},{plus}")
    deployment.materialize("manifest")
    project = office.open(server.base_url, manifest)
    assert [project.waiting().without([lane]).count for lane in (flash, plus)] == [2, 2]

    deployment.run_job("render_clips", config=only("a"))

    assert [project.waiting().without([lane]).count for lane in (flash, plus)] == [2, 2]
    assert project.waiting().without([flash, plus]).count == 0
    assert "Wanted: 2 clips. " in said(deployment.tick("clip_sensor"))


def test_a_lane_that_stopped_in_a_run_that_goes_on_gets_no_other_run(
    deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest, office: Office
) -> None:
    """Its clips are nobody's by then, and no attempt tells of the stop."""
    server = start_server()
    manifest = write_manifest("a", "c", rows={"c": OF_PLUS})
    deployment = deploy(server, manifest)
    deployment.materialize("manifest")
    ledger = office.open(server.base_url, manifest).ledger
    ledger.enlist(Driver(owner="other", host="another-machine", pid=1, run_id=None), at=utc_now())
    ledger.claim("other", ["c"], at=utc_now(), stale_after=timedelta(seconds=60))
    lane = f"{server.base_url}/{FLASH}"

    stop_in_a_run(deployment, lane, utc_now(), dg.DagsterRunStatus.STARTED)

    assert "another-machine" in said(deployment.tick("clip_sensor"))


@pytest.mark.parametrize(("minutes", "is_left_out"), [(14, True), (16, False)])
def test_a_stopped_lane_is_left_out_for_a_quarter_of_an_hour(
    minutes: int, is_left_out: bool, deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    deployment = deploy(server, write_manifest("a", "c", rows={"c": OF_PLUS}))
    deployment.materialize("manifest")
    lane, at = f"{server.base_url}/{FLASH}", utc_now() - timedelta(minutes=minutes)

    stop_in_a_run(deployment, lane, at)

    assert left_out(deployment) == ([lane] if is_left_out else [])


def test_a_task_waits_as_long_as_its_lane_where_the_service_tells_nothing_of_it(
    deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    deployment = deploy(server, write_manifest("a"))
    deployment.materialize("manifest")
    with Ledger.open(deployment.settings.ledger_url) as ledger:
        make_a_task(ledger, "a")
    lane = f"{server.base_url}/{FLASH}"

    stop_in_a_run(deployment, lane, utc_now(), is_left=True)

    assert f"Lane {lane} stopped" in said(deployment.tick("clip_sensor"))


def test_a_run_that_may_not_look_at_its_tasks_says_so_and_they_wait(
    deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    refused = {"kind": "error", "status": 401, "code": "InvalidApiKey", "message": "No such key."}
    server = start_server(faults=(Fault(on="list", **refused), Fault(on="get", **refused)), pending_s=60)
    deployment = deploy(server, write_manifest("a"))
    deployment.materialize("manifest")

    deployment.run_job("render_clips")

    with Ledger.open(deployment.settings.ledger_url) as ledger:
        assert [attempt.state for attempt in ledger.attempts(["a"])] == [State.SUBMITTED]
    assert f"Lane {server.base_url}/{FLASH} stopped (InvalidApiKey)" in said(deployment.tick("clip_sensor"))


def test_what_a_stopped_lane_has_in_flight_is_collected_at_once_and_nothing_is_begun_there(
    deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest, office: Office
) -> None:
    refused = Fault(on="create", kind="error", skip=1, status=400, code="Arrearage", message="Access denied.")
    server, manifest = start_server(faults=(refused,), pending_s=3), write_manifest("a", "b")
    deployment = deploy(server, manifest)
    deployment.materialize("manifest")
    office.drive_until(office.open(server.base_url, manifest), State.SUBMITTED)
    stop_in_a_run(deployment, f"{server.base_url}/{FLASH}", utc_now())

    request = deployment.tick("clip_sensor")
    assert deployment.run_job("render_clips", config=request.run_config).success

    assert deployment.partitions() == ({"a"}, set())
    assert "Wanted: 1 clip." in said(deployment.tick("clip_sensor"))


def test_a_run_of_other_lanes_leaves_a_task_alone_whose_service_tells_nothing(
    deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    deployment = deploy(server, write_manifest("a", "c", rows={"c": OF_PLUS}))
    deployment.materialize("manifest")
    with Ledger.open(deployment.settings.ledger_url) as ledger:
        make_a_task(ledger, "a")
        stop_in_a_run(deployment, f"{server.base_url}/{FLASH}", utc_now(), is_left=True)
        request = deployment.tick("clip_sensor")

        assert deployment.run_job("render_clips", config=request.run_config).success

        assert deployment.partitions() == ({"c"}, set())
        assert [attempt.state for attempt in ledger.attempts(["a"])] == [State.SUBMITTED]


def test_a_person_who_launches_a_run_that_makes_a_task_in_the_lane_has_it_tried_again(
    deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    deployment = deploy(server, write_manifest("a", "b", "c", rows={"c": OF_PLUS}))
    deployment.materialize("manifest")
    lane = f"{server.base_url}/{FLASH}"
    stop_in_a_run(deployment, lane, utc_now())
    assert left_out(deployment) == [lane]

    begin(deployment, dg.DagsterRunStatus.CANCELED)  # before it came to a clip
    assert left_out(deployment) == [lane]
    assert deployment.run_job("render_clips", config=only("c")).success
    assert f"Lane {lane} stopped" in said(deployment.tick("clip_sensor"))
    assert deployment.run_job("render_clips", config=only("a")).success
    assert left_out(deployment) == []


def test_a_refused_create_holds_up_its_lane_until_another_one_is_accepted(
    deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    refused_once = Fault(on="create", kind="error", count=1, status=400, code="Arrearage", message="Access\ndenied.")
    deployment = deploy(start_server(faults=(refused_once,)), write_manifest("a", "b", "c"))
    deployment.materialize("manifest")
    deployment.run_job("render_clips", config=only("a"))
    assert "(Arrearage)" in said(deployment.tick("clip_sensor"))

    assert deployment.run_job("render_clips", config=only("b")).success

    assert left_out(deployment) == []


def test_a_stop_counts_as_long_as_its_run_goes_on_however_many_others_begin_since(
    deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    deployment = deploy(server, write_manifest("a", "c", rows={"c": OF_PLUS}))
    deployment.materialize("manifest")
    lane = f"{server.base_url}/{FLASH}"
    run = stop_in_a_run(deployment, lane, utc_now() - timedelta(hours=3), dg.DagsterRunStatus.STARTED)
    for _ in range(31):
        begin(deployment, dg.DagsterRunStatus.CANCELED)

    with Ledger.open(deployment.settings.ledger_url) as ledger:
        ledger.enlist(Driver(owner="other", host="another-machine", pid=1, run_id=run.run_id), at=utc_now())
        ledger.claim("other", ["c"], at=utc_now(), stale_after=timedelta(seconds=60))
        assert "another-machine" in said(deployment.tick("clip_sensor"))


def test_a_budget_that_is_reached_holds_up_every_lane(
    deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    """Each run of the sensor has a budget of its own: none begins for it."""
    manifest = write_manifest("a", "c", rows={"c": OF_PLUS})
    deployment = deploy(start_server(), manifest, max_spend=Decimal("0.1"))
    deployment.materialize("manifest")

    deployment.run_job("render_clips", config=only("a"))
    assert "BudgetReached" in said(deployment.tick("clip_sensor"))
    begin(deployment, dg.DagsterRunStatus.CANCELED, job="reconcile")  # it creates nothing

    assert "left them (BudgetReached)" in said(deployment.tick("clip_sensor"))


def test_a_reason_that_is_no_lanes_is_not_hidden_by_a_run_that_went_on_beside_the_one_that_met_it(
    deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a"))
    deployment.materialize("manifest")
    refused = begin(deployment, dg.DagsterRunStatus.STARTED)
    deployment.instance.add_run_tags(refused.run_id, as_batch_tag("StorageRefused", refused.run_id))
    begin(deployment, dg.DagsterRunStatus.CANCELED)
    end(deployment, refused)
    assert "left them (StorageRefused)" in said(deployment.tick("clip_sensor"))

    begin(deployment, dg.DagsterRunStatus.CANCELED)  # a person mended it, and launched a run

    assert left_out(deployment) == []


def test_a_video_that_left_the_storage_and_cannot_be_had_at_the_moment_turns_its_run_red_and_holds_up_no_other_clip(
    deploy: Deploy, service: Service, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    manifest = write_manifest("a")
    with service.over() as server:
        deployment = deploy(server, manifest)
        assert deployment.run_job("render_batch").success
    [video] = (tmp_path / "out" / "videos" / "a").glob("*.mp4")
    video.unlink()
    with service.over(faults=(Fault(on="get", kind="throttle"),)):
        result = deployment.materialize("video", partition_key="a")

    assert not result.success
    assert deployment.partitions() == (set(), {"a"})
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert str(failure.user_failure_data.description).startswith(
        "Left: a. Its video left the storage and can't be fetched again at the moment (Throttling.RateQuota: "
    )
    assert said(deployment.tick("clip_sensor")) == "Every wanted clip is stored, or failed for good."
    write_manifest("a", "b")
    deployment.materialize("manifest")
    assert left_out(deployment) == []
    with service.over():
        assert deployment.run_job("render_batch").success
    assert deployment.partitions() == ({"a", "b"}, set())


@pytest.mark.parametrize(("minutes", "holds_up"), [(14, True), (16, False)])
def test_a_run_that_lost_its_machine_after_it_drove_holds_up_its_stopped_lane_no_longer_than_one_that_ended(
    minutes: int, holds_up: bool, deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    """Dagster calls it started until it has run for too long."""
    server = start_server()
    deployment = deploy(server, write_manifest("a"))
    deployment.materialize("manifest")
    lane, at = f"{server.base_url}/{FLASH}", utc_now() - timedelta(minutes=minutes)

    stop_in_a_run(deployment, lane, at, dg.DagsterRunStatus.STARTED)

    assert (f"Lane {lane} stopped" in said(deployment.tick("clip_sensor"))) == holds_up


@pytest.mark.parametrize(
    "entry", [{}, {"code": "Arrearage"}, {"code": "Arrearage", "at": "now"}, {"code": "Arrearage", "at": "2026-03-01"}]
)
def test_a_stop_that_another_version_tells_in_another_way_is_passed_over(
    entry: dict[str, str], deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    deployment = deploy(server, write_manifest("a"))
    deployment.materialize("manifest")
    run = begin(deployment, dg.DagsterRunStatus.CANCELED)
    told = {f"{server.base_url}/{FLASH}": {**entry, "run": run.run_id}}

    deployment.instance.add_run_tags(run.run_id, {STOPPED_LANES_TAG: json.dumps(told)})

    assert left_out(deployment) == []


@pytest.mark.parametrize("what", ["lane", "batch"])
def test_a_run_that_is_launched_again_does_not_repeat_the_stop_of_the_one_before(
    what: str, deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    """Dagster hands the tags on, and the run ends later than its parent."""
    server = start_server()
    deployment = deploy(server, write_manifest("a"))
    deployment.materialize("manifest")
    stop = Stop("ServiceUnreachable", utc_now() - timedelta(minutes=16))
    parent = begin(deployment, dg.DagsterRunStatus.CANCELED)
    of_lane = as_tag({f"{server.base_url}/{FLASH}": stop}, parent.run_id)
    tags = of_lane if what == "lane" else as_batch_tag("BudgetReached", parent.run_id)
    deployment.instance.add_run_tags(parent.run_id, tags)

    end(deployment, begin(deployment, dg.DagsterRunStatus.STARTED, **tags))

    assert left_out(deployment) == []


@pytest.mark.parametrize("value", ["BudgetReached", "[]", '{"local/kf2v": 1}'])
def test_a_tag_that_somebody_else_wrote_stops_nothing(
    value: str, deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a"))
    deployment.materialize("manifest")

    end(deployment, begin(deployment, dg.DagsterRunStatus.STARTED, **{STOPPED_TAG: value, STOPPED_LANES_TAG: value}))

    assert isinstance(deployment.tick("clip_sensor"), dg.RunRequest)
