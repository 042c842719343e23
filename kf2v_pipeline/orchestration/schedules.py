"""The nightly schedule."""

import dagster as dg

from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.settings import Settings


def build_nightly(settings: Settings, names: Names, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """The schedule that takes the manifest in and renders what is missing. Off until it is turned on.

    Raises:
        SettingsError: The cron expression or the timezone has no meaning.
    """
    cron, timezone = settings.nightly_cron, settings.nightly_timezone
    try:
        dg.ScheduleDefinition(name="probe", job_name="probe", cron_schedule=cron)
    except dg.DagsterInvalidDefinitionError:
        fix = "write its five fields, such as 0 2 * * * for every night at 02:00"
        raise SettingsError("KF2V_NIGHTLY_CRON", f"{cron!r} is no cron expression", fix) from None
    try:
        return dg.ScheduleDefinition(
            name=names.of("nightly"),
            job=job,
            cron_schedule=cron,
            execution_timezone=timezone,
            description=f"Reads the manifest and renders what is missing, at {cron} {timezone}. Off until it is turned "
            "on, since it may spend money.",
            default_status=dg.DefaultScheduleStatus.STOPPED,
        )
    except dg.DagsterInvalidDefinitionError:
        fix = "write one such as UTC or Europe/Berlin"
        raise SettingsError("KF2V_NIGHTLY_TIMEZONE", f"{timezone!r} is no timezone", fix) from None
