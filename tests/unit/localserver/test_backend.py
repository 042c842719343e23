"""The life of tasks, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kf2v_pipeline.localserver.backend import Backend
from kf2v_pipeline.localserver.clock import ScriptedClock
from kf2v_pipeline.localserver.fault import Fault, FaultPlan
from kf2v_pipeline.localserver.refusal import BAD_FORMAT, NOT_PENDING, NOT_RENDERED, RATE_EXCEEDED, Refused
from kf2v_pipeline.localserver.scenario import Duration, Scenario
from kf2v_pipeline.localserver.store import Store
from kf2v_pipeline.localserver.task import Status, Task

FLASH, PLUS = "wan2.2-kf2v-flash", "wan2.1-kf2v-plus"


class Bench:
    """A backend with everything in the test's hands."""

    def __init__(self, path: Path, scenario: Scenario) -> None:
        self.path, self.scenario, self.clock = path, scenario, ScriptedClock()
        self.open()

    def open(self) -> None:
        self.store = Store(self.path)
        self.started: list[str] = []
        self.backend = Backend(
            store=self.store,
            clock=self.clock,
            scenario=self.scenario,
            faults=FaultPlan(self.scenario.faults, self.scenario.seed),
            on_start=lambda task: self.started.append(task.task_id),
        )

    def restart(self) -> None:
        self.store.close()
        self.open()

    def create(self, task_id: str, **fields: object) -> Task:
        now = self.clock.now()
        values = {"model": FLASH, "prompt": task_id, "created_at": now, "checked_at": now, **fields}
        return self.backend.create(Task(task_id=task_id, request_id="r", api_key_id="1", **values))  # type: ignore[arg-type]  # fields by name

    def wait(self, **span: float) -> None:
        self.clock.advance(timedelta(**span))
        self.backend.advance()

    def status(self, task_id: str) -> str:
        task = self.backend.get(task_id)
        return task.status.value if task else "UNKNOWN"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "server.sqlite"


@pytest.fixture
def bench(path: Path) -> Iterator[Bench]:
    """Tasks run for one minute, and their films cost nothing."""
    made = Bench(path, Scenario(stand_in=True, durations=(Duration(median_s=60),)))
    yield made
    made.store.close()


def test_two_run_and_the_others_wait_in_order(bench: Bench) -> None:
    for name in "abcd":
        bench.create(name)
    assert [bench.status(name) for name in "abcd"] == ["RUNNING", "RUNNING", "PENDING", "PENDING"]
    bench.wait(seconds=60)
    assert [bench.status(name) for name in "abcd"] == ["SUCCEEDED", "SUCCEEDED", "RUNNING", "RUNNING"]


def test_a_leap_of_the_clock_plays_everything_at_its_own_instant(bench: Bench) -> None:
    begin = bench.clock.now()
    for name in "abcde":
        bench.create(name)
    bench.wait(hours=1)
    ended = [bench.backend.get(name).ended_at for name in "abcde"]  # type: ignore[union-attr]  # all are known
    minutes = [(at - begin).total_seconds() / 60 for at in ended if at]
    assert minutes == [1, 1, 2, 2, 3]
    assert bench.backend.most_in_process[FLASH] == 2


def test_each_model_has_places_of_its_own(bench: Bench) -> None:
    for name in "abc":
        bench.create(name)
    assert bench.create("x", model=PLUS).status is Status.RUNNING


def test_a_task_with_a_problem_fails_without_taking_a_place(bench: Bench) -> None:
    bench.create("a")
    bench.create("bad", problem=BAD_FORMAT)
    assert bench.status("bad") == "PENDING"
    bench.wait(seconds=1)
    bad = bench.backend.get("bad")
    assert bad is not None
    assert (bad.status, bad.reason, bad.scheduled_at) == (Status.FAILED, BAD_FORMAT, None)
    assert bench.create("b").status is Status.RUNNING


def test_a_task_whose_frames_are_on_their_way_lets_others_pass(bench: Bench) -> None:
    bench.create("remote", checked_at=None, first_url="http://host/frame.png")
    assert bench.create("b").status is Status.RUNNING
    assert bench.status("remote") == "PENDING"
    bench.backend.checked("remote", problem=None, first_frame="f", last_frame="l", first_size=(300, 300))
    assert bench.status("remote") == "RUNNING"


def test_a_rendered_task_ends_when_its_film_is_there_but_not_before_its_time(path: Path) -> None:
    bench = Bench(path, Scenario(durations=(Duration(median_s=10, match="slow"),)))
    bench.create("fast")
    bench.create("slow")
    assert bench.started == ["fast", "slow"]
    bench.wait(seconds=4)
    bench.backend.film_ready("fast", "more words")
    bench.backend.film_ready("slow", None)
    assert (bench.status("fast"), bench.status("slow")) == ("SUCCEEDED", "RUNNING")
    bench.wait(seconds=6)
    assert bench.status("slow") == "SUCCEEDED"


