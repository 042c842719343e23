"""Tells Dagster how a drive goes, while it goes on. What is told of a clip is said in ``events``."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress

import dagster as dg

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.domain.quality import Quality, flaws
from kf2v_pipeline.orchestration.event_log import Together
from kf2v_pipeline.orchestration.events import failed_event, flaw_event, log_check, report_planned, stored_event
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.stop import Stop, as_tag
from kf2v_pipeline.orchestration.told import Red, Told
from kf2v_pipeline.words import counted
from kf2v_pipeline.workflow.finish import measured_of
from kf2v_pipeline.workflow.outcome import Listener, Outcome, Verdict
from kf2v_pipeline.workflow.project import Project

TOLD_WITHIN_S = 1.0
"""How long an ended clip waits to be told: what ends meanwhile is told with it, in less than half of the time."""

TOLD_AT_ONCE = 50
"""Clips that are told in one go: the drive waits meanwhile, and so does whoever else writes events."""

_End = tuple[dg.AssetMaterialization | dg.AssetObservation, list[dg.AssetCheckEvaluation]]
"""What a clip's end looks like, and the checks that its film did not pass."""


class Storyteller:
    """Tells Dagster of each clip's end within a second, and passes everything on to whoever else listens.

    Attributes:
        is_asset_run: Whether Dagster has planned the run's partitions itself.
        stop_codes: Why lanes stopped.
        failed: The clips that failed, but for those of which an earlier run told so and nobody asked for another try.
    """

    def __init__(
        self, context: dg.OpExecutionContext, names: Names, project: Project, asked: Collection[str] = ()
    ) -> None:
        self.is_asset_run = is_partitioned(context)
        self.stop_codes: set[str] = set()
        self.failed: list[Outcome] = []
        self._asked = frozenset(asked)
        self._context = context
        self._names = names
        self._project = project
        self._listener: Listener = names.listener(context)
        self._told = Told.ask(context.instance, names)
        # Whoever chooses partitions asks for all of them: each that fails is news.
        self._red = Red() if self.is_asset_run else Red.ask(context.instance, names)
        self._stops: dict[str, Stop] = {}
        self._untold: list[Outcome] = []
        self._telling: asyncio.Task[None] | None = None
        self._together: Together = nullcontext
        self._trouble: Exception | None = None
        self._measures = project.settings.quality

    def begun(self, clips: int) -> None:
        """One line in the run's log."""
        self._context.log.info(f"To be seen stored: {counted(clips, 'clip')}.")
        self._listener.begun(clips)

    @contextmanager
    def telling(self, together: Together) -> Iterator[None]:
        """For as long as clips end. At its end all of them are told; after an error, those that are told in one go.

        Args:
            together: Within such a context several events are written in one go.
        """
        self._together = together
        try:
            yield
        except BaseException:
            with suppress(Exception):  # the next run tells what this one did not
                self._tell_some()
            raise
        while self._untold:
            self._tell_some()

    def moved(self, clip_id: str, state: State) -> None:
        """Passed on; Dagster is not told of each move."""
        self._check()
        self._listener.moved(clip_id, state)

    def ended(self, outcome: Outcome) -> None:
        """A stored clip is a materialization, a failed one an observation and a red partition: soon."""
        self._check()
        if self._is_to_be_told(outcome):
            if outcome.verdict is Verdict.FAILED:
                self.failed.append(outcome)
            self._untold.append(outcome)
            if len(self._untold) == 1:
                self._telling = asyncio.get_running_loop().create_task(self._tell_soon())
        self._listener.ended(outcome)

    def noticed(self, sentence: str) -> None:
        """A line in the run's log."""
        self._context.log.warning(sentence)
        self._listener.noticed(sentence)

    def stopped(self, lane: str, code: str, *, is_left: bool) -> None:
        """A tag of the run, at once: its clips are nobody's from now on, and the clip sensor must know why."""
        self.stop_codes.add(code)
        self._stops[lane] = Stop(code, self._project.clock(), is_left)
        self._context.instance.add_run_tags(self._context.run_id, as_tag(self._stops, self._context.run_id))
        self._listener.stopped(lane, code, is_left=is_left)

    def _is_to_be_told(self, outcome: Outcome) -> bool:
        if outcome.verdict is Verdict.ALREADY_STORED:
            # In a run that asks for the partition it is told again, else only where that changes what Dagster shows.
            is_red = outcome.clip.clip_id in self._red.clip_ids
            return self.is_asset_run or is_red or not self._told.is_told(outcome.clip)
        return outcome.verdict is Verdict.STORED or (outcome.verdict is Verdict.FAILED and self._is_news(outcome))

    def _is_news(self, outcome: Outcome) -> bool:
        """Each night finds the clips that failed for good before; that is told once, and turns one run red."""
        if outcome.attempt is None or outcome.clip.clip_id in self._asked:
            return True
        return self._red.attempts.get(outcome.clip.clip_id) != outcome.attempt.attempt_id

    def _check(self) -> None:
        """Lets whoever drives know that Dagster could not be told."""
        if self._trouble is not None:
            raise self._trouble

    async def _tell_soon(self) -> None:
        """Tells in a second what has ended by then; nobody waits for it, so that an error waits for the next word.

        What to tell is found out in another thread: a storage elsewhere may hang, and the drive must not. A drive that
        ends meanwhile leaves it to ``telling``.
        """
        try:
            await asyncio.sleep(TOLD_WITHIN_S)
            while self._untold:
                some = self._untold[:TOLD_AT_ONCE]
                self._tell(some, await asyncio.to_thread(self._ends_of, some))
        except Exception as error:  # noqa: BLE001  # whatever it is, it ends the drive
            self._trouble = error

    def _tell_some(self) -> None:
        """Tells some at once, where no drive has to wait for it any more."""
        some = self._untold[:TOLD_AT_ONCE]
        self._tell(some, self._ends_of(some))

    def _tell(self, some: Sequence[Outcome], ends: Sequence[_End]) -> None:
        """Tells the first of those that are untold, in the thread in which Dagster runs the op."""
        with self._together():
            for outcome, (event, checks) in zip(some, ends, strict=True):
                if outcome.verdict is Verdict.FAILED and not self.is_asset_run:
                    report_planned(self._context, self._names, outcome.clip.clip_id)
                self._context.log_event(event)
                for check in checks:
                    log_check(self._context, check)
        del self._untold[: len(some)]

    def _ends_of(self, some: Sequence[Outcome]) -> list[_End]:
        """Reads what is to be told, in the ledger and the storage, and changes nothing: whichever thread may do it."""
        # What this drive stored is measured only where films are; what was stored before, it must ask for.
        attempts = {
            outcome.clip.clip_id: outcome.attempt
            for outcome in some
            if outcome.attempt and (self._measures or outcome.verdict is not Verdict.STORED)
        }
        measured = measured_of(self._project.ledger, attempts) if attempts else {}
        return [self._end_of(outcome, measured.get(outcome.clip.clip_id)) for outcome in some]

    def _end_of(self, outcome: Outcome, quality: Quality | None) -> _End:
        clip, attempt = outcome.clip, outcome.attempt
        if outcome.verdict is Verdict.FAILED:
            return failed_event(self._names, outcome), []
        assert attempt is not None  # noqa: S101  # a stored clip has an attempt; this tells the type checker
        store, told = self._project.store, self._told
        stored = stored_event(self._names, clip, attempt, store=store, told=told, quality=quality)
        return stored, [flaw_event(self._names, clip, flaw) for flaw in flaws(quality)] if quality else []


def is_partitioned(context: dg.OpExecutionContext) -> bool:
    """Whether Dagster has chosen the run's partitions: it is a run of asset ``video``."""
    return context.has_partition_key or context.has_partition_key_range
