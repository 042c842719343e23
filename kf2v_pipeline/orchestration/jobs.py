"""The jobs: what a sensor, a schedule or a person starts as one run."""

import dagster as dg
from pydantic import Field

from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.domain.clip import digest_of
from kf2v_pipeline.domain.policy import Standing, standing
from kf2v_pipeline.orchestration.render import claim, drive, settle
from kf2v_pipeline.orchestration.steps import gallery_step, manifest_step, table_step
from kf2v_pipeline.workflow.project import Project

_FAILED_DESCRIPTION = "Finds the clips that failed for good, by the reasons and names that a person gives."


class RetryConfig(dg.Config):
    """Which of the failed clips to try again; what is left empty does not narrow them down.

    Attributes:
        clip_ids: Only these clips.
        codes: Only clips that failed with one of these codes, such as ``DataInspectionFailed``.
        max_age_hours: Only clips whose newest attempt was made within so many hours; 0 for any age.
    """

    clip_ids: list[str] = Field(default_factory=list)
    codes: list[str] = Field(default_factory=list)
    max_age_hours: float = 0.0


@dg.op(required_resource_keys={"project"}, out=dg.Out(dg.Nothing), description="Takes the manifest in.")
def read_manifest(context: dg.OpExecutionContext) -> None:
    """Materializes asset ``manifest`` from within a job's run."""
    metadata = manifest_step(context)
    version = digest_of(context.resources.project.wanted())
    context.log_event(dg.AssetMaterialization("manifest", metadata=metadata, tags={"dagster/data_version": version}))


@dg.op(required_resource_keys={"project"}, description=_FAILED_DESCRIPTION)
def choose_failed(context: dg.OpExecutionContext, config: RetryConfig) -> dict[str, object]:
    """The failed clips that a person asks for again."""
    project: Project = context.resources.project
    chosen = [
        clip_id
        for clip_id, attempt in project.ledger.unstored(project.manifest_name).items()
        if attempt is not None and standing(attempt) is Standing.FAILED and _is_meant(project, config, attempt)
    ]
    context.log.info(f"{len(chosen)} failed clips are tried again.")
    return {"clip_ids": chosen, "asked": chosen, "slice_minutes": 0}


@dg.op(
    required_resource_keys={"project"},
    ins={"failures": dg.In(list[str])},
    description="Writes the tables and the gallery, and lets the failures pass on to the end of the run.",
)
def publish(context: dg.OpExecutionContext, failures: list[str]) -> list[str]:
    """Materializes assets ``video_table`` and ``gallery`` from within a job's run."""
    context.log_event(dg.AssetMaterialization("video_table", metadata=table_step(context)))
    context.log_event(dg.AssetMaterialization("gallery", metadata=gallery_step(context)))
    return failures


@dg.op(out=dg.Out(list[str]), description="There is nothing that could have failed yet.")
def begin() -> list[str]:
    """An empty list of failures."""
    return []


@dg.job(description="Takes the manifest in, and nothing else.", executor_def=dg.in_process_executor)
def refresh_manifest() -> None:
    """Manifest alone."""
    read_manifest()


@dg.job(
    description="Renders whatever the ledger wants, or the clips that are named, many in one run; then writes the "
    "tables and the gallery.",
    executor_def=dg.in_process_executor,
)
def render_clips() -> None:
    """Claim → drive → publish → settle."""
    settle(publish(drive(claim())))


@dg.job(
    description="The whole batch in one run: manifest, every wanted clip, tables, gallery. Clips that failed for good "
    "are not tried again until their row changes or a person asks for them.",
    executor_def=dg.in_process_executor,
)
def render_batch() -> None:
    """Manifest → claim → drive → publish → settle."""
    settle(publish(drive(claim(read_manifest()))))


@dg.job(
    description="Tries clips again that failed for good: all of them, or those with certain codes, names or ages, any "
    "set in one run. Failed tasks cost nothing; each new attempt that succeeds is billed. A clip whose lost task may "
    "have been paid for is tried again only by name.",
    executor_def=dg.in_process_executor,
)
def retry_failed() -> None:
    """Choose → drive → publish → settle."""
    settle(publish(drive(choose_failed())))


@dg.job(description="Writes the tables and the gallery anew from the ledger.", executor_def=dg.in_process_executor)
def refresh_tables() -> None:
    """Publish alone."""
    publish(begin())


def _is_meant(project: Project, config: RetryConfig, attempt: Attempt) -> bool:
    age_hours = (project.clock() - attempt.prepared_at).total_seconds() / 3600
    may_be_paid = attempt.state is State.LOST  # another attempt may pay twice: only for who is asked for by name
    return (
        (not may_be_paid or attempt.clip_id in config.clip_ids)
        and (not config.clip_ids or attempt.clip_id in config.clip_ids)
        and (not config.codes or attempt.error_code in config.codes)
        and (not config.max_age_hours or age_hours <= config.max_age_hours)
    )