def test_a_film_that_could_not_be_made_fails_the_task(path: Path) -> None:
    bench = Bench(path, Scenario())
    bench.create("a")
    bench.backend.film_failed("a", NOT_RENDERED)
    task = bench.backend.get("a")
    assert task is not None
    assert (task.status, task.reason, task.billed) == (Status.FAILED, NOT_RENDERED, False)


def test_only_a_waiting_task_is_canceled(bench: Bench) -> None:
    for name in "abc":
        bench.create(name)
    bench.backend.cancel("c")
    assert bench.status("c") == "CANCELED"
    for name in ("a", "c", "never"):
        with pytest.raises(Refused) as caught:
            bench.backend.cancel(name)
        assert caught.value.refusal is NOT_PENDING


def test_a_task_is_unknown_after_a_day_and_forgotten_later(bench: Bench) -> None:
    bench.create("a")
    bench.wait(hours=23, minutes=59)
    assert bench.status("a") == "SUCCEEDED"
    assert [task.task_id for task in bench.backend.listed()] == ["a"]
    bench.wait(minutes=1)
    assert bench.status("a") == "UNKNOWN"
    assert list(bench.backend.listed()) == []
    assert bench.backend.forget(timedelta(hours=1)) == []
    bench.wait(hours=2)
    assert [task.task_id for task in bench.backend.forget(timedelta(hours=1))] == ["a"]
    assert list(bench.store.tasks()) == []


def test_everything_survives_a_restart(bench: Bench) -> None:
    for name in "abc":
        bench.create(name)
    bench.create("bad", problem=BAD_FORMAT)
    before = {task.task_id: task for task in bench.backend.all_tasks()}
    bench.restart()
    assert {task.task_id: task for task in bench.backend.all_tasks()} == before
    bench.wait(minutes=3)
    assert [bench.status(name) for name in ("a", "b", "c", "bad")] == ["SUCCEEDED"] * 3 + ["FAILED"]


def test_a_vanished_task_is_unknown_but_billed(path: Path) -> None:
    bench = Bench(path, Scenario(stand_in=True, faults=(Fault(on="task", kind="vanish", count=1),)))
    bench.create("a")
    bench.create("b")
    assert (bench.status("a"), bench.status("b")) == ("UNKNOWN", "SUCCEEDED")
    assert [task.task_id for task in bench.backend.listed()] == ["b"]
    hidden = bench.backend.find("a")
    assert hidden is not None
    assert hidden.billed


def test_a_scripted_failure_takes_its_time_and_is_not_billed(path: Path) -> None:
    fault = Fault(on="task", kind="fail", code="IPInfringementSuspect", message="why", match="logo")
    bench = Bench(path, Scenario(durations=(Duration(median_s=30),), faults=(fault,)))
    bench.create("a", prompt="a logo")
    assert bench.started == []
    bench.wait(seconds=30)
    task = bench.backend.get("a")
    assert task is not None
    assert task.reason is not None
    assert (task.status, task.reason.code, task.billed) == (Status.FAILED, "IPInfringementSuspect", False)


def test_a_new_task_may_be_missing_from_the_list(path: Path) -> None:
    bench = Bench(path, Scenario(stand_in=True, list_delay_s=5))
    bench.create("a")
    assert list(bench.backend.listed()) == []
    bench.wait(seconds=5)
    assert [task.task_id for task in bench.backend.listed()] == ["a"]


def test_the_quota_in_process_can_be_cut_to_one(path: Path) -> None:
    bench = Bench(path, Scenario(stand_in=True, cut_after=2, durations=(Duration(median_s=60),)))
    for name in "abcd":
        bench.create(name)
    bench.wait(seconds=60)
    assert [bench.status(name) for name in "abcd"] == ["SUCCEEDED", "SUCCEEDED", "RUNNING", "PENDING"]


def test_by_switch_the_surplus_is_refused(path: Path) -> None:
    bench = Bench(path, Scenario(stand_in=True, surplus="reject", submit_rps=9, durations=(Duration(median_s=60),)))
    for name in "ab":
        bench.backend.admit_create(FLASH)
        bench.create(name)
    with pytest.raises(Refused) as caught:
        bench.backend.admit_create(FLASH)
    assert caught.value.refusal is RATE_EXCEEDED


def test_creates_are_counted_by_model_and_queries_by_account(bench: Bench) -> None:
    bench.backend.admit_create(FLASH)
    bench.backend.admit_create(FLASH)
    with pytest.raises(Refused):
        bench.backend.admit_create(FLASH)
    bench.backend.admit_create(PLUS)
    for _ in range(20):
        bench.backend.admit_query()
    with pytest.raises(Refused):
        bench.backend.admit_query()
    bench.wait(seconds=1)
    bench.backend.admit_create(FLASH)
    bench.backend.admit_query()


def test_the_least_time_as_pending_is_kept(path: Path) -> None:
    bench = Bench(path, Scenario(stand_in=True, pending_s=10))
    bench.create("a")
    bench.wait(seconds=9)
    assert bench.status("a") == "PENDING"
    bench.wait(seconds=1)
    assert bench.status("a") == "SUCCEEDED"
