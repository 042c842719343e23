"""The nightly batch: one run that reads the manifest, renders what is wanted, and writes the tables and the gallery."""

import dagster as dg

from kf2v_pipeline.domain.clip import digest_of
from kf2v_pipeline.orchestration.assets import gallery_step, manifest_step, table_step
from kf2v_pipeline.orchestration.render import claim, drive, settle


@dg.op(required_resource_keys={"project"}, out=dg.Out(dg.Nothing), description="Takes the manifest in.")
def read_manifest(context: dg.OpExecutionContext) -> None:
    """Materializes asset ``manifest`` from within the batch's run."""
    metadata = manifest_step(context)
    version = digest_of(context.resources.project.wanted())
    context.log_event(dg.AssetMaterialization("manifest", metadata=metadata, tags={"dagster/data_version": version}))


@dg.op(
    required_resource_keys={"project"},
    description="Writes the tables and the gallery, and lets the failures pass on to the end of the run.",
)
def publish(context: dg.OpExecutionContext, failures: list[str]) -> list[str]:
    """Materializes assets ``video_table`` and ``gallery`` from within the batch's run."""
    context.log_event(dg.AssetMaterialization("video_table", metadata=table_step(context)))
    context.log_event(dg.AssetMaterialization("gallery", metadata=gallery_step(context)))
    return failures


@dg.job(
    description="The whole batch in one run: manifest, every wanted clip, tables, gallery. Clips that failed for good "
    "are not tried again until their row changes or a person asks for them.",
    executor_def=dg.in_process_executor,
)
def render_batch() -> None:
    """Manifest → claim → drive → publish → settle."""
    settle(publish(drive(claim(read_manifest()))))


nightly = dg.ScheduleDefinition(
    name="nightly",
    job=render_batch,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    description="Renders the manifest's clips at 02:00 UTC. Off until it is turned on, since it may spend money.",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
