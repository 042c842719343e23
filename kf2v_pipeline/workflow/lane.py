"""One lane of a drive: submits its clips as the quota allows, and looks at its tasks until they end.

What a look means for an attempt is ``workflow.reading``'s, which stranger is our lost task ``workflow.reconcile``'s.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta

from kf2v_pipeline.domain.attempt import Attempt, FactKind, Remedy, State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.policy import retry_at
from kf2v_pipeline.domain.reading import ListedTask, Reading, TaskStatus
from kf2v_pipeline.errors import BudgetReached, FrameError, NotSent, ReplyLost, ServiceError, TransportError
from kf2v_pipeline.wan.catalog import Model
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.wan.fault import Verdict, judge
from kf2v_pipeline.workflow.desk import Desk
from kf2v_pipeline.workflow.frames import frame_urls
from kf2v_pipeline.workflow.reading import fact_of
from kf2v_pipeline.workflow.reconcile import Candidate, reconcile

CLOCK_SKEW = timedelta(minutes=5)
"""How far the service's clock and ours may be apart."""

LIST_SPAN = timedelta(hours=24)
"""The longest window that ``list`` takes (vendor page of asynchronous tasks)."""

LIST_PAGE = 100
"""Rows asked for in one ``list``; the largest that the service gives is not documented."""

VANISHED_AFTER_LOOKS = 3
"""Looks in a row that must say UNKNOWN before a young task counts as gone: one may be a replica that lags."""


