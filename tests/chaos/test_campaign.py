"""A short campaign; ``make chaos`` runs one of 200 kills."""

from __future__ import annotations

from pathlib import Path

from chaos.campaign import is_clean, run, show


def test_five_random_deaths_cost_nothing_and_lose_nothing(tmp_path: Path) -> None:
    tally, verdict = run(tmp_path, kills=5, seed=1, clips=3)
    assert is_clean(verdict), show(tally, verdict, seed=1, seconds=0)
    assert tally.kills == 5
