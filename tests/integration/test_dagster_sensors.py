"""The sensors and the schedule: when they start a run, and what they say where they do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType
from integration.deployment import MODERATED, Deployment

from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.orchestration.definitions import build_definitions
from kf2v_pipeline.orchestration.names import DRIVE_TAG, Names
from kf2v_pipeline.orchestration.reading import why_not_read
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.storage.ledger import Driver, Ledger
from kf2v_pipeline.workflow.project import utc_now

StartServer = Callable[..., LocalServer]
WriteManifest = Callable[..., Path]

UNCHANGED = "The manifest did not change."
NOT_THERE = "The manifest is not there, or can't be reached."
TELLS_NOTHING = "The manifest's address does not tell when it changes: launch job refresh_manifest when it did."


def said(answer: object) -> str:
    """Why a tick started nothing, in its one line."""
    assert isinstance(answer, dg.SkipReason)
    assert answer.skip_message is not None
    assert "\n" not in answer.skip_message
    return answer.skip_message


def test_the_clip_sensor_asks_for_one_run_while_clips_are_wanted_and_for_none_when_all_are_stored(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a", "b"))
    assert isinstance(deployment.tick("clip_sensor"), dg.SkipReason)
    deployment.materialize("manifest")

    request = deployment.tick("clip_sensor")

    assert isinstance(request, dg.RunRequest)
    assert deployment.run_job("render_clips", config=request.run_config).success
    assert deployment.partitions() == ({"a", "b"}, set())
    assert isinstance(deployment.tick("clip_sensor"), dg.SkipReason)


def test_the_clip_sensor_leaves_a_living_driver_alone_and_takes_over_from_a_silent_one(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    deployment = deploy(start_server(), write_manifest("a"))
    deployment.materialize("manifest")
    with Ledger.open(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}") as ledger:
        elsewhere = Driver(owner="other", host="another-machine", pid=1, run_id=None)

        ledger.enlist(elsewhere, at=utc_now())
        assert isinstance(deployment.tick("clip_sensor"), dg.SkipReason)
        ledger.claim("other", ["a"], at=utc_now(), stale_after=timedelta(seconds=60))
        assert isinstance(deployment.tick("clip_sensor"), dg.SkipReason)

        ledger.heartbeat("other", at=utc_now() - timedelta(seconds=90))
        assert isinstance(deployment.tick("clip_sensor"), dg.RunRequest)


def test_a_driver_that_only_waits_for_the_clips_of_another_keeps_no_new_clip_waiting(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    deployment = deploy(start_server(), write_manifest("a", "b"))
    deployment.materialize("manifest")
    long_ago = utc_now() - timedelta(minutes=10)
    with Ledger.open(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}") as ledger:
        for owner in ("busy", "waiting"):
            ledger.enlist(Driver(owner=owner, host="another-machine", pid=1, run_id=None), at=long_ago)
            ledger.heartbeat(owner, at=utc_now())
        ledger.claim("busy", ["a", "b"], at=utc_now(), stale_after=timedelta(seconds=60))
        assert "They are driven by process 1" in said(deployment.tick("clip_sensor"))

        ledger.release("busy", ["b"])
        assert isinstance(deployment.tick("clip_sensor"), dg.RunRequest)


def test_a_clip_that_failed_for_good_does_not_keep_the_clip_sensor_going(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(faults=(MODERATED,)), write_manifest("a", "b"))
    deployment.materialize("manifest")
    deployment.run_job("render_clips")

    assert isinstance(deployment.tick("clip_sensor"), dg.SkipReason)


def test_the_manifest_sensor_asks_for_a_run_only_when_the_file_changed(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    deployment = deploy(server, write_manifest("a"))
    first = deployment.tick("manifest_sensor")
    [request] = first.run_requests
    assert deployment.run_job("refresh_manifest", tags=request.tags).success
    assert said(deployment.tick("manifest_sensor", first.cursor)) == UNCHANGED

    write_manifest("a", "b")

    assert len(deployment.tick("manifest_sensor", first.cursor).run_requests) == 1


def test_the_manifest_is_read_again_where_other_lanes_may_make_its_clips(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server, manifest = start_server(), write_manifest("a", service="auto")
    flash, plus = (f"{server.base_url}/{model}" for model in ("wan2.2-kf2v-flash", "wanx2.1-kf2v-plus"))
    deployment = deploy(server, manifest, lanes=flash)
    read = f"{deployment.tick('manifest_sensor').cursor} read"
    assert said(deployment.tick("manifest_sensor", read)) == UNCHANGED

    answer = deploy(server, manifest, lanes=f"{flash},{plus}").tick("manifest_sensor", read)

    assert len(answer.run_requests) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"ledger": "sqlite:///other.db"},
        {"service": "local"},
        {"api_key": "sk-of-a-person"},
        {"fix_frames": True},
        {"long_prompts": "cut"},
        {"frames": "upload"},
        {"catalog": Path("catalog.toml")},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_the_manifest_is_read_again_after_a_setting_changed_by_which_its_rows_are_read(
    changed: dict[str, Any],
    deploy: Callable[..., Deployment],
    start_server: StartServer,
    write_manifest: WriteManifest,
    tmp_path: Path,
) -> None:
    (tmp_path / "catalog.toml").write_text("", encoding="utf-8")
    changed = {name: tmp_path / value if name == "catalog" else value for name, value in changed.items()}
    deployment = deploy(start_server(), write_manifest("a"))
    first = deployment.tick("manifest_sensor")

    again = Deployment(deployment.instance, replace(deployment.settings, **changed))

    read = f"{first.cursor} read"
    assert len(again.tick("manifest_sensor", read).run_requests) == 1
    other = Deployment(deployment.instance, replace(deployment.settings, quality=True, nightly_cron="0 3 * * *"))
    assert said(other.tick("manifest_sensor", read)) == UNCHANGED


def test_the_manifest_is_read_again_at_another_address(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    """The ledger keeps its rows by their manifest's address."""
    manifest = write_manifest("a")
    other = manifest.with_name("other.csv")
    other.hardlink_to(manifest)
    deployment = deploy(start_server(), manifest)
    first = deployment.tick("manifest_sensor")

    again = Deployment(deployment.instance, replace(deployment.settings, manifest=str(other)))

    assert first.cursor.split()[0] == again.tick("manifest_sensor").cursor.split()[0]
    assert len(again.tick("manifest_sensor", f"{first.cursor} read").run_requests) == 1


