"""The command line, ``kf2v``. What its commands do lives in the layers below."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import click
from rich.console import Console

from kf2v_pipeline.cli_ledger import adopt, cancel, resolve, status
from kf2v_pipeline.cli_weights import weights
from kf2v_pipeline.command import INCOMPLETE, Command, Sentences, own_handle, print_json, project_options, read_settings
from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.progress import ProgressListener


def _render_options(command: Command) -> Command:
    for option in (
        click.option("--max-spend", metavar="N", help="Most that one run may spend, in the service's currency."),
        click.option("--max-spend-per-day", metavar="N", help="The same for all runs of a UTC day together."),
        click.option("--frames", metavar="MODE", help="How frames travel: auto, inline, upload, or url."),
        click.option("--fix-frames/--no-fix-frames", default=None, help="Mend frames that the service would refuse."),
        click.option("--long-prompts", metavar="MODE", help="Prompts over the model's limit: refuse, or cut."),
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kf2v-pipeline")
def main() -> None:
    """Videos from a table of frame pairs and prompts, with Wan, on Dagster.

    Settings come from KF2V_* variables; flags go over them.
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # they are for developers, who ask for them with python -W


@main.command()
@click.argument("manifest", required=False)
@project_options
@click.option("--clip", "clip_ids", multiple=True, metavar="ID", help="Only this clip, also if it failed before.")
@_render_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def run(clip_ids: tuple[str, ...], as_json: bool, **flags: Any) -> None:
    """Render what the MANIFEST wants and is not stored yet."""
    with Sentences(), own_handle(sys.stderr if as_json else sys.stdout) as stream:
        from kf2v_pipeline.orchestration.batch import run_batch
        from kf2v_pipeline.report import batch_report, print_batch

        settings = read_settings(flags)
        console = Console(file=stream, highlight=False, soft_wrap=True)
        with ProgressListener(console) as listener:
            result = run_batch(settings, listener, clip_ids)
        print_batch(console, result)
        if as_json:
            print_json(batch_report(result))
    if not result.is_complete:
        sys.exit(INCOMPLETE)


@main.command()
@click.argument("manifest", required=False)
@project_options
@click.option("--clip", "clip_ids", multiple=True, metavar="ID", help="Only this clip.")
@_render_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plan(clip_ids: tuple[str, ...], as_json: bool, **flags: Any) -> None:
    """Say what a run would do and cost; nothing is created."""
    with Sentences():
        from kf2v_pipeline.orchestration.definitions import open_project
        from kf2v_pipeline.report import forecast_report, print_forecast
        from kf2v_pipeline.workflow.forecast import forecast

        settings = read_settings(flags)
        with TemporaryDirectory() as scratch, ExitStack() as opened:
            if not settings.ledger and not (settings.home / "ledger.db").exists():
                settings = settings.evolve(ledger=f"sqlite:///{scratch}/ledger.db")  # a plan begins no ledger
            project = opened.enter_context(open_project(settings))
            result = forecast(project, clip_ids)
            print_forecast(Console(stderr=as_json, highlight=False, soft_wrap=True), result)
            if as_json:
                print_json(forecast_report(result, project.store.url))
    if any(problem.blocking for problem in result.plan.problems) or result.failures:
        sys.exit(INCOMPLETE)


@main.command()
@click.option("--port", type=int, default=0, help="Port to listen on; a free one by default.")
@click.option("--home", metavar="DIR", help="Folder of the state on this machine (default .kf2v).")
@click.option("--scenario", type=click.Path(dir_okay=False, path_type=Path), help="JSON or TOML file of a scenario.")
def serve(port: int, scenario: Path | None, **flags: Any) -> None:
    """Run the local server: Wan's protocol on this machine, really rendering."""
    with Sentences():
        folder = read_settings(flags).server_directory
    command = [sys.executable, "-m", "kf2v_pipeline.localserver", "--dir", str(folder), "--port", str(port)]
    _become([*command, *(["--scenario", str(scenario)] if scenario else [])], dict(os.environ))


@main.command()
@project_options
@click.option("--port", type=int, default=3000, show_default=True, help="Port of the web UI.")
def ui(port: int, **flags: Any) -> None:
    """Open Dagster's web UI and daemon on this project's instance."""
    with Sentences():
        from kf2v_pipeline.orchestration.instance import prepare_dagster_home, prepare_location

        settings = read_settings(flags)
        _require_webserver()
        environment = {
            **os.environ,
            **settings.to_environment(),
            "DAGSTER_HOME": str(prepare_dagster_home(settings.dagster_home)),
        }
        location = prepare_location(settings.home)
    command = [sys.executable, "-m", "dagster", "dev", "--python-file", str(location), "--port", str(port)]
    _become(command, environment)


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    """Ends as the command: signals then reach it, not a parent that would leave it behind."""
    if os.name == "posix":
        os.execve(command[0], command, environment)  # noqa: S606  # our own interpreter and module
    sys.exit(subprocess.call(command, env=environment))  # noqa: S603  # the same; Windows has no exec


def _require_webserver() -> None:
    try:
        import dagster_webserver  # noqa: F401  # only to see whether it is there
    except ImportError:
        fix = "run pip install 'kf2v-pipeline[ui]'"
        raise SettingsError("kf2v ui", "Dagster's web UI is not installed", fix) from None


for _command in (status, adopt, cancel, resolve, weights):
    main.add_command(_command)
