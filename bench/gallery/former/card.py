"""What the gallery says of its clips, as HTML: pure text from rows. Every value that a person wrote is escaped here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import quote

from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.storage.layout import first_frame_path, last_frame_path, poster_path, strip_path
from kf2v_pipeline.storage.tables import VIDEOS_SCHEMA

Row = Mapping[str, Any]

STATES = {"stored": "Stored", "failed": "Failed", "in_flight": "In flight", "planned": "Planned"}

TITLE_COLUMN = "title"
"""A carried column of this name is a card's headline; without it the clip_id is."""


def summary_html(rows: Sequence[Row]) -> str:
    """The page's one line: how many clips, how many seconds of film, what they cost."""
    seconds = sum(row["duration_s"] or 0 for row in rows if row["status"] == "stored")
    costs: Counter[str] = Counter()
    for row in rows:
        if row["cost"]:
            costs[row["currency"] or ""] += row["cost"]
    parts = ["1 clip" if len(rows) == 1 else f"{len(rows):,} clips"]
    if seconds:
        parts.append(f"{seconds:.0f} s of film" if seconds < 120 else f"{seconds / 60:.1f} min of film")
    parts += [_money(cost, currency) for currency, cost in sorted(costs.items())]
    return " &middot; ".join(escape(part) for part in parts)


def filters_html(rows: Sequence[Row]) -> str:
    """A button for all clips, and one for each state that some clip has."""
    counts = Counter(row["status"] for row in rows)
    buttons = [
        ("", "All", len(rows)),
        *((state, name, counts[state]) for state, name in STATES.items() if counts[state]),
    ]
    return "\n".join(
        f'<button type="button" data-show="{state}" aria-pressed="{str(not state).lower()}">{name}'
        f"<span>{count:,}</span></button>"
        for state, name, count in buttons
    )


def rejected_html(problems: Sequence[Problem]) -> str:
    """The table of what is wrong with the manifest; nothing where all is well."""
    if not problems:
        return ""
    lines = "\n".join(
        "<tr>" + "".join(f"<td>{escape(str(value or ''))}</td>" for value in values) + "</tr>"
        for problem in problems
        for values in [(problem.row, problem.clip_id, problem.column, problem.what, problem.fix)]
    )
    aside = len({problem.row for problem in problems if problem.blocking})
    note = f"{aside} {'row was' if aside == 1 else 'rows were'} set aside; what mends them stands beside them."
    return (
        f'<section class="aside"><h2>Notes on the manifest</h2><p>{note}</p><div class="scroll"><table>'
        "<tr><th>Row</th><th>Clip</th><th>Column</th><th>What is wrong</th><th>What mends it</th></tr>\n"
        f"{lines}</table></div></section>"
    )


def card_html(row: Row, pictures: Collection[str]) -> str:
    """One clip: what shows in the grid, and in a template what shows when it is opened.

    Args:
        row: Of the videos table.
        pictures: The paths of all small pictures that the store has.
    """
    strip = _image(strip_path(row["clip_id"], row["fingerprint"]), pictures, css="strip")
    facts = [row["clip_id"], _size(row) or row["resolution"], _cost(row)]
    return f"""<article class="card" id="{escape(row["clip_id"])}" data-state="{escape(row["status"])}">
{_stage(row, pictures)}{strip}
<div class="text">
<div class="head"><h2>{escape(_title(row))}</h2>{_state(row)}</div>
{_reason(row)}<p class="words">{escape(row["prompt"] or "")}</p>
<p class="facts">{"".join(f"<span>{escape(fact)}</span>" for fact in facts if fact)}</p>
</div>
<template>{_detail(row, pictures)}</template>
</article>"""


def _stage(row: Row, pictures: Collection[str]) -> str:
    """The picture at the top of a card: the film's, or both frames of a clip that has none yet."""
    label = escape(f"Open {_title(row)}")
    if row["status"] != "stored":
        return f'<button type="button" class="stage pair" aria-label="{label}">{_pair(row, pictures)}</button>'
    poster = _image(poster_path(row["clip_id"], row["fingerprint"]), pictures) or _BLANK
    film = _link(row["video_path"])
    length = f'<span class="length">{row["duration_s"]:.1f} s</span>' if row["duration_s"] else ""
    return f'<a class="stage" href="{film}" data-video="{film}" aria-label="{label}">{poster}{length}</a>'


_BLANK = '<span class="blank">No picture</span>'


def _pair(row: Row, pictures: Collection[str]) -> str:
    key = (row["clip_id"], row["fingerprint"])
    return (_image(first_frame_path(*key), pictures) + _image(last_frame_path(*key), pictures)) or _BLANK


