"""Fixtures of the tests that kill processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos.story import make_home


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which nothing was done yet, to be copied."""
    return make_home(tmp_path_factory.mktemp("empty") / "home")
