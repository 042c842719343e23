"""What others build on: the public names, the commands, and what it costs to look at them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kf2v_pipeline
from kf2v_pipeline.cli import main

PUBLIC_NAMES = {
    "FrameClipBatch",
    "Kf2vError",
    "LedgerResource",
    "ServiceResource",
    "Settings",
    "StorageResource",
    "build_definitions",
}
"""Spelled a second time, so that none comes or goes by accident."""

COMMANDS = {"run", "plan", "status", "serve", "ui", "adopt", "cancel", "resolve", "weights"}

SLOW_TO_IMPORT = ("dagster", "pandas", "pyarrow", "sqlalchemy", "av", "cv2")


def test_the_package_has_these_public_names_and_each_is_there() -> None:
    assert set(kf2v_pipeline.__all__) == PUBLIC_NAMES
    for name in PUBLIC_NAMES:
        assert getattr(kf2v_pipeline, name).__name__ == name
    assert set(dir(kf2v_pipeline)) >= PUBLIC_NAMES


def test_another_name_is_an_attribute_error_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Frames'"):
        _ = kf2v_pipeline.Frames


def test_the_command_line_has_these_commands_and_each_explains_itself() -> None:
    assert set(main.commands) == COMMANDS
    assert all(command.help for command in main.commands.values())


@pytest.mark.parametrize(
    "code", ["import kf2v_pipeline", "import kf2v_pipeline.cli", "from kf2v_pipeline.cli import main; main(['--help'])"]
)
def test_looking_at_the_command_line_imports_nothing_slow(code: str) -> None:
    program = f"""
import atexit, sys
atexit.register(lambda: print("imported:", *sorted({set(SLOW_TO_IMPORT)} & set(sys.modules)), file=sys.stderr))
{code}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "imported:\n"


def test_of_the_local_server_dagster_loads_only_what_starts_it() -> None:
    """Each run, and each start of a code server, would import routes, films and a web server else."""
    program = """
import kf2v_pipeline.orchestration.definitions, sys
print(*sorted(name for name in sys.modules if name.startswith("kf2v_pipeline.localserver.")), sep="\\n")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    parts = [name.rpartition(".")[2] for name in done.stdout.split()]
    assert parts == ["lock", "place", "process"]
