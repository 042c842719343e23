"""Fixtures of the tests of the ledger: an empty one, where ``url`` says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from blank_ledger import write_blank_ledger
from unit.storage.made_attempts import NOON

from kf2v_pipeline.storage.ledger import Driver, Ledger


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where an empty ledger is."""
    return f"sqlite:///{write_blank_ledger(tmp_path / 'ledger.db')}"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """An empty ledger with two drivers, ``one`` and ``two``."""
    with Ledger.open(url) as opened:
        for owner in ("one", "two"):
            opened.enlist(Driver(owner=owner, host="host", pid=1), at=NOON)
        yield opened
