"""The gallery's former page: every clip an element of one HTML file. Kept as the peer of the page that there is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape
from pathlib import Path
from string import Template

from bench.gallery.former.card import Row, card_html, filters_html, summary_html

HERE = Path(__file__).parent


def former_page(rows: Sequence[Row], pictures: Collection[str]) -> str:
    return Template((HERE / "gallery.html").read_text("utf-8")).substitute(
        title=escape("Videos"),
        css=(HERE / "gallery.css").read_text("utf-8"),
        js=(HERE / "gallery.js").read_text("utf-8"),
        summary=summary_html(rows),
        filters=filters_html(rows),
        cards="\n".join(card_html(row, pictures) for row in rows),
        rejected="",
    )
