"""Lists the benchmarks and runs them, one after the other, each in a process of its own: ``python -m bench``."""

from __future__ import annotations

import argparse
import pkgutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SHORT = {
    "dagster_overhead": ["--clips", "200", "--runs", "10", "--plain", "50"],
    "localserver": ["--seconds", "6"],
    "realtime": ["--clips", "30", "--places", "2"],
    "render": ["--only", "quality"],
    "scale": ["--sizes", "1000", "10000"],
}
"""Short settings, for those that have any."""


def find_commands() -> dict[str, list[str]]:
    """How each benchmark is run: a module of this folder, or a folder with a script."""
    modules = (module.name for module in pkgutil.iter_modules([str(HERE)]) if not module.ispkg)
    commands = {name: ["-m", f"bench.{name}"] for name in modules if name != "__main__"}
    for folder in (path for path in HERE.iterdir() if path.is_dir()):
        if (folder / "__main__.py").exists():
            commands[folder.name] = ["-m", f"bench.{folder.name}"]
        elif (folder / "run.py").exists():
            commands[folder.name] = [str(folder.relative_to(HERE.parent) / "run.py")]
    return {name: [*commands[name], *SHORT.get(name, [])] for name in sorted(commands)}


def main() -> None:
    commands = find_commands()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", nargs="*", default=list(commands), help=f"of {', '.join(commands)} (default: all)")
    wanted = parser.parse_args().name
    unknown = [name for name in wanted if name not in commands]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(commands)}")
    failed = []
    for name in wanted:
        print(f"\npython {' '.join(commands[name])}", flush=True)
        if subprocess.run([sys.executable, *commands[name]], cwd=HERE.parent, check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
