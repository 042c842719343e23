"""What becomes of tasks, asked twice: by the vendor's SDK and by our client, which must see the same service.

What costs nothing anywhere is asked of the real service too (``ask_free``, with ``--live``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.asker import Asker, Made, Refusal, refused

from kf2v_pipeline.localserver.clock import ScriptedClock
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.scenario import Duration, Scenario

FLASH, PLUS = "wan2.2-kf2v-flash", "wan2.1-kf2v-plus"
FAILURES = [
    ("DataInspectionFailed", "Input data may contain inappropriate content."),
    ("DataInspectionFailed", "Output data may contain inappropriate content."),
    ("IPInfringementSuspect", "Input data is suspected of being involved in IP infringement."),
    ("InternalError.Timeout", "An internal timeout error has occured during execution."),
]
REFUSALS = [
    (400, "Arrearage"),
    (403, "AccessDenied.Unpurchased"),
    (403, "AllocationQuota.FreeTierOnly"),
    (429, "PrepaidBillOverdue"),
    (429, "Throttling.BurstRate"),
    (503, "ModelUnavailable"),
]

AskAt = Callable[[LocalServer], Asker]
Serve = Callable[..., LocalServer]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server that fails the tasks, and refuses the creates, whose prompts ask for it."""
    fails = [Fault(on="task", kind="fail", match=message, code=code, message=message) for code, message in FAILURES]
    refuses = [
        Fault(on="create", kind="error", match=code, status=status, code=code, message="its words")
        for status, code in REFUSALS
    ]
    scenario = Scenario(stand_in=True, speed=120, faults=(*fails, *refuses))
    with LocalServer(tmp_path_factory.mktemp("faulty"), scenario=scenario) as server:
        yield server


class TestTasks:
    def test_times_are_in_order_and_of_now(self, ask_at: AskAt, serve: Serve, pair: dict[str, str]) -> None:
        ask = ask_at(serve(Scenario(stand_in=True)))
        seen = ask.film(model=FLASH, **pair)
        assert len(seen.times) == 3
        assert list(seen.times) == sorted(seen.times)
        assert abs(seen.times[0] - datetime.now(timezone.utc)) < timedelta(minutes=1)

    def test_a_task_is_pending_then_running_then_succeeded(
        self, ask_at: AskAt, serve: Serve, pair: dict[str, str]
    ) -> None:
        clock = ScriptedClock()
        ask = ask_at(serve(Scenario(stand_in=True, pending_s=5, durations=(Duration(median_s=60),)), clock))
        task_id = ask.made(model=FLASH, **pair).task_id
        looks = [ask.seen(task_id)]
        for seconds in (5, 60):
            clock.advance(timedelta(seconds=seconds))
            looks.append(ask.seen(task_id))
        assert [look.status for look in looks] == ["PENDING", "RUNNING", "SUCCEEDED"]
        assert [len(look.times) for look in looks] == [1, 2, 3]
        assert [look.video_url is not None for look in looks] == [False, False, True]

    def test_two_run_and_a_third_waits(self, ask_at: AskAt, serve: Serve, pair: dict[str, str]) -> None:
        scenario = Scenario(stand_in=True, submit_rps=10, durations=(Duration(median_s=60),))
        ask = ask_at(serve(scenario, ScriptedClock()))
        made = [ask.made(model=FLASH, **pair).task_id for _ in range(3)]
        assert [ask.seen(task_id).status for task_id in made] == ["RUNNING", "RUNNING", "PENDING"]

    def test_only_a_waiting_task_can_be_canceled(self, ask_at: AskAt, serve: Serve, pair: dict[str, str]) -> None:
        scenario = Scenario(stand_in=True, in_process=1, submit_rps=10, durations=(Duration(median_s=60),))
        ask = ask_at(serve(scenario, ScriptedClock()))
        running, waiting = (ask.made(model=FLASH, **pair).task_id for _ in range(2))
        assert ask.cancel(waiting) is None
        assert (ask.seen(waiting).status, ask.seen(waiting).usage) == ("CANCELED", None)
        words = "Failed to cancel the task, please confirm if the task is in PENDING status."
        for task_id in (running, waiting):
            refusal = Refusal(http_status=400, code="UnsupportedOperation", message=words)
            assert ask.cancel(task_id) == refusal

    def test_a_task_and_its_film_are_gone_after_a_day(self, ask_at: AskAt, serve: Serve, pair: dict[str, str]) -> None:
        """Vendor's page, "Limits: data validity"."""
        clock = ScriptedClock()
        ask = ask_at(serve(Scenario(stand_in=True), clock))
        seen = ask.film(model=FLASH, resolution="480P", **pair)
        clock.advance(timedelta(hours=23, minutes=59))
        assert ask.seen(seen.task_id).status == "SUCCEEDED"
        assert httpx.get(seen.url, trust_env=False).status_code == 200
        clock.advance(timedelta(minutes=2))
        gone = ask.seen(seen.task_id)
        assert (gone.status, gone.times, gone.video_url) == ("UNKNOWN", (), None)
        assert httpx.get(seen.url, trust_env=False).status_code == 403
        assert ask.rows() == ((), 0)

    def test_a_task_that_never_was_is_unknown_and_no_error(self, ask_free: Asker) -> None:
        seen = ask_free.seen("1111")
        assert (seen.task_id, seen.status, seen.times, seen.code) == ("1111", "UNKNOWN", (), None)

    def test_a_task_that_never_was_can_not_be_canceled(self, ask: Asker) -> None:
        assert refused(ask.cancel("1111")).code == "UnsupportedOperation"