class Lane:
    """One quota's clips, on their way."""

    def __init__(self, desk: Desk, client: WanClient, name: str, model: Model) -> None:
        self.client = client
        self.name = name
        self._desk = desk
        self._model = model
        self._planned: deque[tuple[Clip, datetime | None]] = deque()
        self._flights: dict[str, tuple[Clip, Attempt]] = {}
        self._unconfirmed: dict[str, tuple[Clip, Attempt]] = {}
        self._candidates: dict[str, Reading] = {}
        self._unknown_looks: dict[str, int] = {}
        self._backlog = 1
        self._paused_until: datetime | None = None
        self._throttled_in_a_row = 0
        self._stopped: tuple[str, str] | None = None
        self._changed = asyncio.Event()

    def plan(self, clip: Clip, not_before: datetime | None) -> None:
        """Takes a clip that wants an attempt."""
        if self._stopped:
            self._desk.leave(clip, *self._stopped)
            return
        self._planned.append((clip, not_before))
        self._changed.set()

    def resume(self, clip: Clip, attempt: Attempt) -> None:
        """Takes over an attempt that another drive left open."""
        if attempt.state is State.PREPARED:
            attempt = self._lose_reply(attempt, "the process that was sending it ended")
        if attempt.state is State.SUCCEEDED:
            self._desk.collect(clip, attempt, None)
        elif attempt.state is State.UNCONFIRMED:
            self._unconfirmed[attempt.attempt_id] = (clip, attempt)
        else:
            self._flights[attempt.attempt_id] = (clip, attempt)
        self._changed.set()

    # Submit

    async def submit(self) -> None:
        """Submits planned clips for as long as the drive lasts, one create at a time."""
        while True:
            clip = await self._next_clip()
            try:
                first_url, last_url = await frame_urls(clip, self.client)
            except FrameError as error:
                self._desk.fail(clip, "FrameUnusable", str(error))
                continue
            except (TransportError, ServiceError) as error:
                self._pause(timedelta(seconds=5))
                self._planned.append((clip, self._paused_until))
                self._desk.notice(f"Lane {self.name}: a frame of {clip.clip_id} could not be uploaded: {error}")
                continue
            attempt = await self._prepare(clip)
            if attempt is not None:
                await self._send(clip, attempt, first_url, last_url)

    async def _next_clip(self) -> Clip:
        while True:
            now = self._desk.clock()
            for position, (clip, not_before) in enumerate(self._planned):
                if (not_before is None or not_before <= now) and not self._is_blocked(clip):
                    del self._planned[position]
                    return clip
            waits = [at for _, at in self._planned if at is not None and at > now]
            await self._wait(min(waits) if waits else None)

    def _is_blocked(self, clip: Clip) -> bool:
        """While a create is unconfirmed, another with the same prompt would make the two indistinguishable."""
        return any(attempt.prompt == clip.prompt for _, attempt in self._unconfirmed.values())

    async def _wait(self, until: datetime | None) -> None:
        """Waits for a change in this lane, or for an instant."""
        self._changed.clear()
        wait_s = None if until is None else max(0.0, (until - self._desk.clock()).total_seconds())
        try:
            await asyncio.wait_for(self._changed.wait(), wait_s)
        except asyncio.TimeoutError:
            return

    async def _prepare(self, clip: Clip) -> Attempt | None:
        """Waits for a place in the quota and puts the intent on record; None where the clip is left instead."""
        price = self.client.service.price(clip.model, clip.resolution)
        while not self._stopped:
            if self._paused_until and self._paused_until > self._desk.clock():
                await self._wait(self._paused_until)
                continue
            free_at = self._desk.ledger.take_create_slot(
                self.name,
                at=self._desk.clock(),
                creates_per_second=self._model.quota.creates_per_second,
                tasks_in_process=self._model.quota.tasks_in_process + self._backlog,
            )
            if free_at is not None:
                await self._wait(free_at)
                continue
            try:
                return self._desk.ledger.prepare(
                    clip,
                    owner=self._desk.driver.owner,
                    at=self._desk.clock(),
                    reserve=price,
                    budget=self._desk.budget(price.currency) if price else None,
                )
            except BudgetReached as error:
                self._stop("BudgetReached", str(error))
        self._desk.leave(clip, *self._stopped)
        return None

    async def _send(self, clip: Clip, attempt: Attempt, first_url: str, last_url: str | None) -> None:
        """Sends one create. It is sent again only where the service certainly made no task of it."""
        while True:
            try:
                created = await self.client.create(clip, first_frame_url=first_url, last_frame_url=last_url)
            except NotSent as error:
                self._pause(timedelta(seconds=5))
                self._desk.notice(f"Lane {self.name}: {error}; trying again.")
            except ServiceError as error:
                verdict = judge(error.code, error.message, error.http_status)
                if not verdict.throttled:
                    self._refuse(clip, attempt, error, verdict)
                    return
                self._back_off()
            except ReplyLost as error:
                self._hold(clip, self._lose_reply(attempt, error.what))
                return
            except asyncio.CancelledError:
                self._lose_reply(attempt, "the run was stopped while it was sending")
                raise
            else:
                self._throttled_in_a_row = 0
                attempt = self._desk.record(
                    attempt,
                    FactKind.ACCEPTED,
                    task_id=created.task_id,
                    request_id=created.request_id,
                    submitted_at=self._desk.clock(),
                )
                self._flights[attempt.attempt_id] = (clip, attempt)
                self._changed.set()
                return
            await self._wait_out_pause(attempt)

    async def _wait_out_pause(self, attempt: Attempt) -> None:
        """Waits for the pause to end; a drive that stops meanwhile leaves a create that certainly was not sent."""
        try:
            if self._paused_until:
                await asyncio.sleep(max(0.0, (self._paused_until - self._desk.clock()).total_seconds()))
        except asyncio.CancelledError:
            self._desk.record(
                attempt,
                FactKind.REFUSED,
                error_code="NotSent",
                error_message="The run was stopped before it was sent.",
                remedy=Remedy.RETRY,
            )
            raise

    def _lose_reply(self, attempt: Attempt, why: str) -> Attempt:
        return self._desk.record(
            attempt,
            FactKind.REPLY_LOST,
            unconfirmed_at=self._desk.clock(),
            error_code="ReplyLost",
            error_message=f"It is not known yet whether a task was made: {why}.",
        )

    def _hold(self, clip: Clip, attempt: Attempt) -> None:
        self._unconfirmed[attempt.attempt_id] = (clip, attempt)
        self._changed.set()

    def _refuse(self, clip: Clip, attempt: Attempt, error: ServiceError, verdict: Verdict) -> None:
        attempt = self._desk.record(
            attempt,
            FactKind.REFUSED,
            request_id=error.request_id,
            error_code=error.code,
            error_message=error.message,
            remedy=verdict.remedy,
        )
        if verdict.remedy is Remedy.STOP_LANE:
            self._stop(error.code, f"{error.message} {verdict.fix}")
        self._settle(clip, attempt)

    def _settle(self, clip: Clip, attempt: Attempt) -> None:
        """Ends the clip, or plans another attempt."""
        if not self._desk.decide(clip, attempt):
            self.plan(clip, retry_at(attempt))
        self._changed.set()

    def _pause(self, length: timedelta) -> None:
        self._paused_until = self._desk.clock() + length

    def _back_off(self) -> None:
        """After a 429: no surplus any more, and a pause that doubles; the vendor says to wait about a minute."""
        self._backlog = 0
        self._throttled_in_a_row += 1
        self._pause(timedelta(seconds=min(60, 2 ** (self._throttled_in_a_row - 1))))

    def _stop(self, code: str, message: str) -> None:
        """Nothing can be submitted in this lane any more; what is in flight goes on."""
        self._stopped = (code, message)
        self._desk.notice(f"Lane {self.name} stopped: {message}", stops=True)
        while self._planned:
            self._desk.leave(self._planned.popleft()[0], code, message)

    # Look

    async def look(self) -> None:
        """Looks at this lane's tasks for as long as the drive lasts."""
        failures = 0
        while True:
            if not self._flights and not self._unconfirmed:
                await self._wait(None)
                continue
            await asyncio.sleep(self._until_next_look(failures).total_seconds())
            try:
                await self._look_once()
                failures = 0
            except ServiceError as error:
                failures += 1
                verdict = judge(error.code, error.message, error.http_status)
                if verdict.remedy is Remedy.STOP_LANE and not verdict.throttled:
                    self._leave_all(error.code, f"{error.message} {verdict.fix}")
            except TransportError as error:
                failures += 1
                if failures == 3:
                    self._desk.notice(f"Lane {self.name}: the service can't be asked at the moment ({error}).")

    def _until_next_look(self, failures: int) -> timedelta:
        now = self._desk.clock()
        ages = [now - (attempt.submitted_at or attempt.prepared_at) for _, attempt in self._flights.values()]
        wait = self._desk.tempo.pace.until_next_look(ages, self._desk.ledger.durations(self.name))
        if self._unconfirmed:
            wait = min(wait, max(self._desk.tempo.pace.closest, self._desk.tempo.confirm_grace / 4))
        return wait + timedelta(seconds=min(30, 2**failures) if failures else 0)

    def _leave_all(self, code: str, message: str) -> None:
        """The service does not let us look: tasks stay in the ledger, and the next drive finds them there."""
        self._stop(code, message)
        for clip, _ in [*self._flights.values(), *self._unconfirmed.values()]:
            self._desk.leave(clip, code, message)
        self._flights.clear()
        self._unconfirmed.clear()

    async def _look_once(self) -> None:
        flights = list(self._flights.values())
        rows, is_complete = await self._rows()
        for clip, attempt in flights:
            row = rows.get(attempt.task_id or "")
            if row is not None and not row.status.ended:
                continue
            self._take_in(clip, attempt, await self.client.get(attempt.task_id or ""))
        if self._unconfirmed:
            await self._confirm(rows, is_complete=is_complete)

    async def _rows(self) -> tuple[dict[str, ListedTask], bool]:
        """What ``list`` shows of this lane, by task_id, and whether all of it could be read.

        The zone of the window that ``list`` takes is not documented. A wrong guess only costs a ``get`` for each task
        in flight; but it must not hide a task that an unconfirmed attempt made, so for those no window is given.
        """
        since, until = self._window()
        wanted = {attempt.task_id for _, attempt in self._flights.values()}
        rows: dict[str, ListedTask] = {}
        unreadable = 0
        page_number = 1
        while True:
            page = await self.client.list(
                since=since, until=until, model=self._model.name, page=page_number, page_size=LIST_PAGE
            )
            unreadable += page.unreadable
            rows.update((task.task_id, task) for task in page.tasks)
            found_all = not self._unconfirmed and wanted <= rows.keys()
            if found_all or not page.tasks or page_number >= (page.total_pages or page_number + 1):
                return rows, unreadable == 0
            page_number += 1

    def _window(self) -> tuple[datetime | None, datetime | None]:
        if self._unconfirmed:
            return None, None
        now = self._desk.clock()
        oldest = min(attempt.prepared_at for _, attempt in self._flights.values())
        return max(oldest - CLOCK_SKEW, now - LIST_SPAN + CLOCK_SKEW), now + CLOCK_SKEW

    def _take_in(self, clip: Clip, attempt: Attempt, reading: Reading) -> None:
        """Turns a reading into a fact, and the fact into what follows."""
        if reading.status is TaskStatus.UNKNOWN and self._desk.clock() < attempt.expires_at:
            looks = self._unknown_looks[attempt.attempt_id] = self._unknown_looks.get(attempt.attempt_id, 0) + 1
            if looks < VANISHED_AFTER_LOOKS:
                return
        fact = fact_of(reading, clip, self.client.service)
        if fact is None:
            return
        kind, detail = fact
        attempt = self._desk.record(attempt, kind, **detail)
        self._flights.pop(attempt.attempt_id, None)
        self._changed.set()
        if attempt.state is State.SUCCEEDED:
            self._desk.collect(clip, attempt, reading.video_url)
        else:
            self._settle(clip, attempt)

    async def _confirm(self, rows: dict[str, ListedTask], *, is_complete: bool) -> None:
        """Finds out which unconfirmed creates made a task."""
        strangers = await self._strangers(rows.values())
        held = {attempt_id: attempt for attempt_id, (_, attempt) in self._unconfirmed.items()}
        decisions = reconcile(
            list(held.values()),
            strangers,
            now=self._desk.clock(),
            grace=self._desk.tempo.confirm_grace,
            is_complete=is_complete,
        )
        for decision in decisions:
            clip, attempt = self._unconfirmed.pop(decision.attempt_id)
            attempt = self._desk.record(attempt, decision.kind, **decision.detail)
            if attempt.state is State.SUBMITTED:
                self._flights[attempt.attempt_id] = (clip, attempt)
                self._changed.set()
            else:
                self._settle(clip, attempt)

    async def _strangers(self, rows: Iterable[ListedTask]) -> list[Candidate]:
        """Tasks of this lane that no attempt is known to have made, with what they say of their prompt."""
        oldest = min(attempt.prepared_at for _, attempt in self._unconfirmed.values()) - timedelta(hours=24)
        known = self._desk.ledger.known_task_ids(since=oldest)
        candidates = []
        for row in rows:
            if row.task_id in known:
                continue
            if row.status.ended and row.task_id not in self._candidates:
                self._candidates[row.task_id] = await self.client.get(row.task_id)
            candidates.append(Candidate(task=row, reading=self._candidates.get(row.task_id)))
        return candidates
