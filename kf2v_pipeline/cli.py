"""The command line, ``kf2v``. What its commands do lives in the layers below."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console
from rich.table import Table

from kf2v_pipeline.domain.policy import Standing
from kf2v_pipeline.errors import Kf2vError, SettingsError
from kf2v_pipeline.progress import ProgressListener
from kf2v_pipeline.settings import Settings

INCOMPLETE, UNUSABLE, INTERRUPTED = 1, 2, 130
Command = TypeVar("Command", bound=Callable[..., Any])


def _project_options(command: Command) -> Command:
    for option in (
        click.option("--storage", metavar="URL", help="Where videos and tables go: a path or any fsspec URL."),
        click.option("--service", metavar="S", help="local, singapore, beijing, or a base URL."),
        click.option("--ledger", metavar="URL", help="SQLAlchemy URL of the ledger; SQLite in the home by default."),
        click.option("--home", metavar="DIR", help="Folder of the state on this machine (default .kf2v)."),
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kf2v-pipeline")
def main() -> None:
    """Videos from a table of frame pairs and prompts, with Wan, on Dagster.

    Settings come from KF2V_* variables; flags go over them.
    """


@main.command()
@click.argument("manifest", required=False)
@_project_options
@click.option("--clip", "clip_ids", multiple=True, metavar="ID", help="Only this clip, also if it failed before.")
@click.option("--max-spend", metavar="N", help="Most that this run may spend, in the service's currency.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def run(clip_ids: tuple[str, ...], as_json: bool, **flags: Any) -> None:
    """Render what the MANIFEST wants and is not stored yet."""
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    with _Sentences():
        from kf2v_pipeline.orchestration.batch import run_batch
        from kf2v_pipeline.report import batch_report, print_batch

        settings = _settings(flags)
        with ProgressListener(console) as listener:
            result = run_batch(settings, listener, clip_ids)
        print_batch(console, result)
        if as_json:
            _print_json(batch_report(result))
    if not result.is_complete:
        sys.exit(INCOMPLETE)


@main.command()
@click.argument("manifest", required=False)
@_project_options
@click.option("--clip", "clip_ids", multiple=True, metavar="ID", help="Only this clip.")
@click.option("--max-spend", metavar="N", help="Most that the run may spend, in the service's currency.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plan(clip_ids: tuple[str, ...], as_json: bool, **flags: Any) -> None:
    """Say what a run would do and cost; nothing is created."""
    with _Sentences():
        from kf2v_pipeline.orchestration.definitions import open_project
        from kf2v_pipeline.report import forecast_report, print_forecast
        from kf2v_pipeline.workflow.forecast import forecast

        settings = _settings(flags)
        with TemporaryDirectory() as scratch, ExitStack() as opened:
            if not settings.ledger and not (settings.home / "ledger.db").exists():
                settings = settings.evolve(ledger=f"sqlite:///{scratch}/ledger.db")  # a plan begins no ledger
            project = opened.enter_context(open_project(settings))
            result = forecast(project, clip_ids)
            print_forecast(Console(stderr=as_json, highlight=False, soft_wrap=True), result)
            if as_json:
                _print_json(forecast_report(result, project.store.url))
    if any(problem.blocking for problem in result.plan.problems) or result.failures:
        sys.exit(INCOMPLETE)


@main.command()
@_project_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool, **flags: Any) -> None:
    """Say where every wanted clip stands, by the ledger alone."""
    with _Sentences():
        from kf2v_pipeline.orchestration.definitions import open_project
        from kf2v_pipeline.workflow.tables import table_rows

        with open_project(_settings(flags)) as project:
            rows = table_rows(project)
            spend = {money.currency: float(money.amount) for money in project.ledger.spend()}
    counts = {standing.value: sum(row["status"] == standing.value for row in rows) for standing in Standing}
    if as_json:
        shown = ("clip_id", "status", "task_id", "video_path", "submitted_at", "error_code", "error_message")
        clips = [{name: _plain(row[name]) for name in shown} for row in rows]
        _print_json({**counts, "spend": spend, "clips": clips})
        return
    table = Table("clip", "status", "task", "reason", box=None, header_style="bold")
    for row in rows:
        reason = f"{row['error_code']}: {row['error_message']}" if row["error_code"] else ""
        table.add_row(row["clip_id"], row["status"], row["task_id"] or "", reason)
    console = Console(highlight=False)
    console.print(table)
    console.print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()) + ".")


@main.command()
@click.option("--port", type=int, default=0, help="Port to listen on; a free one by default.")
@click.option("--home", metavar="DIR", help="Folder of the state on this machine (default .kf2v).")
@click.option("--scenario", type=click.Path(dir_okay=False, path_type=Path), help="JSON or TOML file of a scenario.")
def serve(port: int, scenario: Path | None, **flags: Any) -> None:
    """Run the local server: Wan's protocol on this machine, really rendering."""
    with _Sentences():
        folder = _settings(flags).server_directory
    command = [sys.executable, "-m", "kf2v_pipeline.localserver", "--dir", str(folder), "--port", str(port)]
    _become([*command, *(["--scenario", str(scenario)] if scenario else [])], dict(os.environ))


@main.command()
@_project_options
@click.option("--port", type=int, default=3000, show_default=True, help="Port of the web UI.")
def ui(port: int, **flags: Any) -> None:
    """Open Dagster's web UI and daemon on this project's instance."""
    with _Sentences():
        from kf2v_pipeline.orchestration.instance import prepare_dagster_home, prepare_location

        settings = _settings(flags)
        _require_webserver()
        environment = {
            **os.environ,
            **settings.to_environment(),
            "DAGSTER_HOME": str(prepare_dagster_home(settings.dagster_home)),
        }
        location = prepare_location(settings.home)
    command = [sys.executable, "-m", "dagster", "dev", "--python-file", str(location), "--port", str(port)]
    _become(command, environment)


class _Sentences:
    """Turns what a person can cause into one sentence and an exit code, without a traceback."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Kf2vError):
            _end(str(error), UNUSABLE)
        if isinstance(error, KeyboardInterrupt):
            sentence = "Stopped. Tasks in flight go on at the service; run the same command again to collect them."
            _end(sentence, INTERRUPTED)


def _end(sentence: str, code: int) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(code)


def _settings(flags: dict[str, Any]) -> Settings:
    return Settings.from_mapping(os.environ, **flags)


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


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _print_json(report: dict[str, Any]) -> None:
    def encode(value: object) -> object:
        if isinstance(value, Decimal):
            return float(value)
        raise TypeError(f"{type(value).__name__} has no place in a report")

    click.echo(json.dumps(report, default=encode, ensure_ascii=False))