def test_neither_key_nor_password_is_in_a_cursor_or_has_a_part_in_it(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server, manifest = start_server(), write_manifest("a")
    secrets = [("sk-of-a-person", "s3cret"), ("sk-of-another", "0ther")]
    cursors = {
        deploy(server, manifest, api_key=key, ledger=f"postgresql://u:{password}@db/l").tick("manifest_sensor").cursor
        for key, password in secrets
    }
    assert len(cursors) == 1


def test_a_reading_that_failed_is_tried_again_after_longer_and_longer_waits(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    deployment = deploy(start_server(), write_manifest("a"))
    first = deployment.tick("manifest_sensor")
    context = dg.build_sensor_context(instance=deployment.instance, cursor=first.cursor)
    [request] = first.run_requests

    def says(minutes: float) -> str | None:
        return why_not_read(context, Names(), first.cursor, utc_now() + timedelta(minutes=minutes))

    (tmp_path / "out").write_text("a file where the storage should be", encoding="utf-8")
    assert not deployment.run_job("refresh_manifest", tags=request.tags).success
    assert "failed to read it; the next one begins at" in said(deployment.tick("manifest_sensor", first.cursor))
    assert says(4.5)
    assert says(5.5) is None

    assert not deployment.run_job("refresh_manifest", tags=request.tags).success
    assert says(9.5)
    assert says(10.5) is None

    (tmp_path / "out").unlink()
    assert deployment.run_job("refresh_manifest", tags=request.tags).success
    assert says(1000) == UNCHANGED
    assert context.cursor == f"{first.cursor} read"
    assert said(deployment.tick("manifest_sensor", context.cursor)) == UNCHANGED


def test_a_reading_that_waits_is_waited_for_and_one_that_a_person_canceled_is_left_to_them(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a"))
    first = deployment.tick("manifest_sensor")
    job = deployment.definitions.resolve_job_def("refresh_manifest")
    run = deployment.instance.create_run_for_job(job, tags=first.run_requests[0].tags)
    assert (
        said(deployment.tick("manifest_sensor", first.cursor)) == f"{UNCHANGED} Run {run.run_id} is about to read it."
    )

    deployment.instance.report_run_canceled(run)
    assert said(deployment.tick("manifest_sensor", first.cursor)).endswith("re-execute it when it is to be read.")

    deployment.instance.delete_run(run.run_id)
    assert len(deployment.tick("manifest_sensor", first.cursor).run_requests) == 1


def test_a_reading_whose_process_is_lost_is_made_up_for_although_dagster_calls_it_started(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a"))
    first = deployment.tick("manifest_sensor")
    [request] = first.run_requests
    job = deployment.definitions.resolve_job_def("refresh_manifest")
    run = deployment.instance.create_run_for_job(job, tags=request.tags)
    deployment.instance.report_dagster_event(DagsterEvent(DagsterEventType.RUN_START.value, job.name), run.run_id)
    context = dg.build_sensor_context(instance=deployment.instance, cursor=first.cursor)

    assert "is about to read it" in (why_not_read(context, Names(), first.cursor, utc_now()) or "")
    assert why_not_read(context, Names(), first.cursor, utc_now() + timedelta(hours=7)) is None
    assert int(request.tags["dagster/max_runtime"]) <= 6 * 3600


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("{folder}/none.csv", NOT_THERE),
        ("memory://none.csv", NOT_THERE),
        ("http://127.0.0.1:9/manifest.csv", TELLS_NOTHING),
    ],
)
def test_a_manifest_whose_changes_can_not_be_seen_is_told_by_what_is_the_matter(
    manifest: str, words: str, tmp_path: Path
) -> None:
    sensor = build_definitions(Settings(manifest=manifest.format(folder=tmp_path))).resolve_sensor_def(
        "manifest_sensor"
    )

    assert said(sensor(dg.build_sensor_context())) == words


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({}, "RUNNING"),
        ({"api_key": "sk-of-a-person"}, "RUNNING"),
        ({"lanes": "local/wan2.2-kf2v-flash"}, "RUNNING"),
        ({"lanes": "local/wan2.2-kf2v-flash,singapore/wan2.2-kf2v-flash"}, "STOPPED"),
        ({"service": "singapore"}, "STOPPED"),
        ({"service": "http://127.0.0.1:9/api/v1"}, "STOPPED"),
    ],
)
def test_sensors_are_on_only_where_no_lane_of_the_settings_can_spend_anything(
    settings: dict[str, str], status: str
) -> None:
    definitions = build_definitions(Settings(**settings))
    sensors = [definitions.resolve_sensor_def(name) for name in ("manifest_sensor", "clip_sensor")]
    assert {sensor.default_status.value for sensor in sensors} == {status}


