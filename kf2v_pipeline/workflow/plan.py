"""Makes clips of a manifest's rows: asks the catalog, judges frames, prices. Creating tasks is the engine's work."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

from kf2v_pipeline.domain.address import redact
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.errors import FrameError, SettingsError
from kf2v_pipeline.storage.manifest import Manifest, Row
from kf2v_pipeline.wan.service import Model, Service
from kf2v_pipeline.workflow.look import FrameCache, Look, look_at_frames, read_frame

MAX_SHAPE_DRIFT = 0.02
"""How far the aspect ratios of a clip's two frames may lie apart without a warning."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a manifest asks for.

    Attributes:
        clips: Those that can be made, in the manifest's order.
        problems: All that is wrong with the manifest's rows, by row; blocking ones set their row aside.
        prices: What each clip costs if it succeeds, by clip_id; None where the price is not known.
    """

    clips: tuple[Clip, ...]
    problems: tuple[Problem, ...]
    prices: Mapping[str, Money | None]


def make_plan(
    manifest: Manifest,
    *,
    service_for: Callable[[str | None], Service],
    frame_cache: FrameCache,
) -> Plan:
    """Makes clips of the good rows and problems of the others; a bad row never stops a good one.

    Args:
        manifest: As it was read; its own problems become the plan's.
        service_for: The service of a row by the name that it gives; None is the default one.
        frame_cache: Frames that need not be read again.

    Raises:
        SettingsError: The default service can't be used, and a row needs it.
    """
    offer = cache(partial(_offer, service_for))
    looks = look_at_frames(_references(manifest.rows), manifest.base, frame_cache)
    clips: list[Clip] = []
    problems = list(manifest.problems)
    prices: dict[str, Money | None] = {}
    for row in manifest.rows:
        offered = offer(row.service, row.model)
        first = looks[row.first_frame]
        last = looks[row.last_frame] if row.last_frame and not row.template else None
        flaws = list(_find_flaws(row, offered, first, last))
        problems += [_problem(row, flaw) for flaw in flaws]
        if isinstance(offered, _Flaw) or isinstance(first, FrameError) or isinstance(last, FrameError):
            continue
        if any(flaw.blocking for flaw in flaws):
            continue
        clip = _make_clip(row, offered, first, last)
        clips.append(clip)
        prices[clip.clip_id] = offered.service.price(clip.model, clip.resolution)
    problems += _find_twins(clips)
    return Plan(clips=tuple(clips), problems=tuple(sorted(problems, key=lambda problem: problem.row)), prices=prices)


def read_clip_frame(frame: Frame) -> bytes:
    """The frame's bytes, read again to be sent.

    Raises:
        FrameError: They can't be read any more, or are not those that were planned.
    """
    content = read_frame(frame.location)
    if hashlib.sha256(content).hexdigest() != frame.sha256:
        raise FrameError(redact(frame.location), "the file changed since it was planned", "run again")
    return content


class _Flaw(NamedTuple):
    """What is wrong with one cell of a row: a ``Problem`` without its row."""

    column: str
    what: str
    fix: str
    blocking: bool = True


class _Offer(NamedTuple):
    """What a row's service and model are."""

    service: Service
    model: Model


def _problem(row: Row | Clip, flaw: _Flaw) -> Problem:
    return Problem(row=row.row, clip_id=row.clip_id, **flaw._asdict())


