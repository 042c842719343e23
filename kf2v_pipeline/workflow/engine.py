"""Drives clips to their videos: claims them, hands them to their lanes, collects what succeeds, and reports.

What a lane does next is decided in ``domain.policy``; sending and looking is ``workflow.lane``'s work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from itertools import count

from kf2v_pipeline.domain.attempt import Attempt, Fact, FactKind, State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.policy import Standing, retry_at, standing
from kf2v_pipeline.domain.price import NO_LIMIT, Budget
from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.storage.layout import path_of
from kf2v_pipeline.storage.ledger import Driver, Ledger
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.workflow.away import fetch_back
from kf2v_pipeline.workflow.collect import Collector
from kf2v_pipeline.workflow.crew import end_all
from kf2v_pipeline.workflow.driver import dismiss_the_dead
from kf2v_pipeline.workflow.fleet import Fleet
from kf2v_pipeline.workflow.frames import FrameSender
from kf2v_pipeline.workflow.leftover import Leftovers, describe_end
from kf2v_pipeline.workflow.outcome import DriveReport, Listener, Outcome, Verdict
from kf2v_pipeline.workflow.pool import Pool
from kf2v_pipeline.workflow.tempo import Tempo

_AT_ONCE = 100
"""Clips that were decided before, and are told of before anything else gets its turn: the heartbeat waits meanwhile."""

STILL_FRESH = timedelta(seconds=5)
"""An intent this young can't have been taken over: a driver counts as gone after a much longer silence."""


