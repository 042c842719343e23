"""What the gallery says of all clips together: counted in one pass, so that no more than a few rows are ever held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from kf2v_pipeline.workflow.gallery_data import Row, flaw_names

STATES = {"stored": "Stored", "failed": "Failed", "in_flight": "In flight", "planned": "Planned"}


class Summary:
    """Counts of the clips that were added.

    Attributes:
        clips: How many there are.
    """

    def __init__(self) -> None:
        self.clips = 0
        self._states: Counter[str] = Counter()
        self._costs: Counter[str] = Counter()
        self._flaws: Counter[str] = Counter()
        self._seconds = 0.0
        self._measured = 0
        self._flawless = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Counts rows of the videos table."""
        for row in rows:
            self.clips += 1
            self._states[str(row["status"])] += 1
            if row["cost"]:
                self._costs[row["currency"] or ""] += row["cost"]
            if row["status"] == "stored":
                self._seconds += row["duration_s"] or 0
            for names in flaw_names((row,)):
                self._measured += 1
                self._flawless += not names
                self._flaws.update(names)

    def states(self) -> list[tuple[str, str, int]]:
        """Each state that some clip has: its word, its name for people, how many clips."""
        return [(state, name, self._states[state]) for state, name in STATES.items() if self._states[state]]

    def sentence(self) -> str:
        """How many clips, how much film, what it cost."""
        parts = ["1 clip" if self.clips == 1 else f"{self.clips:,} clips"]
        if self._seconds:
            parts.append(f"{self._seconds:.0f} s of film" if self._seconds < 120 else f"{self._minutes} min of film")
        parts += [_money(cost, currency) for currency, cost in sorted(self._costs.items())]
        return " · ".join(parts)

    def facts(self) -> dict[str, Any]:
        """The counts that the page's filters show."""
        return {
            "total": self.clips,
            "flaws": dict(self._flaws),
            "measured": self._measured,
            "flawless": self._flawless,
        }

    @property
    def _minutes(self) -> str:
        return f"{self._seconds / 60:,.1f}"


def _money(amount: float, currency: str) -> str:
    exact = f"{amount:,.4f}".rstrip("0")
    whole, _, cents = exact.partition(".")
    return f"{whole}.{cents:0<2} {currency}".rstrip()
