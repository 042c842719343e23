"""The manifest: the table that a person writes, a row per clip. What frames hold and services offer is the plan's.

Every problem is found at once, and a bad row never stops a good one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Any

from kf2v_pipeline.domain.address import redact
from kf2v_pipeline.domain.aspect import FITS, MAX_PART, Fit, read_aspect
from kf2v_pipeline.domain.clip import CLIP_ID
from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.errors import ManifestError, StorageError
from kf2v_pipeline.storage.sheet import Sheet, read_sheet
from kf2v_pipeline.storage.source import locate, read_bytes

REQUIRED_COLUMNS = ("clip_id", "first_frame", "last_frame")

OPTIONAL_COLUMNS = (
    "prompt",
    "negative_prompt",
    "model",
    "resolution",
    "duration",
    "seed",
    "prompt_extend",
    "watermark",
    "template",
    "service",
    "aspect",
    "fit",
)

MAX_SEED = 2_147_483_647
"""Largest seed that the service takes (vendor page, parameter ``seed``)."""

MAX_DURATION_S = 3600
"""More than any model makes; which lengths a model has is the catalog's matter."""

_WHOLE_NUMBER = re.compile(r"([+-]?[0-9]{1,18})(?:\.0*)?")
"""With a ``.0`` too, as pandas writes a column of whole numbers that has empty cells."""

_FLAGS = {"true": True, "1": True, "1.0": True, "yes": True, "false": False, "0": False, "0.0": False, "no": False}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row, as its author wrote it; None is an empty cell.

    Attributes:
        row: Counted from 1 without the header.
        first_frame: Path or URL, relative ones counted from the manifest's folder.
        last_frame: None only where ``template`` is set.
        carried: The other columns, by name, as JSON values; every row has all of them.
    """

    row: int
    clip_id: str
    first_frame: str
    last_frame: str | None
    prompt: str | None = None
    negative_prompt: str | None = None
    model: str | None = None
    resolution: str | None = None
    duration_s: int | None = None
    seed: int | None = None
    prompt_extend: bool | None = None
    watermark: bool | None = None
    template: str | None = None
    service: str | None = None
    aspect: str | None = None
    fit: Fit | None = None
    carried: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest that was read.

    Attributes:
        url: Its address without secrets, to be shown and stored.
        base: Its address, from which relative frames count; it may hold secrets.
        rows: The good ones, in order.
        problems: What is wrong with the others, and warnings, by row.
        carried_columns: Columns that are not ours, in order.
    """

    url: str
    base: str = field(repr=False)
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    carried_columns: tuple[str, ...]


def read_manifest(url: str) -> Manifest:
    """Reads and checks a manifest.

    Args:
        url: Path (relative to the working directory), fsspec URL or http(s) URL of a CSV, JSON Lines or Parquet file.

    Raises:
        ManifestError: It is missing, can't be read as a whole, has no rows, or lacks a required column.
    """
    try:
        base = locate(url, f"{os.getcwd()}/")  # noqa: PTH109  # an address is text
        shown = redact(base)
        content = read_bytes(base)
    except StorageError as error:
        raise ManifestError(error.path, error.what, error.fix) from None
    sheet = read_sheet(content, _suffix(base), shown)
    if not sheet.rows and not sheet.problems:
        raise ManifestError(shown, "it has no rows", "write a row per clip")
    if sheet.rows or sheet.columns:
        _require_columns(sheet.columns, shown)
    carried = tuple(name for name in sheet.columns if name not in REQUIRED_COLUMNS + OPTIONAL_COLUMNS)
    rows, problems = _check_rows(sheet, carried)
    return Manifest(url=shown, base=base, rows=tuple(rows), problems=tuple(problems), carried_columns=carried)


def _suffix(address: str) -> str:
    """The extension of the file's name, without what a URL has behind it."""
    if "://" in address:
        address = address.partition("://")[2].partition("::")[0].partition("?")[0]
    return PurePosixPath(address).suffix


def _require_columns(columns: list[str], url: str) -> None:
    missing = [name for name in REQUIRED_COLUMNS if name not in columns]
    if not missing:
        return
    others = [name for name in columns if name not in REQUIRED_COLUMNS + OPTIONAL_COLUMNS]
    nearest = {name: _nearest(name, others) for name in missing}
    fixes = [f"rename {near} to {name}" if near else f"add {name}" for name, near in nearest.items()]
    some = "column" if len(missing) == 1 else "columns"
    raise ManifestError(url, f"it lacks the required {some} {', '.join(missing)}", ", ".join(fixes))


def _nearest(name: str, columns: Iterable[str]) -> str | None:
    """A column of the file that was probably meant to be this one of ours."""
    plain = {re.sub(r"[\s-]+", "_", column).lower(): column for column in columns}
    near = get_close_matches(name, plain, n=1, cutoff=0.8)
    return plain[near[0]] if near else None


def _check_rows(sheet: Sheet, carried: tuple[str, ...]) -> tuple[list[Row], list[Problem]]:
    rows: list[Row] = []
    problems = list(sheet.problems)
    first_rows: dict[str, int] = {}
    for number, values in sheet.rows.items():
        check = _RowCheck(number, values)
        row = check.read(carried, first_rows)
        if row is not None:
            rows.append(row)
        problems += check.problems
    if rows:
        problems += _misspelt(rows[0], carried, sheet.columns)
    return rows, sorted(problems, key=lambda problem: problem.row)


def _misspelt(first: Row, carried: tuple[str, ...], columns: list[str]) -> list[Problem]:
    """Warnings of carried columns that may be misspelt ones of ours: what they hold would not reach the service."""
    return [
        Problem(
            row=first.row,
            clip_id=first.clip_id,
            column=near,
            what=f"the column is only carried along, although its name is close to {name}",
            fix=f"rename it to {name} if that is meant",
            blocking=False,
        )
        for name in OPTIONAL_COLUMNS
        if name not in columns and (near := _nearest(name, carried))
    ]


