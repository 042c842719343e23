"""Commands about what the ledger holds: status, adopt, cancel, resolve. What they do lives in the layers below."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click
from rich.console import Console

from kf2v_pipeline.command import INCOMPLETE, Sentences, print_json, project_options, read_settings
from kf2v_pipeline.errors import SettingsError

_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command()
@project_options
@_json_option
def status(as_json: bool, **flags: Any) -> None:
    """Say where every clip stands, by the ledger.

    Shows every clip that a manifest wants, what is under way and what each attempt waits for, who is at work, and what
    was spent; in red what will expire within the hour and is not stored.
    """
    with Sentences():
        from kf2v_pipeline.orchestration.definitions import open_project
        from kf2v_pipeline.report_ledger import print_status, status_report
        from kf2v_pipeline.workflow.status import look_at_status

        with open_project(read_settings(flags)) as project:
            result = look_at_status(project)
        if as_json:
            print_json(status_report(result))
        else:
            print_status(_console(), result)


@click.command()
@project_options
@click.option("--fast", is_flag=True, help="Compare only the videos' sizes, and do not read every byte of them.")
@_json_option
def adopt(fast: bool, as_json: bool, **flags: Any) -> None:
    """Rebuild a lost ledger from the storage.

    Each video whose sidecar fits it counts as stored again, at no cost; a run of the same manifest then makes no task
    for it. What is left alone is named with the reason.
    """
    with Sentences():
        from kf2v_pipeline.orchestration.definitions import open_project
        from kf2v_pipeline.report_ledger import adoption_report, print_adoption
        from kf2v_pipeline.workflow.adopt import adopt_videos

        with open_project(read_settings(flags)) as project:
            result = adopt_videos(project, fast=fast)
        print_adoption(_console(stderr=as_json), result)
        if as_json:
            print_json(adoption_report(result))
    if result.skipped:
        sys.exit(INCOMPLETE)


@click.command()
@click.argument("clip_ids", nargs=-1, required=True, metavar="CLIP...")
@project_options
@_json_option
def cancel(clip_ids: tuple[str, ...], as_json: bool, **flags: Any) -> None:
    """Cancel tasks that wait in the queue.

    What runs already goes on and is collected. A canceled CLIP is submitted again when kf2v run --clip asks for it.
    """
    with Sentences():
        from kf2v_pipeline.orchestration.definitions import open_project
        from kf2v_pipeline.report_ledger import cancellation_report, print_cancellations
        from kf2v_pipeline.workflow.cancel import cancel_clips

        with open_project(read_settings(flags)) as project:
            result = asyncio.run(cancel_clips(project, clip_ids))
        print_cancellations(_console(stderr=as_json), result)
        if as_json:
            print_json(cancellation_report(result))
    if not all(cancellation.is_canceled for cancellation in result):
        sys.exit(INCOMPLETE)


@click.command()
@click.argument("clip_id", metavar="CLIP")
@click.option("--adopt", "task_id", metavar="TASK_ID", help="This task is the clip's: collect it.")
@click.option("--resubmit", "is_lost", is_flag=True, help="The create made no task: send another one.")
@project_options
@_json_option
def resolve(clip_id: str, task_id: str | None, is_lost: bool, as_json: bool, **flags: Any) -> None:
    """Decide about a create whose reply was lost.

    For a CLIP that kf2v status shows as unconfirmed: --adopt names the task that its create made, --resubmit says that
    it made none, which pays twice if that is wrong.
    """
    with Sentences():
        if (task_id is None) is not is_lost:
            raise SettingsError("kf2v resolve", "it takes one decision", "add either --adopt TASK_ID or --resubmit")
        from kf2v_pipeline.orchestration.definitions import open_project
        from kf2v_pipeline.report_ledger import print_resolution, resolution_report
        from kf2v_pipeline.workflow.resolve import adopt_task, resubmit

        with open_project(read_settings(flags)) as project:
            result = asyncio.run(adopt_task(project, clip_id, task_id)) if task_id else resubmit(project, clip_id)
        print_resolution(_console(stderr=as_json), result)
        if as_json:
            print_json(resolution_report(result))


def _console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr, highlight=False, soft_wrap=True)
