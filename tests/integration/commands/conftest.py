"""Fixtures of the commands' tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from integration.commands.office import Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with ExitStack() as opened:
        yield Office(tmp_path, opened)