def _references(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        yield row.first_frame
        if row.last_frame and not row.template:
            yield row.last_frame


def _offer(
    service_for: Callable[[str | None], Service], service_name: str | None, model_name: str | None
) -> _Offer | _Flaw:
    try:
        service = service_for(service_name)
    except SettingsError as error:
        if service_name is None:
            raise
        return _Flaw("service", error.what, error.fix)
    try:
        return _Offer(service, service.model(model_name))
    except SettingsError as error:
        return _Flaw("model", error.what, error.fix)


def _find_flaws(row: Row, offered: _Offer | _Flaw, first: Look, last: Look | None) -> Iterator[_Flaw]:
    frames = {"first_frame": first, "last_frame": last}
    for column, look in frames.items():
        if isinstance(look, FrameError):
            yield _Flaw(column, f"{look.location}: {look.what}", look.fix)
    if row.template and row.last_frame:
        yield _Flaw("last_frame", "the service reads no last frame beside a template", "leave one of them empty", False)
    if isinstance(offered, _Flaw):
        yield offered
    else:
        yield from _option_flaws(row, offered.model)
        for column, look in frames.items():
            if isinstance(look, Frame):
                yield from _model_flaws(column, look, offered.model)
    if isinstance(first, Frame) and isinstance(last, Frame):
        yield from _pair_flaws(first, last)


def _option_flaws(row: Row, model: Model) -> Iterator[_Flaw]:
    if row.resolution is not None and row.resolution.upper() not in model.resolutions:
        yield _Flaw(
            "resolution",
            f"{model.name} has no {row.resolution}",
            f"use {' or '.join(model.resolutions)}, or leave it empty",
        )
    if row.template is not None and model.protocol != "kf2v":
        yield _Flaw("template", f"{model.name} takes no template", "leave it empty, or use a kf2v model")
    texts = (
        ("prompt", row.prompt, model.prompt_max_chars),
        ("negative_prompt", row.negative_prompt, model.negative_prompt_max_chars),
    )
    for column, text, most in texts:
        if text is not None and len(text) > most:
            what = f"it has {len(text):,} characters, and {model.name} cuts off all beyond {most:,} in silence"
            yield _Flaw(column, what, f"shorten it by {len(text) - most:,}")


def _model_flaws(column: str, frame: Frame, model: Model) -> Iterator[_Flaw]:
    """What a model minds in a frame beyond what every model does."""
    size = f"it is {frame.width}x{frame.height} px"
    short, long = sorted((frame.width, frame.height))
    if short < model.min_side or long > model.max_side:
        what = f"{size}, and {model.name} takes sides of {model.min_side} to {model.max_side}"
        yield _Flaw(column, what, "scale it")
    if model.max_ratio is not None and long > model.max_ratio * short:
        what = f"{size}, and {model.name} takes aspect ratios up to {model.max_ratio:g}:1"
        yield _Flaw(column, what, "crop it")
    if frame.size_bytes > model.max_bytes:
        what = f"it has {frame.size_bytes:,} bytes, and {model.name} takes {model.max_bytes:,}"
        yield _Flaw(column, what, "make it smaller, for example as a JPEG")


def _pair_flaws(first: Frame, last: Frame) -> Iterator[_Flaw]:
    if first.sha256 == last.sha256:
        what = "it is the same picture as the first frame, so the video may stand still"
        yield _Flaw("last_frame", what, "name another picture if that is not meant", False)
    drift = (last.width * first.height) / (last.height * first.width)
    if max(drift, 1 / drift) > 1 + MAX_SHAPE_DRIFT:
        shapes = f"{last.width}x{last.height} has another shape than the first frame's {first.width}x{first.height}"
        yield _Flaw("last_frame", f"{shapes}, which the video follows", "crop it to that shape", False)


def _make_clip(row: Row, offered: _Offer, first: Frame, last: Frame | None) -> Clip:
    service, model = offered
    return Clip(
        clip_id=row.clip_id,
        row=row.row,
        service=service.name,
        model=model.name,
        resolution=row.resolution.upper() if row.resolution else model.default_resolution,
        first_frame=first,
        last_frame=last,
        prompt=row.prompt,
        negative_prompt=row.negative_prompt,
        seed=row.seed,
        prompt_extend=Clip.prompt_extend if row.prompt_extend is None else row.prompt_extend,
        watermark=Clip.watermark if row.watermark is None else row.watermark,
        template=row.template,
        carried=row.carried,
    )


def _find_twins(clips: Iterable[Clip]) -> Iterator[Problem]:
    """Warnings of clips that ask for just what an earlier one asks for, and are paid for all the same."""
    earlier: dict[str, Clip] = {}
    for clip in clips:
        twin = earlier.setdefault(clip.fingerprint, clip)
        if twin is not clip:
            what = f"it asks for the same video as row {twin.row} ({twin.clip_id}), and both are paid for"
            yield _problem(clip, _Flaw("clip_id", what, "remove one, or give each a seed of its own", False))
