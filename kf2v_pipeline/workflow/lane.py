"""One lane of a drive: submits its clips as the quota allows, and looks at its tasks until they end.

What a look means for an attempt is ``workflow.reading``'s, which stranger is our lost task ``workflow.reconcile``'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from kf2v_pipeline.domain.attempt import Attempt, FactKind, Remedy, State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.policy import retry_at
from kf2v_pipeline.domain.price import Money, limit_for
from kf2v_pipeline.domain.reading import ListedTask, Reading, TaskStatus
from kf2v_pipeline.errors import BudgetReached, FrameError, NoPlace, NotSent, ReplyLost, ServiceError, TransportError
from kf2v_pipeline.storage.ledger import Places
from kf2v_pipeline.wan.catalog import Model
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.wan.fault import Verdict, judge
from kf2v_pipeline.workflow.bell import Bell
from kf2v_pipeline.workflow.brake import Brake
from kf2v_pipeline.workflow.desk import Desk
from kf2v_pipeline.workflow.listing import Listing
from kf2v_pipeline.workflow.missing import MissingFrames
from kf2v_pipeline.workflow.reading import fact_of
from kf2v_pipeline.workflow.reconcile import echo_of, reconcile
from kf2v_pipeline.workflow.sending import awaiting_reply, frame_refused, refused, reply_lost, unsent
from kf2v_pipeline.workflow.tempo import hurry
from kf2v_pipeline.workflow.twins import Twins
from kf2v_pipeline.workflow.watch import Watch

TROUBLES_PER_LOOK = 3
"""Tasks of one look that may be unreadable before it ends: one alone must not keep the others from being seen."""


class Lane:
    """One quota's clips, on their way.

    Attributes:
        left: Why the service tells nothing of the lane's tasks, as code and sentence; None while it may.
    """

    def __init__(self, desk: Desk, client: WanClient, name: str, model: Model) -> None:
        self.client = client
        self.name = name
        self.left: tuple[str, str] | None = None
        self._desk = desk
        self._model = model
        self._flights: dict[str, tuple[Clip, Attempt]] = {}
        self._unconfirmed: dict[str, tuple[Clip, Attempt]] = {}
        self._twins = Twins(desk, client)
        self._listing = Listing(client, desk.ledger, desk.clock, model.name, grace=desk.tempo.confirm_grace)
        self._missing = MissingFrames(desk, self.plan)
        self._watch = Watch(model.quota.tasks_in_process, partial(desk.ledger.durations, name))
        self._brake = Brake(model.quota, desk.tempo.unreachable_after, desk.clock)
        self._stopped: tuple[str, str] | None = None
        self._is_ending = False
        self._changed = Bell()
        desk.pool.join(name, self._changed.ring)

    def plan(self, clip: Clip, not_before: datetime | None) -> None:
        """Takes a clip that wants an attempt."""
        if not self._desk.buys:
            self._desk.leave(clip, "BuysNothing", "It needs a task, and this run creates none.")
            return
        if not clip.lanes:
            self._check_price(clip)
        self._desk.pool.put(clip, not_before)

    def _check_price(self, clip: Clip) -> None:
        if self._desk.budget.is_limited and self._price(clip) is None:
            what = f"the price of {clip.model} {clip.resolution} is not known, so no budget can be kept"
            self._stop("PriceUnknown", f"{what}; write it into a catalog file (KF2V_CATALOG), or run without a budget.")

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
        self._changed.ring()

    # Submit

    async def submit(self) -> None:
        """Submits planned clips for as long as the drive lasts, one create at a time."""
        while not self._is_ending:
            clip = await self._next_clip()
            try:
                first_url, last_url = await self._desk.frames.urls(clip, self.client)
            except FrameError as error:
                if not self._missing.put_off(clip, error):
                    await self._refuse_frame(clip, error)
                continue
            except (TransportError, ServiceError) as error:
                self._brake.pause(timedelta(seconds=5))
                self._desk.notice(f"Lane {self.name}: a frame of {clip.clip_id} could not be uploaded: {error}")
                self._note_reach(error)
                self.plan(clip, self._brake.paused_until)
                continue
            self._missing.found(clip)
            attempt = await self._prepare(clip)
            if attempt is not None:
                await self._send(clip, attempt, first_url, last_url)

    async def _refuse_frame(self, clip: Clip, error: FrameError) -> None:
        """Ends a clip whose frame is of no use, on record."""
        attempt = await self._prepare(clip)
        if attempt is not None:
            self._settle(clip, self._desk.record(attempt, FactKind.REFUSED, **frame_refused(error)))

    def _end(self) -> None:
        self._is_ending = True

    async def _next_clip(self) -> Clip:
        pool = self._desk.pool
        while True:
            now, paused_until = self._desk.clock(), self._brake.paused_until
            has_place = paused_until is None and len(self._flights) + len(self._unconfirmed) < self._most
            clip = pool.take(self.name, now=now, has_place=has_place, is_blocked=self._is_blocked)
            if clip is not None:
                self._check_price(clip)
                if not self._stopped:
                    return clip
                self.plan(clip, None)
                continue
            waits = [*pool.due_at(self.name, now=now), *([paused_until] if paused_until else [])]
            await self._wait(min(waits, default=None))

    @property
    def _most(self) -> int:
        """Tasks that this lane may have at the service."""
        return self._model.quota.tasks_in_process + self._brake.surplus

    def _is_blocked(self, clip: Clip) -> bool:
        """While a create is unconfirmed, another with the same prompt would make the two indistinguishable."""
        return any(echo_of(attempt.prompt) == echo_of(clip.prompt) for _, attempt in self._unconfirmed.values())

    async def _wait(self, until: datetime | None) -> None:
        """Waits for a change in this lane, or for an instant."""
        wait_s = None if until is None else max(0.0, (until - self._desk.clock()).total_seconds())
        await self._changed.wait(wait_s)

    async def _prepare(self, clip: Clip) -> Attempt | None:
        """Waits for a place in the quota and puts the intent on record; None where the clip is left instead."""
        price, budget = self._price(clip), self._desk.budget
        while not self._stopped:
            if self._brake.paused_until:
                await self._wait(self._brake.paused_until)
                continue
            try:
                return self._desk.ledger.prepare(
                    clip,
                    owner=self._desk.driver.owner,
                    at=self._desk.clock(),
                    places=Places(creates_per_second=self._brake.rate.now, tasks_in_process=self._most),
                    reserve=price,
                    budget=limit_for(price, budget.per_run),
                    daily_budget=limit_for(price, budget.per_day),
                )
            except NoPlace as full:
                is_mine = len(self._flights) + len(self._unconfirmed) >= self._most
                await self._wait(None if is_mine else full.free_at)  # only what another drive ends must be asked for
            except BudgetReached as error:
                self._stop("BudgetReached", str(error))
        self.plan(clip, None)  # to another lane that may make it, or to the next drive
        return None

    def _price(self, clip: Clip) -> Money | None:
        return self.client.service.price(clip.model, clip.resolution, clip.duration_s)

    async def _send(self, clip: Clip, attempt: Attempt, first_url: str, last_url: str | None) -> None:
        """Sends one create. It is sent again only where the service certainly made no task of it."""
        while True:
            if not self._desk.may_send(attempt):
                self._desk.leave(clip, "TakenOver", "Another run took it over while this one stood still.")
                return
            try:
                create = self.client.create(clip, first_frame_url=first_url, last_frame_url=last_url)
                created = await awaiting_reply(create, self._desk.tempo.last_reply, self._end)
            except NotSent as error:
                self._note_reach(error)
                if self._stopped:
                    self._settle(clip, self._refuse_unsent(attempt, error.what, Remedy.STOP_LANE))
                    return
                self._brake.pause(self._desk.tempo.unreachable_after / 12)
            except ServiceError as error:
                self._note_reach(error)
                verdict = judge(error.code, error.message, error.http_status)
                if not verdict.throttled:
                    self._refuse(clip, attempt, error, verdict)
                    return
                self._brake.throttle(len(self._flights))
            except ReplyLost as error:
                self._note_reach(error)
                self._unconfirmed[attempt.attempt_id] = (clip, self._lose_reply(attempt, error.what))
                self._changed.ring()
                return
            except asyncio.CancelledError:
                self._lose_reply(attempt, "the run was stopped while it was sending")
                raise
            else:
                self._brake.accepted()
                attempt = self._desk.record(
                    attempt,
                    FactKind.ACCEPTED,
                    task_id=created.task_id,
                    request_id=created.request_id,
                    submitted_at=self._desk.clock(),
                )
                self._flights[attempt.attempt_id] = (clip, attempt)
                self._changed.ring()
                return
            if self._is_ending:
                self._refuse_unsent(attempt, "the run was stopped before", Remedy.RETRY)
                return
            await self._wait_out_pause(attempt)

    async def _wait_out_pause(self, attempt: Attempt) -> None:
        """Waits for the pause to end; a drive that stops meanwhile leaves a create that certainly was not sent."""
        try:
            while self._brake.is_full(len(self._flights)):
                await self._wait(None)
            if until := self._brake.paused_until:
                await asyncio.sleep((until - self._desk.clock()).total_seconds())
        except asyncio.CancelledError:
            self._refuse_unsent(attempt, "the run was stopped before", Remedy.RETRY)
            raise

    def _refuse_unsent(self, attempt: Attempt, why: str, remedy: Remedy) -> Attempt:
        return self._desk.record(attempt, FactKind.REFUSED, **unsent(why, remedy))

    def _note_reach(self, error: Exception | None) -> None:
        """Notes whether a call reached the service; after too long without any that did, the lane is left."""
        if not isinstance(error, NotSent):
            self._brake.reached()
            return
        is_too_long, sentence = self._brake.missed(error)
        if is_too_long:
            self._leave_all("ServiceUnreachable", sentence)
        elif sentence:
            self._desk.notice(f"Lane {self.name}: {sentence}")

    def _lose_reply(self, attempt: Attempt, why: str) -> Attempt:
        return self._desk.record(attempt, FactKind.REPLY_LOST, **reply_lost(why, self._desk.clock()))

    def _refuse(self, clip: Clip, attempt: Attempt, error: ServiceError, verdict: Verdict) -> None:
        attempt = self._desk.record(attempt, FactKind.REFUSED, **refused(error, verdict))
        if verdict.remedy is Remedy.STOP_LANE:
            self._stop(error.code, verdict.advise(error.message))
        self._settle(clip, attempt)

    def _settle(self, clip: Clip, attempt: Attempt) -> None:
        """Ends the clip, or plans another attempt."""
        if not self._desk.decide(clip, attempt):
            self.plan(clip, retry_at(attempt))
        self._changed.ring()

    def _stop(self, code: str, message: str, *, is_left: bool = False) -> None:
        """Nothing can be submitted in this lane any more; what is in flight goes on, unless the lane is left."""
        if self._stopped != (code, message):
            self._desk.notice(f"Lane {self.name} stopped: {message}", stops=True)
        self._stopped = (code, message)
        self._desk.pool.stop(self.name, code, message, is_left=is_left)
        self._changed.ring()

    # Look

    async def look(self) -> None:
        """Looks at this lane's tasks for as long as the drive lasts."""
        failures = 0
        while True:
            if not self._flights and not self._unconfirmed:
                await self._wait(None)
                continue
            await asyncio.sleep(self._until_next_look(failures).total_seconds())
            error: ServiceError | TransportError | None = None
            try:
                await self._look_once()
            except (ServiceError, TransportError) as caught:
                error = caught
            failures = failures + 1 if error else 0
            self.note_look(error)
            if failures == 3 and isinstance(error, TransportError) and not isinstance(error, NotSent):
                self._desk.notice(f"Lane {self.name}: the service can't be asked at the moment ({error}).")

    def note_look(self, error: ServiceError | TransportError | None) -> None:
        """Notes how a look at a task went, a collector's too; where no other can do better, the lane is left."""
        self._note_reach(error)
        if isinstance(error, ServiceError):
            verdict = judge(error.code, error.message, error.http_status)
            if verdict.remedy is Remedy.STOP_LANE and not verdict.throttled:
                self._leave_all(error.code, verdict.advise(error.message))

    def _until_next_look(self, failures: int) -> timedelta:
        pace = self._desk.tempo.pace
        if not self._brake.surplus:  # nothing waits at the service, so a place is idle until its task's end is seen
            pace = hurry(pace)
        attempts = [attempt for _, attempt in self._flights.values()]
        wait = self._watch.until_next_look(attempts, pace=pace, now=self._desk.clock())
        if self._unconfirmed:
            wait = min(wait, max(self._desk.tempo.pace.closest, self._desk.tempo.confirm_grace / 4))
        return wait + timedelta(seconds=min(30, 2**failures) if failures else 0)

    def _leave_all(self, code: str, message: str) -> None:
        """The service does not let us look, or is out of reach: the next drive finds the tasks in the ledger."""
        self._stop(code, message, is_left=True)
        self.left = code, message
        for clip, _ in [*self._flights.values(), *self._unconfirmed.values()]:
            self._desk.leave(clip, code, message)
        self._flights.clear()
        self._unconfirmed.clear()

    async def _look_once(self) -> None:
        read_at = self._desk.clock()
        flights = list(self._flights.values())
        unconfirmed = [attempt for _, attempt in self._unconfirmed.values()]
        if not flights and not unconfirmed:
            return  # the lane was left meanwhile
        rows, is_complete = await self._listing.rows([attempt for _, attempt in flights], unconfirmed)
        troubles: list[Exception] = []
        readings = 0
        for clip, attempt in flights:
            row = rows.get(attempt.task_id or "")
            if row is not None and not row.status.ended:
                self._watch.saw(attempt, row.status, started_at=row.started_at, at=read_at)
                continue
            try:
                reading = await self.client.get(attempt.task_id or "")
            except (ServiceError, TransportError) as error:
                troubles.append(error)
                if flight := self._flights.pop(attempt.attempt_id, None):
                    self._flights[attempt.attempt_id] = flight  # asked for last, next time
                if len(troubles) == TROUBLES_PER_LOOK:
                    break
                continue
            readings += 1
            if row is None and reading.status is not TaskStatus.UNKNOWN:
                self._listing.note_existing(attempt)
            if row is None or reading.status is not TaskStatus.UNKNOWN:  # what the list shows is not gone
                self._take_in(clip, attempt, reading)
        if unconfirmed:
            await self._confirm(unconfirmed, rows, read_at=read_at, is_complete=is_complete)
        if troubles and not readings:
            raise troubles[-1]

    def _take_in(self, clip: Clip, attempt: Attempt, reading: Reading) -> None:
        """Turns a reading into a fact, and the fact into what follows."""
        is_young = self._desk.clock() < attempt.expires_at
        if reading.status is TaskStatus.UNKNOWN and is_young and not self._watch.is_gone(attempt):
            return
        fact = fact_of(reading, clip, self.client.service)
        if fact is None:
            self._watch.saw(attempt, reading.status, started_at=reading.started_at, at=reading.read_at)
            return
        self._watch.ended(attempt, reading.ended_at)
        kind, detail = fact
        attempt = self._desk.record(attempt, kind, **detail)
        self._flights.pop(attempt.attempt_id, None)
        self._changed.ring()
        if attempt.state is State.SUCCEEDED:
            self._desk.collect(clip, attempt, reading.video_url)
        else:
            self._settle(clip, attempt)

    async def _confirm(
        self, attempts: Sequence[Attempt], rows: dict[str, ListedTask], *, read_at: datetime, is_complete: bool
    ) -> None:
        """Finds out which unconfirmed creates made a task.

        Args:
            attempts: Those that were unconfirmed before the list was read.
            read_at: When its reading began: it can't show what was made later.
        """
        # Before the strangers are told from the known tasks: a create that is answered meanwhile is known by then.
        sending = self._desk.ledger.attempts(states=(State.PREPARED, State.UNCONFIRMED), lane=self.name)
        held = {attempt.attempt_id for attempt in attempts}
        others = [attempt for attempt in sending if attempt.attempt_id not in held]
        strangers = await self._listing.strangers(rows.values(), attempts)
        grace = self._desk.tempo.confirm_grace
        decisions = reconcile(attempts, strangers, now=read_at, grace=grace, is_complete=is_complete, others=others)
        seen = await self._twins.tell_apart(attempts, strangers, others=others, decided=decisions)
        for decision in (*decisions, *seen):
            if decision.attempt_id not in self._unconfirmed:
                continue  # the lane was left meanwhile
            clip, attempt = self._unconfirmed.pop(decision.attempt_id)
            attempt = self._desk.record(attempt, decision.kind, **decision.detail)
            if attempt.state is State.SUBMITTED:
                self._flights[attempt.attempt_id] = (clip, attempt)
                self._changed.ring()
            else:
                self._settle(clip, attempt)
