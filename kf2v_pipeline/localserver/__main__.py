"""``python -m kf2v_pipeline.localserver``: the local server as a program of its own."""

from __future__ import annotations

import argparse
import logging
import sys
import textwrap
from pathlib import Path

from .place import ServerError
from .scenario import Scenario, ScenarioError
from .server import NOT_IMITATED, Server


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped; the exit code is 2 for what a person must mend."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        scenario = Scenario.load(options.scenario) if options.scenario else Scenario()
        server = Server(
            options.dir,
            scenario=scenario,
            host=options.host,
            port=options.port,
            idle_stop_s=options.idle_stop_s,
            on_ready=lambda: _say(f"Local server at {server.base_url}\n\n{_not_imitated()}"),
        )
        server.run()
    except (ScenarioError, ServerError) as error:
        print(error, file=sys.stderr)  # noqa: T201  a program's last word
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kf2v_pipeline.localserver",
        description="Speaks the HTTP API of Wan first-and-last-frame-to-video, and really renders, on this machine.",
        epilog=_not_imitated(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dir", type=Path, required=True, help="where tasks, films and uploads are kept")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=0, help="0: the one of last time, else any (default)")
    parser.add_argument("--idle-stop-s", type=float, help="stop after so many idle seconds (default: never)")
    parser.add_argument("--scenario", type=Path, help="JSON or TOML file: durations, quotas, faults")
    return parser


def _not_imitated() -> str:
    lines = (textwrap.fill(line, 100, initial_indent="  - ", subsequent_indent="    ") for line in NOT_IMITATED)
    return "\n".join(["What it does not imitate:", *lines])


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  a program says where it is


if __name__ == "__main__":
    sys.exit(main())