class TestList:
    def test_rows_are_newest_first_and_carry_the_creates_request_id(
        self, ask_at: AskAt, serve: Serve, pair: dict[str, str]
    ) -> None:
        ask = ask_at(serve(Scenario(stand_in=True, speed=120)))
        made = [ask.made(model=FLASH, prompt=str(number), **pair) for number in range(3)]
        first, total = ask.rows(page_size=2)
        second, _ = ask.rows(page_size=2, page_no=2)
        rows = [*first, *second]
        assert (total, len(first), len(second)) == (3, 2, 1)
        assert [(row.task_id, row.request_id) for row in rows] == [(m.task_id, m.request_id) for m in made[::-1]]
        assert {(row.model, row.status) for row in rows} == {(FLASH, "SUCCEEDED")}

    def test_rows_are_chosen_by_model_and_time(self, ask_at: AskAt, serve: Serve, pair: dict[str, str]) -> None:
        clock = ScriptedClock()
        ask = ask_at(serve(Scenario(stand_in=True), clock))
        ids = {ask.made(model=model, **pair).task_id: model for model in (FLASH, PLUS)}
        minute, now = timedelta(minutes=1), clock.now()

        def found(**query: Any) -> set[str]:
            return {ids[row.task_id] for row in ask.rows(**query)[0]}

        assert found() == {FLASH, PLUS}
        assert found(model_name=PLUS) == {PLUS}
        assert found(start_time=now - minute, end_time=now + minute) == {FLASH, PLUS}
        assert found(start_time=now - 9 * minute, end_time=now - 5 * minute) == set()
        assert {row.created_at for row in ask.rows()[0]} == {now}

    def test_a_page_of_the_account_can_be_read(self, ask_free: Asker) -> None:
        rows, total = ask_free.rows(page_size=5)
        assert len(rows) <= min(5, total)
        assert all(row.task_id and row.status and row.created_at for row in rows)


