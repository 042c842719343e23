"""A ledger in which nothing was done yet, as a copy of one: making its tables takes a fifth of a second."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from kf2v_pipeline.storage.ledger import Ledger


def write_blank_ledger(path: Path) -> Path:
    """Writes the file, unless there is one; gives its path."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_blank())
    return path


@cache
def _blank() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        Ledger.open(f"sqlite:///{path}").close()
        return path.read_bytes()
