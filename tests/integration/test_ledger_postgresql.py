"""Everything that the unit tests say of a ledger on SQLite, said of one on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

UNIT = Path(__file__).parents[1] / "unit" / "storage"


def load(name: str) -> dict[str, Any]:
    """The tests of a module of unit tests, or their fixture ``ledger``; not their ``url``."""
    spec = spec_from_file_location(f"{name}_on_postgresql", UNIT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return {key: value for key, value in vars(module).items() if key.startswith("test_") or key == "ledger"}


NOUNS = ("adopt", "attempt", "claim", "fact", "film", "frame", "machine", "spend", "wanted")

globals().update(load("conftest"))
for noun in NOUNS:
    globals().update(load(f"test_ledger_{noun}"))


@pytest.fixture
def url(new_postgresql_url: Callable[[], str]) -> str:
    """Where an empty ledger may be made."""
    return new_postgresql_url()
