"""Makes clips of a manifest's rows: asks the catalog, judges frames, prices. Creating tasks is the engine's work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

from kf2v_pipeline.domain.aspect import DEFAULT_FIT
from kf2v_pipeline.domain.clip import AUTO, Clip, Frame
from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.errors import FrameError, SettingsError
from kf2v_pipeline.settings import PromptMode
from kf2v_pipeline.storage.manifest import Manifest, Row
from kf2v_pipeline.wan.frame_url import Mode
from kf2v_pipeline.wan.service import Model, Service
from kf2v_pipeline.workflow.auto import Offer, able_offers, dearest, leaves_choice
from kf2v_pipeline.workflow.flaw import Flaw, frame_flaws, look_flaws, option_flaws, pair_flaws
from kf2v_pipeline.workflow.look import FrameCache, Look, look_at_frames


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a manifest asks for.

    Attributes:
        clips: Those that can be made, in the manifest's order.
        problems: All that is wrong with the manifest's rows, by row; blocking ones set their row aside.
        prices: What each clip costs if it succeeds, by clip_id, and at most where several lanes may make it; None where
            the price is not known.
    """

    clips: tuple[Clip, ...]
    problems: tuple[Problem, ...]
    prices: Mapping[str, Money | None]


def make_plan(
    manifest: Manifest,
    *,
    service_for: Callable[[str | None], Service],
    frame_cache: FrameCache,
    mode: Mode = "auto",
    fix_frames: bool = False,
    long_prompts: PromptMode = "refuse",
    lanes: Sequence[str] = (),
) -> Plan:
    """Makes clips of the good rows and problems of the others; a bad row never stops a good one.

    Args:
        manifest: As it was read; its own problems become the plan's.
        service_for: The service of a row by the name that it gives; None is the default one.
        frame_cache: Frames that need not be read again.
        mode: How frames are to travel.
        fix_frames: Whether frames that the service would refuse are fixed.
        long_prompts: Whether a prompt that is too long sets its row aside, or is cut.
        lanes: Those that may make the clips of rows with ``service: auto``, as ``service/model``.

    Raises:
        SettingsError: The default service can't be used, and a row needs it.
    """
    offer = cache(partial(_offer, service_for))
    price = cache(partial(_price, offer))
    any_of = {lane: offer(*lane.rpartition("/")[::2]) for lane in lanes}
    looks = look_at_frames(_references(manifest.rows), manifest.base, frame_cache, fix=fix_frames)
    clips: list[Clip] = []
    problems = list(manifest.problems)
    prices: dict[str, Money | None] = {}
    for row in manifest.rows:
        first = looks[row.first_frame]
        last = looks[row.last_frame] if row.last_frame and not row.template else None
        shared: tuple[Offer, ...] = ()
        if leaves_choice(row):
            judge = partial(_model_flaws, row, (first, last), mode)
            able = able_offers(row, any_of, judge, long_prompts)
            offered, shared = (able, ()) if isinstance(able, Flaw) else (able[0], able)
        else:
            offered = offer(row.service, row.model)
        flaws = list(_find_flaws(row, offered, first, last, mode=mode, long_prompts=long_prompts))
        problems += [_problem(row, flaw) for flaw in flaws]
        if isinstance(offered, Flaw) or isinstance(first, FrameError) or isinstance(last, FrameError):
            continue
        if any(flaw.blocking for flaw in flaws):
            continue
        clip = _make_clip(row, offered, first, last)
        if shared:
            clip = clip.evolve(service=AUTO, model=AUTO, lanes=tuple(dict.fromkeys(each.lane for each in shared)))
            each_price = [each.service.price(each.model.name, clip.resolution, clip.duration_s) for each in shared]
            prices[clip.clip_id] = dearest(each_price)
        else:
            prices[clip.clip_id] = price(row.service, row.model, clip.resolution, clip.duration_s)
        clips.append(clip)
    problems += _find_twins(clips)
    return Plan(clips=tuple(clips), problems=tuple(sorted(problems, key=lambda problem: problem.row)), prices=prices)


