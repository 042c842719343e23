"""Takes a manifest in: read, check, price, and say in the ledger what is wanted. Nothing is paid here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.storage.bulk import in_bulk
from kf2v_pipeline.storage.ledger import Change
from kf2v_pipeline.storage.manifest import read_manifest
from kf2v_pipeline.storage.tables import write_rejected
from kf2v_pipeline.wan.service import Service
from kf2v_pipeline.workflow.plan import Plan, make_plan
from kf2v_pipeline.workflow.project import Project


@in_bulk()
def look_at_manifest(project: Project, service_for: Callable[[str | None], Service] | None = None) -> Plan:
    """Reads and checks the project's manifest, and changes nothing but the ledger's memory of frames.

    Args:
        service_for: Gives a row's service by its name; None to describe any, also without a key for it.

    Raises:
        ManifestError: The manifest as a whole can't be used.
        SettingsError: The service can't be used.
    """
    service_for = service_for or project.service
    service_for(None)
    manifest = read_manifest(project.settings.manifest)
    return make_plan(
        manifest,
        service_for=service_for,
        frame_cache=project.ledger,
        mode=project.settings.frames,
        fix_frames=project.settings.fix_frames,
        long_prompts=project.settings.long_prompts,
        lanes=project.settings.lane_names,
    )


def take_in_manifest(project: Project) -> Plan:
    """Reads and checks the project's manifest, and makes its clips the wanted ones.

    Raises:
        ManifestError: The manifest as a whole can't be used; what was wanted before stays wanted.
        SettingsError: The service can't be used.
        StorageError: The storage can't be written to.
    """
    plan = look_at_manifest(project, project.usable_service)
    take_in_plan(project, plan)
    return plan


@in_bulk()
def take_in_plan(project: Project, plan: Plan) -> Change:
    """Makes the clips of a plan the wanted ones; gives what that changed.

    Raises:
        StorageError: The storage can't be written to; what was wanted before stays wanted.
    """
    project.store.check_writable()
    now = project.clock()
    change = project.ledger.want(project.manifest_name, plan.clips, at=now)
    project.ledger.reject(project.manifest_name, plan.problems, at=now)
    write_rejected(project.store, blocking(plan.problems))
    return change


def refuse_unknown_clips(clip_ids: Sequence[str], clips: Iterable[Clip]) -> None:
    """Raises where a clip that a person asked for by name is none of these.

    Raises:
        SettingsError: It names the ones that are unknown.
    """
    known = {clip.clip_id for clip in clips}
    unknown = [clip_id for clip_id in clip_ids if clip_id not in known]
    if unknown:
        what = f"no good row of the manifest has the clip_id {', '.join(unknown)}"
        raise SettingsError("--clip", what, "check the name")


def blocking(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The problems that set their row aside."""
    return tuple(problem for problem in problems if problem.blocking)
