"""A problem: what is wrong with one row of the manifest, and what mends it. Finding problems is others' work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong with one row.

    Attributes:
        row: Counted from 1 without the header.
        clip_id: As the author wrote it; None where the row has none.
        column: Where the problem is.
        what: What is wrong, without a full stop.
        fix: What mends it, without a full stop.
        blocking: Whether the row is set aside; False for a warning.
    """

    row: int
    clip_id: str | None
    column: str
    what: str
    fix: str
    blocking: bool = True

    def __str__(self) -> str:
        name = f" ({self.clip_id})" if self.clip_id else ""
        return f"Row {self.row}{name}, column {self.column}: {self.what}; {self.fix}."
