"""Tells Dagster how a drive goes, while it goes on. What is told of a clip is said in ``events``."""

from collections.abc import Collection

import dagster as dg

from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.quality import Quality, flaws
from kf2v_pipeline.orchestration.events import failed_event, flaw_event, log_check, report_planned, stored_event
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.stop import Stop, as_tag
from kf2v_pipeline.orchestration.told import Told, told_failures
from kf2v_pipeline.words import counted
from kf2v_pipeline.workflow.outcome import Listener, Outcome, Verdict
from kf2v_pipeline.workflow.project import Project


class Storyteller:
    """Tells Dagster of each clip's end as it comes, and passes everything on to whoever else listens.

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
        self._told_failures = {} if self.is_asset_run else told_failures(context.instance, names)
        self._stops: dict[str, Stop] = {}
        self._measures = project.settings.quality

    def begun(self, clips: int) -> None:
        """One line in the run's log."""
        self._context.log.info(f"To be seen stored: {counted(clips, 'clip')}.")
        self._listener.begun(clips)

    def moved(self, clip_id: str, state: State) -> None:
        """Passed on; Dagster is not told of each move."""
        self._listener.moved(clip_id, state)

    def ended(self, outcome: Outcome) -> None:
        """A stored clip is a materialization, a failed one an observation and a red partition."""
        clip = outcome.clip
        # In a run that asks for the partition it is told again, else only what Dagster does not know yet.
        is_news = self.is_asset_run or not self._told.is_told(clip)
        if outcome.verdict is Verdict.STORED or (outcome.verdict is Verdict.ALREADY_STORED and is_news):
            assert outcome.attempt is not None  # noqa: S101  # a stored clip has an attempt; this tells the type checker
            # What this drive stored is measured only where films are; what was stored before, it must ask for.
            is_measured = self._measures or outcome.verdict is not Verdict.STORED
            self._tell_stored(clip, outcome.attempt, is_measured=is_measured)
        elif outcome.verdict is Verdict.FAILED and self._is_news(outcome):
            self.failed.append(outcome)
            if not self.is_asset_run:
                report_planned(self._context, self._names, clip.clip_id)
            self._context.log_event(failed_event(self._names, outcome))
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

    def _is_news(self, outcome: Outcome) -> bool:
        """Each night finds the clips that failed for good before; that is told once, and turns one run red."""
        if outcome.attempt is None or outcome.clip.clip_id in self._asked:
            return True
        return self._told_failures.get(outcome.clip.clip_id) != outcome.attempt.attempt_id

    def _tell_stored(self, clip: Clip, attempt: Attempt, *, is_measured: bool) -> None:
        quality = quality_of(self._project, attempt) if is_measured else None
        store, told = self._project.store, self._told
        self._context.log_event(stored_event(self._names, clip, attempt, store=store, told=told, quality=quality))
        for flaw in flaws(quality) if quality else ():
            log_check(self._context, flaw_event(self._names, clip, flaw))


def quality_of(project: Project, attempt: Attempt) -> Quality | None:
    """What an attempt's film measures; None where it was not measured."""
    return project.ledger.qualities([attempt.attempt_id]).get(attempt.attempt_id)


def is_partitioned(context: dg.OpExecutionContext) -> bool:
    """Whether Dagster has chosen the run's partitions: it is a run of asset ``video``."""
    return context.has_partition_key or context.has_partition_key_range
