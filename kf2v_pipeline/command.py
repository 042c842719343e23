"""What the commands share: options, exit codes, and sentences instead of tracebacks."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, NoReturn, TextIO, TypeVar

import click

from kf2v_pipeline.errors import Kf2vError
from kf2v_pipeline.settings import Settings

INCOMPLETE, UNUSABLE, INTERRUPTED = 1, 2, 130
"""Exit codes, beside 0: not all that was wanted is done; it could not begin; a person stopped it."""

Command = TypeVar("Command", bound=Callable[..., Any])


def project_options(command: Command) -> Command:
    """The options of every command that works with a project."""
    for option in (
        click.option("--storage", metavar="URL", help="Where videos and tables go: a path or any fsspec URL."),
        click.option("--service", metavar="S", help="local, singapore, beijing, or a base URL."),
        click.option("--ledger", metavar="URL", help="SQLAlchemy URL of the ledger; SQLite in the home by default."),
        click.option("--home", metavar="DIR", help="Folder of the state on this machine (default .kf2v)."),
    ):
        command = option(command)
    return command


class Sentences:
    """Turns what a person can cause into one sentence and an exit code, without a traceback."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Kf2vError):
            end(str(error), UNUSABLE)
        if isinstance(error, KeyboardInterrupt):
            sentence = "Stopped. Tasks in flight go on at the service; run the same command again to collect them."
            end(sentence, INTERRUPTED)


@contextmanager
def own_handle(stream: TextIO) -> Iterator[TextIO]:
    """The stream through a handle of its own: Dagster turns the process's own one into a file while it runs a step."""
    try:
        handle = os.dup(stream.fileno())
    except OSError:  # it is no file, as in a test
        yield stream
        return
    with open(handle, "w", encoding=stream.encoding, errors=stream.errors) as copy:  # noqa: PTH123  # a handle has no path
        yield copy


def end(sentence: str, code: int) -> NoReturn:
    """Says one sentence, and ends the command."""
    click.echo(sentence, err=True)
    sys.exit(code)


def read_settings(flags: dict[str, Any]) -> Settings:
    """Settings from the environment, with the command's flags on top."""
    return Settings.from_mapping(os.environ, **flags)


def print_json(report: dict[str, Any]) -> None:
    """Prints the report as one JSON object in a line of its own."""

    def encode(value: object) -> object:
        if isinstance(value, Decimal):
            return float(value)
        raise TypeError(f"{type(value).__name__} has no place in a report")

    click.echo(json.dumps(report, default=encode, ensure_ascii=False))