def _problem(row: Row | Clip, flaw: Flaw) -> Problem:
    return Problem(row=row.row, clip_id=row.clip_id, **flaw._asdict())


def _references(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        yield row.first_frame
        if row.last_frame and not row.template:
            yield row.last_frame


def _offer(
    service_for: Callable[[str | None], Service], service_name: str | None, model_name: str | None
) -> Offer | Flaw:
    try:
        service = service_for(service_name)
    except SettingsError as error:
        if service_name is None:
            raise
        return Flaw("service", error.what, error.fix)
    try:
        return Offer(service, service.model(model_name))
    except SettingsError as error:
        return Flaw("model", error.what, error.fix)


def _price(
    offer: Callable[[str | None, str | None], Offer | Flaw],
    service_name: str | None,
    model_name: str | None,
    resolution: str,
    duration_s: int,
) -> Money | None:
    offered = offer(service_name, model_name)
    return None if isinstance(offered, Flaw) else offered.service.price(offered.model.name, resolution, duration_s)


def _find_flaws(
    row: Row, offered: Offer | Flaw, first: Look, last: Look | None, *, mode: Mode, long_prompts: PromptMode
) -> Iterator[Flaw]:
    looks = [("first_frame", first)] if last is None else [("first_frame", first), ("last_frame", last)]
    for column, look in looks:
        yield from look_flaws(column, look)
    if row.template and row.last_frame:
        yield Flaw("last_frame", "the service reads no last frame beside a template", "leave one of them empty", False)
    if isinstance(offered, Flaw):
        yield offered
    else:
        yield from _model_flaws(row, (first, last), mode, offered.model, long_prompts)
    if isinstance(first, Frame) and isinstance(last, Frame):
        yield from pair_flaws(first, last)


def _model_flaws(
    row: Row, looks: tuple[Look, Look | None], mode: Mode, model: Model, long_prompts: PromptMode
) -> Iterator[Flaw]:
    """What a model minds in a row: its options, and its frames."""
    yield from option_flaws(row, model, long_prompts)
    for column, look in zip(("first_frame", "last_frame"), looks, strict=True):
        if isinstance(look, Frame):
            yield from frame_flaws(column, look, model, mode)


def _make_clip(row: Row, offered: Offer, first: Frame, last: Frame | None) -> Clip:
    service, model = offered
    return Clip(
        clip_id=row.clip_id,
        row=row.row,
        service=service.name,
        model=model.name,
        resolution=row.resolution.upper() if row.resolution else model.default_resolution,
        first_frame=first.seal(),
        last_frame=last.seal() if last else None,
        prompt=row.prompt and row.prompt[: model.prompt_max_chars],
        negative_prompt=row.negative_prompt and row.negative_prompt[: model.negative_prompt_max_chars],
        duration_s=row.duration_s or model.default_duration_s,
        seed=row.seed,
        prompt_extend=Clip.prompt_extend if row.prompt_extend is None else row.prompt_extend,
        watermark=Clip.watermark if row.watermark is None else row.watermark,
        template=row.template,
        aspect=row.aspect,
        fit=(row.fit or DEFAULT_FIT) if row.aspect else None,
        carried=row.carried,
    )


def _find_twins(clips: Iterable[Clip]) -> Iterator[Problem]:
    """Warnings of clips that ask for just what an earlier one asks for, and are paid for all the same."""
    earlier: dict[str, Clip] = {}
    for clip in clips:
        twin = earlier.setdefault(clip.fingerprint, clip)
        if twin is not clip:
            what = f"it asks for the same video as row {twin.row} ({twin.clip_id}), and both are paid for"
            yield _problem(clip, Flaw("clip_id", what, "remove one, or give each a seed of its own", False))
