"""The sidecar: a small JSON beside each video that says all about its making, without secrets. It does no I/O.

The collector puts it into place, ``workflow.adopt`` rebuilds a lost ledger from it.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.metadata import version
from typing import Any, get_args, get_type_hints

from kf2v_pipeline.domain.address import redact
from kf2v_pipeline.domain.attempt import Attempt, Fact, FactKind
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.storage.detail import read_detail, write_detail

SCHEMA = 1
"""Counted on where a reader of before could not read the file any more."""

_ATTEMPT = ("attempt_id", "number", "service", "model", "lane", "prepared_at")
_CREATE = ("task_id", "request_id", "submitted_at")
_TASK = (*_CREATE, "started_at", "ended_at", "actual_prompt", "video_source", "cost", "currency")
_FILM = ("width", "height", "fps", "frames", "duration_s", "codec")
_VIDEO = ("video_path", "sha256", "size_bytes", *_FILM, "stored_at", "error_code", "error_message")
_REQUIRED = frozenset({"task_id", "submitted_at", "video_path", "sha256", "size_bytes", "stored_at"})

_SOFTWARE = ("kf2v-pipeline", "av", "pillow")
"""What asked for the video, what looked at it, and what mended its frames."""

_KINDS = {name: get_args(hint) or (hint,) for name, hint in get_type_hints(Attempt).items()}


def write_sidecar(clip: Clip, attempt: Attempt, *, request: Mapping[str, Any] | None = None) -> bytes:
    """The sidecar of a stored video.

    Args:
        clip: What was asked for; its carried columns, which change nothing in the video, are left out.
        attempt: As it is once its video is stored.
        request: The create as it was sent, without addresses; None where that can't be told any more.
    """
    document = {
        "schema": SCHEMA,
        "fingerprint": attempt.fingerprint,
        "clip": _clip_record(clip),
        "request": request,
        "attempt": _section(attempt, _ATTEMPT),
        "task": _section(attempt, _TASK),
        "video": _section(attempt, _VIDEO),
        "software": _software(),
    }
    return f"{json.dumps(document, ensure_ascii=False, indent=2)}\n".encode("utf-8", "replace")


@cache
def _software() -> dict[str, str]:
    """Versions of what makes a video into a file; they do not change while a process lives."""
    return {"python": platform.python_version(), **{name: version(name) for name in _SOFTWARE}}


def read_sidecar(content: bytes) -> tuple[Attempt, tuple[Fact, ...]]:
    """The attempt that a sidecar tells of, as it was prepared, and the facts that made it a stored one.

    Raises:
        ValueError: The content is no sidecar, or one of a newer version; the text says what is wrong, in a clause.
    """
    try:
        document = json.loads(content)
        schema = document["schema"]
        if schema == SCHEMA:
            known = {**_read(document["attempt"], _ATTEMPT), **_read(document["task"], _TASK)}
            known |= {"fingerprint": document["fingerprint"]}
            known |= {name: document["clip"][name] for name in ("clip_id", "prompt")}
            video = _read(document["video"], _VIDEO)
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        raise ValueError("it is no sidecar of a video, or a damaged one") from None
    if schema != SCHEMA:
        raise ValueError(f"it has schema {schema}, and this version knows {SCHEMA}; upgrade kf2v-pipeline")
    _check({**known, **video})
    attempt = Attempt(owner="", **{name: known[name] for name in (*_ATTEMPT, "clip_id", "fingerprint", "prompt")})
    steps = (
        (FactKind.ACCEPTED, known["submitted_at"], {name: known[name] for name in _CREATE}),
        (FactKind.TASK_SUCCEEDED, known["ended_at"] or video["stored_at"], {name: known[name] for name in _TASK}),
        (FactKind.VIDEO_STORED, video["stored_at"], video),
    )
    facts = (Fact(attempt_id=attempt.attempt_id, kind=kind, at=at, detail=detail) for kind, at, detail in steps)
    return attempt, tuple(facts)


def _clip_record(clip: Clip) -> dict[str, Any]:
    record = clip.to_record()
    for name in ("row", "carried", "aspect", "fit"):  # they may change, and the video stays the same
        del record[name]
    record.pop("lanes", None)  # the attempt has the one that was taken
    for frame in filter(None, (record["first_frame"], record["last_frame"])):
        frame["location"] = redact(frame["location"])
    return record


def _section(attempt: Attempt, names: tuple[str, ...]) -> dict[str, Any]:
    """Fields of the attempt as JSON values, written as the ledger writes them, in this order."""
    values: dict[str, Any] = json.loads(write_detail({name: getattr(attempt, name) for name in names}))
    return {name: values[name] for name in names}


def _read(section: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return read_detail(json.dumps({name: section.get(name) for name in names}))


def _check(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        kinds = _KINDS[name]
        fits = isinstance(value, kinds) or (type(value) is int and float in kinds)
        if not fits or (value is None and name in _REQUIRED) or (isinstance(value, datetime) and value.tzinfo is None):
            raise ValueError(f"its {name} can't be read")
