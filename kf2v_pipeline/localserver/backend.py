"""The life of tasks: created, queued, run, ended, forgotten. No HTTP, no pictures, no waiting.

Time comes from the clock alone. ``advance`` plays everything that has become due, in the order in which it became
due, each at its own instant; so a clock may run or leap and the outcome is the same.

Sources: vendor page "Task status transition" and "Limits", the rate table, and the page of asynchronous tasks.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from .clock import Clock
from .fault import FaultPlan
from .model import MODELS
from .quota import RateWindow
from .refusal import NOT_PENDING, RATE_EXCEEDED, Refusal, Refused
from .scenario import Scenario
from .store import Store
from .task import Status, Task

POLICIES_PER_SECOND = 100
"""Upload policies that an account may ask for, for each model (page of temporary uploads)."""

Move = tuple[datetime, datetime, str, Callable[[datetime], None]]
"""When, then what came first, then which task; and what happens."""


class Backend:
    """All tasks of one directory.

    Args:
        on_start: Called when a task begins to run and its film must be made.
        faults: The scenario's faults; it draws what becomes of each new task.
    """

    def __init__(
        self, *, store: Store, clock: Clock, scenario: Scenario, faults: FaultPlan, on_start: Callable[[Task], None]
    ) -> None:
        self._store, self._clock, self._scenario, self._faults = store, clock, scenario, faults
        self._on_start = on_start
        self._rng = random.Random(scenario.seed)  # noqa: S311  a script, no secret
        self._tasks: dict[str, Task] = {}
        self._waiting: dict[str, deque[str]] = {name: deque() for name in MODELS}
        self._doomed: set[str] = set()
        self._running: dict[str, set[str]] = {name: set() for name in MODELS}
        self._freed_at: dict[str, datetime] = {}
        self._creates: dict[str, RateWindow] = {name: RateWindow() for name in MODELS}
        self._queries = RateWindow()
        self._policies: dict[str | None, RateWindow] = {name: RateWindow() for name in (*MODELS, None)}
        self.most_in_process: Counter[str] = Counter()
        for task in sorted(store.tasks(), key=lambda task: task.created_at):
            self._remember(task)
        self._created = len(self._tasks)

    # -- what calls may do ---------------------------------------------------------------------------------------

    def admit_create(self, model: str) -> None:
        """Count a create against the model's quota.

        Raises:
            Refused: The quota is used up.
        """
        limit = self._scenario.submit_rps_of(MODELS[model])
        if not self._creates[model].admit(self._clock.now(), limit):
            raise Refused(RATE_EXCEEDED)
        busy = len(self._waiting[model]) + len(self._running[model])
        if self._scenario.surplus == "reject" and busy >= self._limit(model):
            raise Refused(RATE_EXCEEDED)

    def admit_query(self) -> None:
        """Count a get, list or cancel against the account's quota.

        Raises:
            Refused: The quota is used up.
        """
        if not self._queries.admit(self._clock.now(), self._scenario.query_qps):
            raise Refused(RATE_EXCEEDED)

    def admit_policy(self, model: str) -> None:
        """Count an upload policy against the model's quota; models that nobody knows share one.

        Raises:
            Refused: The quota is used up.
        """
        if not self._policies[model if model in MODELS else None].admit(self._clock.now(), POLICIES_PER_SECOND):
            raise Refused(RATE_EXCEEDED)

    # -- what happens to a task ----------------------------------------------------------------------------------

    def create(self, task: Task) -> Task:
        """Take in a new task; what becomes of it by script is drawn here, so that a restart changes nothing."""
        fault = self._faults.draw("task", prompt=task.prompt, model=task.model)
        failure = None
        if fault and fault.kind == "fail":
            code = fault.code or "DataInspectionFailed"
            failure = Refusal(code=code, message=fault.message or "Input data may contain inappropriate content.")
        task = task.evolve(
            runs_for=self._scenario.duration_for(task.prompt, self._rng),
            failure=failure,
            vanishes=fault is not None and fault.kind == "vanish",
            stand_in=self._scenario.stand_in,
            stand_in_px=self._scenario.stand_in_px,
        )
        self._created += 1
        self._remember(task)
        self._store.put_task(task)
        self.advance()
        return self._tasks[task.task_id]

    def checked(
        self,
        task_id: str,
        *,
        problem: Refusal | None,
        first_frame: str | None,
        last_frame: str | None,
        first_size: tuple[int, int] | None,
    ) -> None:
        """Its values and frames have been looked at."""
        if task_id in self._tasks:
            task = self._change(
                self._tasks[task_id],
                checked_at=self._clock.now(),
                problem=problem,
                first_frame=first_frame,
                last_frame=last_frame,
                first_size=first_size,
                first_url=None,
                last_url=None,
            )
            if task.problem and task.status is Status.PENDING:
                self._doomed.add(task_id)
            self.advance()

    def film_ready(self, task_id: str, actual_prompt: str | None) -> None:
        """Its film is there."""
        if task_id in self._tasks:
            self._change(self._tasks[task_id], ready_at=self._clock.now(), actual_prompt=actual_prompt)
            self.advance()

    def film_failed(self, task_id: str, failure: Refusal) -> None:
        """No film could be made of it."""
        if task_id in self._tasks:
            self._change(self._tasks[task_id], ready_at=self._clock.now(), failure=failure)
            self.advance()

    def downloaded(self, task_id: str) -> None:
        """Its film was asked for, so that somebody has it by now."""
        if task_id in self._tasks:
            self._change(self._tasks[task_id], downloaded=True)

    def cancel(self, task_id: str) -> None:
        """Cancel a task that still waits.

        Raises:
            Refused: It does not wait, or there is none.
        """
        self.advance()
        task = self._tasks.get(task_id)
        if task is None or task.vanishes or task.status is not Status.PENDING:
            raise Refused(NOT_PENDING)
        self._end(task, Status.CANCELED, self._clock.now())

    # -- what can be seen ----------------------------------------------------------------------------------------

    def get(self, task_id: str) -> Task | None:
        """The task as the service shows it; None for what is UNKNOWN to it: never made, expired, vanished."""
        self.advance()
        task = self._tasks.get(task_id)
        return None if task is None or task.vanishes or self._expired(task) else task

    def find(self, task_id: str) -> Task | None:
        """The task, even where the service shows none."""
        return self._tasks.get(task_id)

    def listed(self) -> Iterator[Task]:
        """The tasks that ``list`` may show, newest first."""
        self.advance()
        latest = self._clock.now() - timedelta(seconds=self._scenario.list_delay_s)
        for task in reversed(self._tasks.values()):
            if not task.vanishes and task.created_at <= latest and not self._expired(task):
                yield task

    def all_tasks(self) -> Iterable[Task]:
        """Every task that is remembered, oldest first."""
        return self._tasks.values()

    @property
    def busy(self) -> bool:
        """Whether any task waits or runs."""
        return any(self._waiting.values()) or any(self._running.values())

    def expires_at(self, task: Task) -> datetime:
        """When the signed address of its film ends."""
        return (task.ended_at or task.created_at) + timedelta(seconds=self._scenario.life_s)

    def forget(self, gone_since: timedelta) -> list[Task]:
        """Forget the tasks that nobody can see any more, and for how long that has been so; they are returned."""
        now = self._clock.now()
        gone = [t for t in self._tasks.values() if t.status.ended and now - self.expires_at(t) > gone_since]
        for task in gone:
            del self._tasks[task.task_id]
            self._store.drop_task(task.task_id)
        return gone

    # -- how time passes -----------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Play all that has become due."""
        now = self._clock.now()
        while move := min(self._moves(now), default=None, key=lambda move: move[:3]):
            move[3](move[0])

    def _moves(self, now: datetime) -> Iterator[Move]:
        """What is due: ends, and for each model the next start (the queue is first in, first out)."""
        for task_id in self._doomed:
            task = self._tasks[task_id]
            at = max(task.checked_at or now, task.created_at + timedelta(seconds=self._scenario.check_s))
            if at <= now:
                yield (at, task.created_at, task_id, self._ending(task))
        for model in MODELS:
            for task_id in self._running[model]:
                task = self._tasks[task_id]
                due = self._end_due(task)
                if due is not None and due <= now:
                    yield (due, task.created_at, task_id, self._ending(task))
            first = self._first_waiting(model) if len(self._running[model]) < self._limit(model) else None
            if first and first.checked_at:
                earliest = first.created_at + timedelta(seconds=self._scenario.pending_s)
                at = max(first.checked_at, earliest, self._freed_at.get(model, earliest))
                if at <= now:
                    yield (at, first.created_at, first.task_id, self._starting(first))

    def _first_waiting(self, model: str) -> Task | None:
        """The task that starts next; those whose frames are still on their way let others pass."""
        tasks = (self._tasks[task_id] for task_id in self._waiting[model])
        return next((task for task in tasks if task.checked_at and not task.problem), None)

    def _end_due(self, task: Task) -> datetime | None:
        """When a running task ends; None while its film is being made."""
        if task.scheduled_at is None:
            return None
        due = task.scheduled_at + task.runs_for
        if task.failure and task.ready_at is None:
            return due
        return max(due, task.ready_at) if task.ready_at else None

    def _starting(self, task: Task) -> Callable[[datetime], None]:
        def start(at: datetime) -> None:
            self._waiting[task.model].remove(task.task_id)
            self._running[task.model].add(task.task_id)
            count = len(self._running[task.model])
            self.most_in_process[task.model] = max(self.most_in_process[task.model], count)
            ready = {"ready_at": at, "actual_prompt": _stand_in_prompt(task)} if task.stand_in else {}
            started = self._change(task, status=Status.RUNNING, scheduled_at=at, **ready)
            if not task.stand_in and not task.failure:
                self._on_start(started)

        return start

    def _ending(self, task: Task) -> Callable[[datetime], None]:
        status = Status.FAILED if task.problem or task.failure else Status.SUCCEEDED
        return lambda at: self._end(task, status, at)

    def _end(self, task: Task, status: Status, at: datetime) -> None:
        if task.status is Status.PENDING:
            self._waiting[task.model].remove(task.task_id)
        else:
            self._running[task.model].remove(task.task_id)
            self._freed_at[task.model] = at
        self._doomed.discard(task.task_id)
        self._change(task, status=status, ended_at=at)

    def _change(self, task: Task, **changes: object) -> Task:
        changed = task.evolve(**changes)
        self._tasks[task.task_id] = changed
        self._store.put_task(changed)
        return changed

    def _remember(self, task: Task) -> None:
        self._tasks[task.task_id] = task
        if task.status is Status.PENDING:
            self._waiting[task.model].append(task.task_id)
            if task.problem:
                self._doomed.add(task.task_id)
        elif task.status is Status.RUNNING:
            self._running[task.model].add(task.task_id)

    def _limit(self, model: str) -> int:
        return self._scenario.in_process_of(MODELS[model], self._created)

    def _expired(self, task: Task) -> bool:
        """Whether the task's own life is over (vendor page: the task_id is valid for 24 hours)."""
        return self._clock.now() - task.created_at >= timedelta(seconds=self._scenario.life_s)


def _stand_in_prompt(task: Task) -> str | None:
    """What stands in for the rewritten prompt, as the film does for the rendered one."""
    return f"{task.prompt or ''} A cut from the first frame to the last.".strip() if task.prompt_extend else None