class Engine:
    """One drive over a set of clips. All that it works with is handed in; it opens and closes only its clients.

    Args:
        connect: Makes the client of a service, by the service's name; the engine enters and leaves it.
        budget: Most that may be spent; where there is a limit, nothing is bought whose price is not known.
        buys: Whether tasks may be created; else only what was begun is finished, and clips that need a task are left.
        frames: Hands frames to the service; None for one that knows no manifest.
        manifest: Whose leftovers are followed whatever clips are driven; None for those of the driven clips alone.
        without: Lanes that take no clips; what is in flight there goes on.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        store: Store,
        connect: Callable[[str], WanClient],
        collector: Collector,
        clock: Callable[[], datetime],
        listener: Listener,
        driver: Driver,
        tempo: Tempo | None = None,
        budget: Budget = NO_LIMIT,
        buys: bool = True,
        frames: FrameSender | None = None,
        manifest: str | None = None,
        without: Collection[str] = (),
    ) -> None:
        self.ledger = ledger
        self.store = store
        self.collector = collector
        self.incoming = collector.incoming
        self.clock = clock
        self.listener = listener
        self.driver = driver
        self.tempo = tempo or Tempo()
        self.budget = budget
        self.buys = buys
        self.frames = frames or FrameSender()
        self.pool = Pool(self.leave, listener.stopped)
        for lane in without:
            self.pool.leave_out(lane)
        self.outcomes: dict[str, Outcome] = {}
        self.created_tasks = 0
        self.stops: list[str] = []
        self._connect = connect
        self._asked: dict[str, int] = {}
        self._undecided: dict[str, Clip] = {}
        self._leftovers = Leftovers(ledger, manifest)
        self._others: frozenset[str] = frozenset()
        self._held: set[str] = set()
        self._released: list[str] = []
        self._some_released = asyncio.Event()
        self._all_decided = asyncio.Event()
        self._collecting: asyncio.PriorityQueue[tuple[datetime, int, Clip, Attempt, str | None]] = (
            asyncio.PriorityQueue()
        )
        self._counter = count()
        self._tasks: set[asyncio.Task[None]] = set()

    async def drive(
        self, clips: Sequence[Clip], *, asked: Collection[str] = (), until: datetime | None = None
    ) -> DriveReport:
        """Drives the clips until each is decided, and follows the leftovers to their end.

        Args:
            clips: What is wanted, in the order in which it is to be submitted.
            asked: Clips that a person asked for by name: tried again even where they failed for good.
            until: When to stop and leave the rest to the next drive; None to stay.

        Raises:
            LedgerError: The ledger can't be used. What is in flight stays in flight for the next drive.
        """
        self._undecided = {clip.clip_id: clip for clip in clips}
        self._asked = dict.fromkeys(asked, 0)
        self.listener.begun(len(clips))
        self._others = self._leftovers.clip_ids()
        self._dismiss_the_dead()
        if not clips and not self._others:
            return self._report()
        self.collector.sweep(self.ledger, at=self.clock(), stale_after=self.tempo.stale_after)
        self.ledger.enlist(self.driver, at=self.clock())
        try:
            async with AsyncExitStack() as stack:
                self._fleet = Fleet(self, self._connect, self._start, stack)
                try:
                    self._start(self._beat())
                    self._start(self._release())
                    self._start(self._claim(clips))
                    for _ in range(self.tempo.collectors):
                        self._start(self._collect())
                    await self._until_decided(until)
                finally:
                    await end_all(
                        self._tasks, patience=2 * self.tempo.last_reply
                    )  # before the clients close: a create may still wait for its reply
        finally:
            self.ledger.dismiss(self.driver.owner, at=self.clock())
            self._held.clear()
            self._dismiss_the_dead()  # also whoever served this run and fell silent only since it began
        for clip in list(self._undecided.values()):
            self.leave(clip, "SliceEnded", "It goes on in the next run.")
        return self._report()

    # What lanes tell their engine.

    def tries(self, attempt: Attempt) -> int:
        """Attempts that count against the limits: for a clip that a person asked for, only those since then."""
        return attempt.number - self._asked.get(attempt.clip_id, 0)

    def record(self, attempt: Attempt, kind: FactKind, **detail: object) -> Attempt:
        """Writes a fact, tells the listener, and gives the attempt as it is now."""
        fact = Fact(attempt_id=attempt.attempt_id, kind=kind, at=self.clock(), detail=detail)
        now = self.ledger.record(fact, known=attempt)
        if kind in (FactKind.ACCEPTED, FactKind.FOUND):
            self.created_tasks += 1
        if not self._leftovers.have(now):
            self.listener.moved(now.clip_id, now.state)
        return now

    def may_send(self, attempt: Attempt) -> bool:
        """Whether a prepared attempt is still this drive's to send.

        A process that stood still (a laptop that slept, a stopped container) may have been taken for dead: then
        another drive looks for what this one may have sent, and sending now would pay twice.
        """
        if self.clock() - attempt.prepared_at < STILL_FRESH:
            return True
        prepared = self.ledger.attempts([attempt.clip_id], states=[State.PREPARED])
        return any(other.attempt_id == attempt.attempt_id for other in prepared)

    def collect(self, clip: Clip, attempt: Attempt, video_url: str | None) -> None:
        """Queues a succeeded attempt for download, the soonest to expire first."""
        self._collecting.put_nowait((attempt.expires_at, next(self._counter), clip, attempt, video_url))

    def decide(self, clip: Clip, attempt: Attempt) -> bool:
        """Ends a clip whose attempt has ended; False where another attempt may follow."""
        if self._leftovers.have(clip):
            self.notice(describe_end(attempt))
            self._end_leftover(clip)
            return True
        stands = standing(attempt, tries=self.tries(attempt))
        if stands is Standing.STORED:
            self._end(clip, Verdict.STORED, attempt)
        elif stands is Standing.FAILED:
            self._end(clip, Verdict.FAILED, attempt, attempt.error_code, attempt.error_message)
        return stands in (Standing.STORED, Standing.FAILED)

    def leave(self, clip: Clip, code: str, message: str) -> None:
        """Leaves a clip to the next drive."""
        if self._leftovers.have(clip):
            self._end_leftover(clip)
        else:
            self._end(clip, Verdict.LEFT, None, code, message)

    def notice(self, sentence: str, *, stops: bool = False) -> None:
        """Tells a person something once; ``stops`` where a lane stopped for it."""
        if stops:
            self.stops.append(sentence)
        self.listener.noticed(sentence)

    # The engine's own work.

    def _end(
        self, clip: Clip, verdict: Verdict, attempt: Attempt | None, code: str | None = None, message: str | None = None
    ) -> None:
        if self._undecided.pop(clip.clip_id, None) is None:
            return
        if attempt is not None:
            clip = clip.in_lane(attempt.lane)
        outcome = Outcome(clip=clip, verdict=verdict, attempt=attempt, code=code, message=message)
        self.outcomes[clip.clip_id] = outcome
        self._let_go(clip)
        self.listener.ended(outcome)
        self._check_end()

    def _dismiss_the_dead(self) -> None:
        stale_after = self.tempo.stale_after
        dismiss_the_dead(self.ledger, at=self.clock(), stale_after=stale_after, run_id=self.driver.run_id)

    def _end_leftover(self, clip: Clip) -> None:
        self._leftovers.end(clip)
        self._let_go(clip)
        self._check_end()

    def _let_go(self, clip: Clip) -> None:
        """Gives the clip up, once nothing of it is to be done any more."""
        name = clip.clip_id
        if name in self._held and name not in self._undecided and not self._leftovers.hold(name):
            self._held.remove(name)
            self._released.append(name)
            self._some_released.set()

    def _check_end(self) -> None:
        if not (self._undecided or self._others or self._leftovers):
            self._all_decided.set()

    def _report(self) -> DriveReport:
        return DriveReport(outcomes=dict(self.outcomes), created_tasks=self.created_tasks, stops=tuple(self.stops))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(work))

    async def _until_decided(self, until: datetime | None) -> None:
        """Waits for the last clip, or for the deadline; an error of any task ends the drive with it."""
        decided = asyncio.get_running_loop().create_task(self._wait_for_last())
        try:
            while not decided.done():
                left_s = None if until is None else (until - self.clock()).total_seconds()
                if left_s is not None and left_s <= 0:
                    return
                done, _ = await asyncio.wait(
                    {decided, *self._tasks}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done - {decided}:
                    self._tasks.discard(task)
                    task.result()
        finally:
            decided.cancel()

    async def _wait_for_last(self) -> None:
        await self._all_decided.wait()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.tempo.heartbeat_every.total_seconds())
            self.ledger.heartbeat(self.driver.owner, at=self.clock())

    async def _release(self) -> None:
        """Gives up what is decided: what is decided meanwhile goes along in one transaction."""
        while True:
            await self._some_released.wait()
            await asyncio.sleep(self.tempo.claim_every.total_seconds() / 2)  # who waits for one asks no sooner
            self._some_released.clear()
            names, self._released = self._released, []
            self.ledger.release(self.driver.owner, names)

    async def _claim(self, clips: Sequence[Clip]) -> None:
        """Takes the clips that nobody drives; those of another drive are taken when that one is done with them."""
        waiting = {clip.clip_id: clip for clip in await self._skip_stored(clips)}
        told = False
        while waiting or self._others:
            claim = self.ledger.claim(
                self.driver.owner, waiting.keys() | self._others, at=self.clock(), stale_after=self.tempo.stale_after
            )
            self._held |= claim.mine
            await self._follow(claim.mine)  # first: a clip that is decided already would be given up else
            await self._admit([clip for clip in waiting.values() if clip.clip_id in claim.mine])
            waiting = {clip_id: clip for clip_id, clip in waiting.items() if clip_id not in claim.mine}
            self._others = frozenset()  # whoever holds one of them follows it
            self._check_end()
            if waiting:
                if not told:
                    told = True
                    self.notice(f"{len(waiting)} clips are driven by another run; waiting for their outcome.")
                await asyncio.sleep(self.tempo.claim_every.total_seconds())

    async def _skip_stored(self, clips: Sequence[Clip]) -> list[Clip]:
        """Ends the clips whose videos are in the storage, and gives the others.

        No claim is needed for them: nothing happens to a stored attempt any more.
        """
        newest = self.ledger.newest(clips)
        paths = {name: path_of(attempt) for name, attempt in newest.items() if attempt.state is State.STORED}
        missing = await asyncio.to_thread(self.store.missing, paths.values()) if paths else frozenset()
        others = []
        for number, clip in enumerate(clips, 1):
            path = paths.get(clip.clip_id)
            if path is None or path in missing:
                others.append(clip)
            else:
                self._end(clip, Verdict.ALREADY_STORED, newest[clip.clip_id])
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return others

    async def _admit(self, clips: Sequence[Clip]) -> None:
        newest = self.ledger.newest(clips)
        away: list[tuple[Clip, Attempt]] = []
        for number, clip in enumerate(clips, 1):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            attempt = newest.get(clip.clip_id)
            if attempt and clip.clip_id in self._asked and not attempt.is_open:
                self._asked[clip.clip_id] = attempt.number
            if attempt and attempt.state is State.STORED:
                away.append((clip.in_lane(attempt.lane), attempt))
                continue
            try:
                await self._begin(clip, attempt)
            except SettingsError as error:  # one service that can't be used any more must not keep the others waiting
                self.leave(clip, "ServiceUnusable", str(error))
        if away:
            self._start(fetch_back(self, away, self._keep))

    async def _begin(self, clip: Clip, attempt: Attempt | None) -> None:
        """What is to be done with a clip that this drive holds, by its newest attempt, which is not stored."""
        stands = standing(attempt, tries=self.tries(attempt) if attempt else None)
        if attempt is None or stands is Standing.PLANNED:
            is_asked = clip.clip_id in self._asked  # whoever asks for it has waited long enough
            await self._plan(clip, retry_at(attempt) if attempt and not is_asked else None)
            return
        clip = clip.in_lane(attempt.lane)
        if stands is Standing.IN_FLIGHT:
            lane = await self._fleet.lane(clip)
            await self._fleet.open_shared(clip)  # where the attempt fails, any of them makes the next one
            lane.resume(clip, attempt)
        elif clip.clip_id in self._asked:
            await self._plan(clip, None)
        else:
            self._end(clip, Verdict.FAILED, attempt, attempt.error_code, attempt.error_message)

    async def _plan(self, clip: Clip, not_before: datetime | None) -> None:
        """Hands a clip that wants an attempt to its lane; where several may take it, any of them does."""
        lanes = await self._fleet.open_shared(clip) if clip.lanes else [await self._fleet.lane(clip)]
        if lanes:
            lanes[0].plan(clip, not_before)
        else:
            self.pool.put(clip, not_before)  # which leaves it, and says why

    async def _follow(self, clip_ids: Collection[str]) -> None:
        """Takes over what is left of clips that this drive holds, from before their rows changed or went."""
        for leftover in self._leftovers.follow(clip_ids, self._undecided.values()):
            try:
                lane = await self._fleet.lane(leftover.clip)
            except SettingsError as error:
                self.notice(f"Clip {leftover.clip.clip_id} has a task that can't be looked at: {error}")
                self._end_leftover(leftover.clip)
            else:
                lane.resume(leftover.clip, leftover.attempt)

    async def _keep(self, clip: Clip, attempt: Attempt) -> None:
        """A stored video costs nothing again; one that left the storage is fetched again while the service has it."""
        path = path_of(attempt)
        if await asyncio.to_thread(self.store.exists, path):
            self._end(clip, Verdict.ALREADY_STORED, attempt)
        elif self.clock() < attempt.expires_at and await self._restore(clip, attempt):
            self.notice(f"Clip {clip.clip_id}: its video was not in the storage any more, and was fetched again.")
            self._end(clip, Verdict.ALREADY_STORED, attempt)
        else:
            message = (
                f"It is paid for, but {path} is not in the storage any more; put the file back, "
                "or change the clip's row (its seed, for example) to pay for another video."
            )
            self._end(clip, Verdict.FAILED, attempt, "VideoMissing", message)

    async def _restore(self, clip: Clip, attempt: Attempt) -> bool:
        return await self.collector.restore(await self._fleet.lane(clip), clip, attempt)

    async def _collect(self) -> None:
        while True:
            _, _, clip, attempt, video_url = await self._collecting.get()
            await self.collector.collect(self, await self._fleet.lane(clip), clip, attempt, video_url)
