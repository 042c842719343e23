"""Benchmarks: each prints one table, with a peer in the same run."""

from __future__ import annotations

from rich.table import Table


def figures_table(title: str, *columns: str) -> Table:
    """A table of figures; the column without a name says whose they are."""
    table = Table(title=title)
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    return table