class TestRefusals:
    def test_a_bad_key_is_refused_by_every_operation(self, ask_free: Asker, pair: dict[str, str]) -> None:
        """The message is the documented one; the live service may add a link to it."""
        wrong = ask_free.with_key("sk-0000000000000000000000000000dead" if ask_free.live else "wrong")
        refusals = [wrong.create(model=FLASH, **pair), wrong.get("1111"), wrong.list(), wrong.cancel("1111")]
        for refusal in map(refused, refusals):
            assert (refusal.http_status, refusal.code) == (401, "InvalidApiKey")
            assert refusal.message.startswith("Invalid API-key provided") or ask_free.live

    def test_a_bad_key_gets_no_upload(self, ask_free: Asker, frame_files: tuple[Path, Path]) -> None:
        wrong = ask_free.with_key("sk-0000000000000000000000000000dead" if ask_free.live else "wrong")
        assert refused(wrong.upload(frame_files[0], FLASH)).code == "InvalidApiKey"

    @pytest.mark.parametrize("model", ["wan2.1-kf2v-flash", "wan9-kf2v"])
    def test_an_unknown_model_does_not_exist(self, ask_free: Asker, pair: dict[str, str], model: str) -> None:
        """The vendor's Java sample names the first; no account has it."""
        refusal = refused(ask_free.create(model=model, **pair))
        assert (refusal.http_status, refusal.code) == (400, "InvalidParameter")
        assert refusal.message.startswith("Model not exist")

    def test_a_resolution_that_does_not_exist_makes_no_video(self, ask_free: Asker, pair: dict[str, str]) -> None:
        """Live, it may be refused at once or in the task; either way nothing is billed."""
        answer = ask_free.create(model=FLASH, resolution="99P", **pair)
        failed = ask_free.end(answer.task_id) if isinstance(answer, Made) else answer
        assert failed.code == "InvalidParameter"

    def test_a_third_create_in_a_second_is_throttled(self, ask_at: AskAt, serve: Serve, pair: dict[str, str]) -> None:
        ask = ask_at(serve(Scenario(stand_in=True), ScriptedClock()))
        replies = [ask.create(model=FLASH, **pair) for _ in range(3)]
        words = "Requests rate limit exceeded, please try again later."
        assert [type(reply) for reply in replies[:2]] == [Made, Made]
        assert replies[2] == Refusal(http_status=429, code="Throttling.RateQuota", message=words)
        assert ask.made(model=PLUS, **pair), "each model has a rate of its own"

    def test_a_twenty_first_look_in_a_second_is_throttled(self, ask_at: AskAt, serve: Serve) -> None:
        ask = ask_at(serve(Scenario(stand_in=True), ScriptedClock()))
        assert {ask.seen("1111").status for _ in range(20)} == {"UNKNOWN"}
        for refusal in map(refused, (ask.get("1111"), ask.list(), ask.cancel("1111"))):
            assert (refusal.http_status, refusal.code) == (429, "Throttling.RateQuota")

    def test_by_switch_a_third_task_in_process_is_refused(
        self, ask_at: AskAt, serve: Serve, pair: dict[str, str]
    ) -> None:
        """The rate table's heading says that any value that is exceeded throttles; other pages say that it waits."""
        scenario = Scenario(stand_in=True, surplus="reject", submit_rps=10, durations=(Duration(median_s=60),))
        ask = ask_at(serve(scenario, ScriptedClock()))
        replies = [ask.create(model=FLASH, **pair) for _ in range(3)]
        assert [type(reply) for reply in replies] == [Made, Made, Refusal]
        assert refused(replies[2]).code == "Throttling.RateQuota"

    @pytest.mark.parametrize(("code", "message"), FAILURES)
    def test_a_task_that_fails_tells_why_and_costs_nothing(
        self, ask_at: AskAt, faulty: LocalServer, pair: dict[str, str], code: str, message: str
    ) -> None:
        """Vendor's page, "Content moderation" and "Billing details"."""
        ask = ask_at(faulty)
        failed, fine = (ask.film(model=FLASH, prompt=prompt, **pair) for prompt in (f"with {message}", "fine"))
        assert (failed.status, failed.code, failed.message) == ("FAILED", code, message)
        assert (failed.video_url, failed.usage) == (None, None)
        assert fine.status == "SUCCEEDED"
        billed = {create["task_id"]: create["billed"] for create in faulty.journal()["creates"]}
        assert (billed[failed.task_id], billed[fine.task_id]) == (False, True)

    @pytest.mark.parametrize(("status", "code"), REFUSALS)
    def test_an_error_at_create_comes_with_its_status_code_and_words(
        self, ask_at: AskAt, faulty: LocalServer, pair: dict[str, str], status: int, code: str
    ) -> None:
        before = len(faulty.journal()["creates"])
        answer = ask_at(faulty).create(model=FLASH, prompt=f"with {code}", **pair)
        assert answer == Refusal(http_status=status, code=code, message="its words")
        assert len(faulty.journal()["creates"]) == before + 1, "it is sent once"