def test_a_sensor_that_is_on_by_itself_buys_nothing_for_a_row_that_names_a_real_service(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    manifest = write_manifest("a", "b", rows={"b": {"service": "singapore"}})
    elsewhere = deploy(start_server(), manifest)
    settings = replace(elsewhere.settings, service="local", api_key="sk-of-a-person")
    deployment = Deployment(elsewhere.instance, settings)
    deployment.materialize("manifest")
    paid = "singapore/wan2.2-kf2v-flash"

    assert deployment.tick("clip_sensor").run_config["ops"]["claim"]["config"]["without_lanes"] == [paid]
    with Ledger.open(settings.ledger_url) as ledger:
        ledger.want(str(manifest), [clip for clip in ledger.wanted() if clip.clip_id == "b"], at=utc_now())
    assert f"Lane {paid} may spend money" in said(deployment.tick("clip_sensor"))
    chosen = Deployment(elsewhere.instance, replace(settings, lanes=paid))  # off until a person turns it on
    assert chosen.tick("clip_sensor").run_config["ops"]["claim"]["config"]["without_lanes"] == []


def test_a_run_that_was_begun_by_itself_buys_nothing_for_a_row_that_came_since(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    free, paid, catalog = start_server(), start_server(), tmp_path / "catalog.toml"
    catalog.write_text(f'[services.paid]\nbase_url = "{paid.base_url}"\n')
    of_free = {"service": free.base_url}
    elsewhere = deploy(free, write_manifest("a", rows={"a": of_free}), api_key="sk-of-a-person", catalog=catalog)
    deployment = Deployment(elsewhere.instance, replace(elsewhere.settings, service="local"))
    deployment.materialize("manifest")
    request = deployment.tick("clip_sensor")
    write_manifest("a", "b", rows={"a": of_free, "b": {"service": "paid"}})
    deployment.materialize("manifest")

    assert deployment.run_job("render_clips", config=request.run_config).success

    assert deployment.partitions() == ({"a"}, set())
    assert paid.journal()["creates"] == []


def test_the_clip_sensor_leaves_a_lane_alone_that_stopped_a_moment_ago(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(keys=("sk-right",)), write_manifest("a"))
    deployment.materialize("manifest")
    deployment.run_job("render_clips")

    answer = deployment.tick("clip_sensor")

    assert isinstance(answer, dg.SkipReason)
    assert "InvalidApiKey" in str(answer.skip_message)


def test_a_row_that_comes_while_a_run_drives_the_others_gets_a_run_of_its_own(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    deployment = deploy(start_server(), write_manifest("a"))
    deployment.materialize("manifest")
    with Ledger.open(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}") as ledger:
        ledger.enlist(Driver(owner="other", host="another-machine", pid=1, run_id=None), at=utc_now())
        ledger.claim("other", ["a"], at=utc_now(), stale_after=timedelta(seconds=60))
        assert "another-machine" in said(deployment.tick("clip_sensor"))
        write_manifest("a", "b")
        deployment.materialize("manifest")

        assert isinstance(deployment.tick("clip_sensor"), dg.RunRequest)


def test_a_run_that_is_about_to_start_is_waited_for(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a"))
    deployment.materialize("manifest")
    job = deployment.definitions.resolve_job_def("render_clips")
    tags = {DRIVE_TAG: job.tags[DRIVE_TAG]}
    run = deployment.instance.create_run_for_job(job, status=dg.DagsterRunStatus.NOT_STARTED, tags=tags)

    assert run.run_id in said(deployment.tick("clip_sensor"))


def test_clips_that_the_budget_left_are_not_asked_for_again_at_once(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a", "b"), max_spend=Decimal("0.5"))
    deployment.materialize("manifest")

    assert not deployment.run_job("render_clips").success

    assert "BudgetReached" in said(deployment.tick("clip_sensor"))
    assert deployment.partitions()[1] == set()


@pytest.mark.parametrize(
    ("settings", "name", "word"),
    [
        ({"nightly_cron": "at two"}, "KF2V_NIGHTLY_CRON", "'at two'"),
        ({"nightly_timezone": "Mars/Base"}, "KF2V_NIGHTLY_TIMEZONE", "'Mars/Base'"),
    ],
)
def test_a_bad_cron_or_timezone_is_one_sentence(settings: dict[str, str], name: str, word: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build_definitions(Settings(**settings))
    assert str(caught.value).startswith(f"{name}: {word} is no ")
    assert str(caught.value).count(". ") == 0


def test_the_schedule_is_at_the_hour_and_in_the_timezone_that_a_person_chose_and_off() -> None:
    settings = Settings.from_mapping({"KF2V_NIGHTLY_CRON": "30 1 * * 1-5", "KF2V_NIGHTLY_TIMEZONE": "Europe/Berlin"})
    schedule = build_definitions(settings).resolve_schedule_def("nightly")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 1 * * 1-5", "Europe/Berlin")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
