"""Runs a whole batch in this process, as Dagster runs on the project's persistent instance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import dagster as dg

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.domain.price import total_by_currency
from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.domain.quality import flaws
from kf2v_pipeline.orchestration.definitions import build_definitions, open_project
from kf2v_pipeline.orchestration.instance import open_instance
from kf2v_pipeline.orchestration.interrupt import hearing_interrupts
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.workflow.finish import measured_of
from kf2v_pipeline.workflow.intake import refuse_unknown_clips
from kf2v_pipeline.workflow.outcome import Listener, Outcome, Verdict
from kf2v_pipeline.workflow.project import Project

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Dagster's console log; its own record of the run is complete all the same."""


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """How a batch went.

    Attributes:
        outcomes: One per clip of the batch.
        problems: What is wrong with rows of the manifest, warnings among them.
        notices: What a person should read, such as lanes that stopped.
        storage: Address of the storage, without secrets.
        is_partial: Whether only clips were rendered that were asked for by name.
        flaws: Names of the checks that videos failed, by clip_id, of those where some did.
    """

    outcomes: tuple[Outcome, ...]
    problems: tuple[Problem, ...]
    created_tasks: int
    notices: tuple[str, ...]
    storage: str
    is_partial: bool = False
    flaws: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def rejected_rows(self) -> int:
        """Rows of the manifest that were set aside."""
        return len({problem.row for problem in self.problems if problem.blocking})

    @property
    def spend(self) -> dict[str, Decimal]:
        """What the videos cost that this batch stored, by currency."""
        return total_by_currency(
            outcome.attempt.bill for outcome in self.of(Verdict.STORED) if outcome.attempt and outcome.attempt.bill
        )

    @property
    def is_complete(self) -> bool:
        """Whether every clip is stored and, unless only some were asked for, no row was set aside."""
        stored = self.of(Verdict.STORED, Verdict.ALREADY_STORED)
        return len(stored) == len(self.outcomes) and (self.is_partial or not self.rejected_rows)

    def of(self, *verdicts: Verdict) -> tuple[Outcome, ...]:
        """The outcomes with these verdicts."""
        return tuple(outcome for outcome in self.outcomes if outcome.verdict in verdicts)


class _Recorder:
    """Keeps what a drive tells, and passes it on."""

    def __init__(self, listener: Listener) -> None:
        self.outcomes: list[Outcome] = []
        self.notices: list[str] = []
        self.created_tasks = 0
        self._listener = listener

    def begun(self, clips: int) -> None:
        """Passed on."""
        self._listener.begun(clips)

    def moved(self, clip_id: str, state: State) -> None:
        """Counts the tasks."""
        self.created_tasks += state is State.SUBMITTED
        self._listener.moved(clip_id, state)

    def ended(self, outcome: Outcome) -> None:
        """Keeps the outcome."""
        self.outcomes.append(outcome)
        self._listener.ended(outcome)

    def noticed(self, sentence: str) -> None:
        """Keeps the sentence."""
        self.notices.append(sentence)
        self._listener.noticed(sentence)

    def stopped(self, lane: str, code: str, *, is_left: bool) -> None:
        """Passed on."""
        self._listener.stopped(lane, code, is_left=is_left)


def run_batch(settings: Settings, listener: Listener, clip_ids: Sequence[str] = ()) -> BatchResult:
    """Materializes manifest, videos, tables and gallery in this process.

    Args:
        clip_ids: Only these clips, also where they failed for good before; none for all.

    Raises:
        Kf2vError: Settings, manifest, ledger or storage can't be used, or a clip is not in the manifest.
    """
    recorder = _Recorder(listener)
    definitions = build_definitions(settings, recorder)
    asset_job = definitions.resolve_implicit_global_asset_job_def()
    with hearing_interrupts(), open_instance(settings.dagster_home) as instance:
        asset_job.execute_in_process(instance=instance, asset_selection=[Names().manifest], run_config=_QUIET)
        with open_project(settings) as project:
            refuse_unknown_clips(clip_ids, project.wanted())
        config: dict[str, Any] = {"ops": {"claim": {"config": {"clip_ids": list(clip_ids)}}}}
        render_clips = definitions.resolve_job_def("render_clips")
        with suppress(dg.Failure):  # clips failed: the outcomes name each of them
            render_clips.execute_in_process(instance=instance, run_config=config | _QUIET)
    with open_project(settings) as project:
        return BatchResult(
            outcomes=tuple(recorder.outcomes),
            problems=project.problems(),
            created_tasks=recorder.created_tasks,
            notices=tuple(recorder.notices),
            storage=project.store.url,
            is_partial=bool(clip_ids),
            flaws=_flaws(project, recorder.outcomes),
        )


def _flaws(project: Project, outcomes: Iterable[Outcome]) -> dict[str, tuple[str, ...]]:
    attempts = {outcome.clip.clip_id: outcome.attempt for outcome in outcomes if outcome.attempt is not None}
    measured = measured_of(project.ledger, attempts)
    found = {clip_id: tuple(flaw.check for flaw in flaws(quality)) for clip_id, quality in measured.items()}
    return {clip_id: names for clip_id, names in found.items() if names}