class _RowCheck:
    """Reads the cells of one row and notes what is wrong with them."""

    def __init__(self, row: int, values: Mapping[str, Any]) -> None:
        self.row = row
        self.problems: list[Problem] = []
        self._values = values

    def read(self, carried: tuple[str, ...], first_rows: dict[str, int]) -> Row | None:
        """The row, or None where it has a problem.

        Args:
            carried: Names of the columns that are not ours.
            first_rows: Row of each clip_id that was met before; this row's is added.
        """
        clip_id = self._read_clip_id(first_rows)
        template = self.option("template")
        first_frame = self.option("first_frame", needed="the first frame")
        last_frame = self.option("last_frame", needed=None if template else "the last frame")
        # Most cells of a long manifest are empty or not there: they are not looked at.
        given = {
            name: read(self, column)
            for column, (name, read) in _READERS.items()
            if self._values.get(column) is not None
        }
        if self.problems:
            return None
        return Row(
            row=self.row,
            clip_id=clip_id,
            first_frame=first_frame or "",
            last_frame=last_frame,
            template=template,
            carried={name: self._values.get(name) for name in carried},
            **given,
        )

    def _refuse(self, column: str, what: str, fix: str) -> None:
        name = self._values.get("clip_id")
        clip_id = None if name is None else redact(str(name))
        self.problems.append(Problem(row=self.row, clip_id=clip_id, column=column, what=what, fix=fix))

    def _read_clip_id(self, first_rows: dict[str, int]) -> str:
        value = self._values.get("clip_id")
        clip_id = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if clip_id is None or clip_id == "":
            self._refuse("clip_id", "it is empty", "give the clip a name of its own")
        elif not isinstance(clip_id, str) or not CLIP_ID.fullmatch(clip_id):
            rule = "use 1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or digit"
            self._refuse("clip_id", f"{_quote(clip_id)} can't name a clip", rule)
        elif first_rows.setdefault(clip_id, self.row) != self.row:
            self._refuse(
                "clip_id", f"{clip_id} is the name of row {first_rows[clip_id]} too", "give each clip its own name"
            )
        return str(clip_id)

    def text(self, column: str) -> str | None:
        """Any text; None where it is blank."""
        value = self._values.get(column)
        if value is None:
            return None
        if not isinstance(value, str):
            self._refuse(column, f"{_quote(value)} is no text", "write text")
            return None
        if "\0" in value:
            self._refuse(column, "it holds a NUL character", "remove it")
        return None if value.isspace() or not value else value

    def option(self, column: str, needed: str | None = None) -> str | None:
        """Text without what surrounds it."""
        if needed and _is_empty(self._values.get(column)):
            self._refuse(column, "it is empty", f"write the path or URL of {needed}")
        value = self.text(column)
        return None if value is None else value.strip()

    def duration(self, column: str) -> int | None:
        """A length of the video."""
        return self._number(column, 1, MAX_DURATION_S, "a length in seconds")

    def seed(self, column: str) -> int | None:
        """A seed."""
        return self._number(column, 0, MAX_SEED, "a seed")

    def _number(self, column: str, least: int, most: int, meaning: str) -> int | None:
        value = self._values.get(column)
        if value is None or not (text := str(value).strip()):
            return None
        number = _WHOLE_NUMBER.fullmatch(text)
        if number is None or not least <= int(number[1]) <= most:
            rule = f"write a whole number from {least} to {most}, or leave it empty"
            self._refuse(column, f"{_quote(value)} can't be {meaning}", rule)
            return None
        return int(number[1])

    def aspect(self, column: str) -> str | None:
        """The shape of a cut."""
        text = self.option(column)
        aspect = None if text is None else read_aspect(text)
        if text is not None and aspect is None:
            rule = f"write it as W:H, such as 9:16, in whole numbers of at most {MAX_PART}, or first_frame"
            self._refuse(column, f"{_quote(text)} is no aspect", rule)
        return aspect

    def fit(self, column: str) -> Fit | None:
        """How a cut is made."""
        text = self.option(column)
        fit = next((fit for fit in FITS if text is not None and fit == text.lower()), None)
        if text is not None and fit is None:
            self._refuse(column, f"{_quote(text)} is no fit", f"write {', '.join(FITS)}, or leave it empty")
        return fit

    def flag(self, column: str) -> bool | None:
        """Yes or no."""
        value = self._values.get(column)
        if value is None:
            return None
        text = str(value).strip().lower()
        if text and text not in _FLAGS:
            self._refuse(column, f"{_quote(value)} is neither true nor false", "write true or false, or leave it empty")
        return _FLAGS.get(text)


_READERS: Mapping[str, tuple[str, Callable[[_RowCheck, str], Any]]] = {
    "prompt": ("prompt", _RowCheck.text),
    "negative_prompt": ("negative_prompt", _RowCheck.text),
    "model": ("model", _RowCheck.option),
    "resolution": ("resolution", _RowCheck.option),
    "duration": ("duration_s", _RowCheck.duration),
    "seed": ("seed", _RowCheck.seed),
    "prompt_extend": ("prompt_extend", _RowCheck.flag),
    "watermark": ("watermark", _RowCheck.flag),
    "service": ("service", _RowCheck.option),
    "aspect": ("aspect", _RowCheck.aspect),
    "fit": ("fit", _RowCheck.fit),
}
"""The optional columns that mean the same in every row: the row's field for each, and what reads its cell."""


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _quote(value: Any) -> str:
    """The value as a problem may show it: a signed URL may have slipped into any column."""
    text = repr(redact(value) if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:59]}…"
