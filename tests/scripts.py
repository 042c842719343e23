"""Console scripts in forks of a process that has imported Dagster, which takes each process of its own seconds."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryDirectory

from life import Life

LONGEST_S = 120


def run_script(*command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """What a console script of this environment prints, once it has succeeded.

    Args:
        folder: Where it is run, and what it imports from first.
        environment: All of its variables.
    """
    with TemporaryDirectory() as printed:
        stdout, stderr = (Path(printed) / name for name in ("stdout", "stderr"))
        life = Life(_become, command, folder, dict(environment), stdout, stderr)
        has_ended = life.ends_within(LONGEST_S)
        life.kill()
        said = stdout.read_text(encoding="utf-8")
        assert has_ended, f"it hangs: {said}{stderr.read_text(encoding='utf-8')}"
        assert life.exit_code() == 0, said + stderr.read_text(encoding="utf-8")
        return said


def _become(command: tuple[str, ...], folder: Path, environment: Mapping[str, str], stdout: Path, stderr: Path) -> None:
    for descriptor, path in ((1, stdout), (2, stderr)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.argv = list(command)
    [script] = entry_points(group="console_scripts", name=command[0])
    script.load()()
