"""The op graph claim → drive → settle: the body of asset ``video``, and the middle of the jobs that render."""

from datetime import timedelta

import dagster as dg
from pydantic import Field

from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.domain.clip import Clip, digest_of
from kf2v_pipeline.orchestration.events import failed_event, report_planned, stored_event, told_fingerprints
from kf2v_pipeline.orchestration.interrupt import run_interruptibly
from kf2v_pipeline.workflow.outcome import DriveReport, Listener, Outcome, Verdict
from kf2v_pipeline.workflow.project import Project

CLIPS = dg.DynamicPartitionsDefinition(name="clips")
"""One partition per clip; its key is the ``clip_id``."""


class RenderConfig(dg.Config):
    """What one run is to render; for asset ``video`` Dagster's partitions say it instead.

    Attributes:
        clip_ids: These clips, also where they failed for good before; empty for whatever is wanted.
        slice_minutes: After so long, what is in flight is left to the next run; 0 to stay until all is decided.
        only_missing: Leaves out what is stored, or failed for good; the sensor's runs have no use for those.
    """

    clip_ids: list[str] = Field(default_factory=list)
    slice_minutes: int = 0
    only_missing: bool = False


@dg.op(
    ins={"manifest": dg.In(dg.Nothing)},
    required_resource_keys={"project"},
    description="Finds out which clips this run is to see stored.",
)
def claim(context: dg.OpExecutionContext, config: RenderConfig) -> dict[str, object]:
    """The run's clips, by id, and for how long it may stay."""
    project: Project = context.resources.project
    chosen = list(context.partition_keys) if _is_partitioned(context) else config.clip_ids
    wanted = _missing(context, project) if config.only_missing else {c.clip_id for c in project.wanted(chosen or None)}
    unknown = [clip_id for clip_id in chosen if clip_id not in wanted]
    if unknown:
        context.log.warning(f"Not in the manifest any more, so not rendered: {', '.join(unknown)}.")
    return {"clip_ids": sorted(wanted), "asked": chosen, "slice_minutes": config.slice_minutes}


@dg.op(
    required_resource_keys={"project", "listener"},
    description="Submits, looks and collects, all lanes side by side; each stored clip is materialized at once.",
)
def drive(context: dg.OpExecutionContext, batch: dict[str, object]) -> list[str]:
    """Drives the clips; gives a sentence for each one that failed."""
    project: Project = context.resources.project
    asked: list[str] = batch["asked"]  # type: ignore[assignment]  # made by ``claim``
    clips = list(project.wanted(batch["clip_ids"]))  # type: ignore[arg-type]  # made by ``claim``
    storyteller = _Storyteller(context, project, context.resources.listener)
    minutes: int = batch["slice_minutes"]  # type: ignore[assignment]  # made by ``claim``
    until = project.clock() + timedelta(minutes=minutes) if minutes else None
    engine = project.engine(clips, storyteller, run_id=context.run_id)
    report = run_interruptibly(engine.drive(clips, asked=asked, until=until))
    context.log.info(_summary(report))
    return [f"{outcome.clip.clip_id} ({outcome.code}: {outcome.message})" for outcome in report.of(Verdict.FAILED)]


@dg.op(out=dg.Out(is_required=False), description="Ends the run as failed where clips failed, and names them.")
def settle(failures: list[str]):  # type: ignore[no-untyped-def]  # a generator that never yields
    """Raises where clips failed; gives no output where all went well.

    An output would materialize every partition of the run's range once more.
    """
    if failures:
        raise dg.Failure(f"{len(failures)} clips failed: {'; '.join(failures)}", allow_retries=False)
    yield from ()


@dg.graph(ins={"manifest": dg.GraphIn()})
def render(manifest):  # type: ignore[no-untyped-def]  # a composition has no types at run time
    """Claim, drive, settle."""
    return settle(drive(claim(manifest)))


class _Storyteller:
    """Tells Dagster of each clip's end as it comes, and passes everything on to whoever else listens."""

    def __init__(self, context: dg.OpExecutionContext, project: Project, listener: Listener) -> None:
        self._context = context
        self._project = project
        self._listener = listener
        self._is_asset_run = _is_partitioned(context)
        self._manifest_version = digest_of(project.wanted())
        self._told = {} if self._is_asset_run else told_fingerprints(context.instance)

    def begun(self, clips: int) -> None:
        """Passed on; Dagster knows the run's clips."""
        self._listener.begun(clips)

    def moved(self, clip_id: str, state: State) -> None:
        """Passed on; Dagster is not told of each move."""
        self._listener.moved(clip_id, state)

    def ended(self, outcome: Outcome) -> None:
        """A stored clip is a materialization, a failed one an observation and a red partition."""
        clip = outcome.clip
        if outcome.verdict is Verdict.STORED or (outcome.verdict is Verdict.ALREADY_STORED and self._is_news(clip)):
            assert outcome.attempt is not None  # noqa: S101  # a stored clip has an attempt; this tells the type checker
            self._context.log_event(self._stored_event(clip, outcome.attempt))
        elif outcome.verdict is Verdict.FAILED:
            if not self._is_asset_run:
                report_planned(self._context, clip.clip_id)
            self._context.log_event(failed_event(outcome))
        self._listener.ended(outcome)

    def noticed(self, sentence: str) -> None:
        """A line in the run's log."""
        self._context.log.warning(sentence)
        self._listener.noticed(sentence)

    def _stored_event(self, clip: Clip, attempt: Attempt) -> dg.AssetMaterialization:
        return stored_event(clip, attempt, self._project.store, manifest_version=self._manifest_version)

    def _is_news(self, clip: Clip) -> bool:
        """Whether Dagster has not heard of this partition's video yet; in a run that asks for it, it is told again."""
        return self._told.get(clip.clip_id) != clip.fingerprint


def _missing(context: dg.OpExecutionContext, project: Project) -> set[str]:
    """The clips that a drive has work with, and those that Dagster was not told of: who stored them died before."""
    told, unstored = told_fingerprints(context.instance), project.ledger.unstored(project.manifest_name)
    untold = {c.clip_id for c in project.wanted() if c.clip_id not in unstored and told.get(c.clip_id) != c.fingerprint}
    return untold | set(project.backlog())


def _is_partitioned(context: dg.OpExecutionContext) -> bool:
    return context.has_partition_key or context.has_partition_key_range


def _summary(report: DriveReport) -> str:
    counts = {verdict: len(report.of(verdict)) for verdict in Verdict}
    return (
        f"{counts[Verdict.STORED]} clips stored, {counts[Verdict.ALREADY_STORED]} were stored already, "
        f"{counts[Verdict.FAILED]} failed, {counts[Verdict.LEFT]} left for the next run; "
        f"{report.created_tasks} tasks created."
    )