def _detail(row: Row, pictures: Collection[str]) -> str:
    words = [
        ("Prompt", row["prompt"]),
        ("Prompt as the model read it", row["actual_prompt"] if row["actual_prompt"] != row["prompt"] else None),
        ("Negative prompt", row["negative_prompt"]),
    ]
    sections = "".join(
        f'<section><h3>{name}</h3><p class="words">{escape(text)}</p></section>' for name, text in words if text
    )
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in _facts(row) if value)
    return (
        f'<div class="detail" data-state="{escape(row["status"])}"><div class="film">{_film(row, pictures)}</div>'
        f'<div class="about"><header><h2>{escape(_title(row))}</h2>{_state(row)}</header>{_reason(row)}{sections}'
        f"<dl>{facts}</dl></div></div>"
    )


def _film(row: Row, pictures: Collection[str]) -> str:
    if row["status"] != "stored":
        return f'<div class="screen"><div class="stage pair">{_pair(row, pictures)}</div></div>'
    key = (row["clip_id"], row["fingerprint"])
    ends = "".join(
        f"<figure>{image}<figcaption>{name}</figcaption></figure>"
        for name, path in (("First frame", first_frame_path(*key)), ("Last frame", last_frame_path(*key)))
        if (image := _image(path, pictures))
    )
    shape = f' width="{row["width"]}" height="{row["height"]}"' if row["width"] and row["height"] else ""
    film = f'<video src="{_link(row["video_path"])}"{shape} controls autoplay loop muted playsinline></video>'
    return f'<div class="screen">{film}</div><div class="ends">{ends}</div>'


def _facts(row: Row) -> Iterable[tuple[str, str]]:
    """Name and value of all that is known of a clip; values are HTML, empty where there is none."""
    yield "Clip", _mono(row["clip_id"])
    for name, value in row.items():
        if name not in VIDEOS_SCHEMA.names and name != TITLE_COLUMN and value is not None:
            yield name, escape(str(value))
    yield "Cost", escape(_cost(row))
    yield "Model", escape(f"{row['model']}, {row['resolution']}, {row['service']}")
    yield "Seed", _plain(row["seed"])
    yield "Picture", escape(", ".join(part for part in (_size(row), row["codec"]) if part))
    yield (
        "Length",
        f"{row['duration_s']:.2f} s, {row['frames']} frames, {row['fps']:g} fps" if row["fps"] else "",
    )
    yield "File", f"{row['size_bytes'] / 1e6:.2f} MB" if row["size_bytes"] else ""
    yield "Attempt", _plain(row["attempt"])
    yield "Submitted", _instant(row["submitted_at"])
    yield "Started", _instant(row["started_at"])
    yield "Ended", _instant(row["ended_at"])
    yield "Stored", _instant(row["stored_at"])
    yield "Task", _copyable(row["task_id"])
    yield "Request", _copyable(row["request_id"])
    # The page may go to a client: the folders of the machine that made it stay out.
    yield "First frame", _mono((row["first_frame_path"] or "").rpartition("/")[2])
    yield "Last frame", _mono((row["last_frame_path"] or "").rpartition("/")[2])
    yield "Video", _mono(row["video_path"])
    yield "SHA-256", _mono(row["sha256"])
    yield "Fingerprint", _mono(row["fingerprint"])


def _title(row: Row) -> str:
    title = row.get(TITLE_COLUMN)
    return title if isinstance(title, str) and title.strip() else str(row["clip_id"])


def _state(row: Row) -> str:
    return f'<span class="state">{escape(str(STATES.get(row["status"], row["status"])))}</span>'


def _reason(row: Row) -> str:
    if not (row["error_code"] or row["error_message"]):
        return ""
    code = f"<b>{escape(row['error_code'])}</b>" if row["error_code"] else ""
    return f'<p class="reason">{code}{escape(row["error_message"] or "")}</p>\n'


def _size(row: Row) -> str:
    return f"{row['width']} × {row['height']}" if row["width"] and row["height"] else ""


def _cost(row: Row) -> str:
    return "" if row["cost"] is None else _money(row["cost"], row["currency"] or "")


def _money(amount: float, currency: str) -> str:
    exact = f"{amount:.4f}".rstrip("0")
    whole, _, cents = exact.partition(".")
    return f"{whole}.{cents:0<2} {currency}".rstrip()


def _instant(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


def _plain(value: object) -> str:
    return "" if value is None else escape(str(value))


def _mono(text: str | None) -> str:
    return f'<span class="mono">{escape(text)}</span>' if text else ""


def _copyable(text: str | None) -> str:
    if not text:
        return ""
    return f'{_mono(text)}<button type="button" class="copy" data-copy="{escape(text)}">Copy</button>'


def _image(path: str, pictures: Collection[str], *, css: str = "") -> str:
    if path not in pictures:
        return ""
    return f'<img class="{css}" src="{_link(path)}" alt="" loading="lazy" decoding="async">'


def _link(path: str) -> str:
    """A link from the page to a file of the store."""
    return escape(f"../{quote(path)}")
