"""What is wrong with a row: its options against its model, its frames against the service. It reads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kf2v_pipeline.domain.clip import Frame
from kf2v_pipeline.errors import FrameError
from kf2v_pipeline.settings import PromptMode
from kf2v_pipeline.storage.manifest import Row
from kf2v_pipeline.wan.frame_url import Mode, choose
from kf2v_pipeline.wan.service import Model
from kf2v_pipeline.workflow.look import Look

MAX_SHAPE_DRIFT = 0.02
"""How far the aspect ratios of a clip's two frames may lie apart without a warning."""


class Flaw(NamedTuple):
    """What is wrong with one cell of a row: a ``Problem`` without its row."""

    column: str
    what: str
    fix: str
    blocking: bool = True


def option_flaws(row: Row, model: Model, long_prompts: PromptMode) -> Iterator[Flaw]:
    """What a model minds in a row's options."""
    if row.resolution is not None and row.resolution.upper() not in model.resolutions:
        choices = " or ".join(model.resolutions)
        yield Flaw("resolution", f"{model.name} has no {row.resolution}", f"use {choices}, or leave it empty")
    if row.duration_s is not None and row.duration_s not in model.durations_s:
        what = f"{model.name} makes no video of {row.duration_s} s"
        yield Flaw("duration", what, f"use {_spell(model.durations_s)}, or leave it empty")
    if row.template is not None and model.protocol != "kf2v":
        yield Flaw("template", f"{model.name} takes no template", "leave it empty, or use a kf2v model")
    texts = (
        ("prompt", row.prompt, model.prompt_max_chars),
        ("negative_prompt", row.negative_prompt, model.negative_prompt_max_chars),
    )
    for column, text, most in texts:
        if text is None or len(text) <= most:
            continue
        size, shorten = f"it has {len(text):,} characters", f"shorten it by {len(text) - most:,}"
        if long_prompts == "cut":
            yield Flaw(
                column,
                f"{size}, and all beyond {most:,} were cut off",
                f"{shorten} to choose yourself what goes",
                False,
            )
        else:
            yield Flaw(column, f"{size}, and {model.name} cuts off all beyond {most:,} in silence", shorten)


def look_flaws(column: str, look: Look) -> Iterator[Flaw]:
    """What came of looking at a frame, as far as its author should know it."""
    if isinstance(look, FrameError):
        yield Flaw(column, f"{look.location}: {look.what}", look.fix)
    elif not look.is_seen:
        what = "only the service can read it, so it was not checked; it is gone 48 hours after its upload"
        yield Flaw(column, what, "name the file itself to have it checked", False)
    elif look.fix is not None:
        yield Flaw(column, f"it is fixed before it is sent: {look.fix}", "fix the file yourself to have a say", False)


def frame_flaws(column: str, frame: Frame, model: Model, mode: Mode) -> Iterator[Flaw]:
    """What a model minds in a frame beyond what every model does, and whether the frame can travel as was chosen."""
    try:
        choose(frame, mode)
    except FrameError as error:
        yield Flaw(column, f"{error.location}: {error.what}", error.fix)
    if not frame.is_seen:
        return
    size = f"it is {frame.width}x{frame.height} px"
    short, long = sorted((frame.width, frame.height))
    if short < model.min_side or long > model.max_side:
        yield Flaw(column, f"{size}, and {model.name} takes sides of {model.min_side} to {model.max_side}", "scale it")
    if long > model.max_ratio * short:
        yield Flaw(column, f"{size}, and {model.name} takes aspect ratios up to {model.max_ratio:g}:1", "crop it")
    if frame.size_bytes > model.max_bytes:
        what = f"it has {frame.size_bytes:,} bytes, and {model.name} takes {model.max_bytes:,}"
        yield Flaw(column, what, "make it smaller, for example as a JPEG")


def pair_flaws(first: Frame, last: Frame) -> Iterator[Flaw]:
    """What may be wrong with two frames together."""
    if first.sha256 == last.sha256:
        what = "it is the same picture as the first frame, so the video may stand still"
        yield Flaw("last_frame", what, "name another picture if that is not meant", False)
    if not (first.is_seen and last.is_seen):
        return
    drift = (last.width * first.height) / (last.height * first.width)
    if max(drift, 1 / drift) > 1 + MAX_SHAPE_DRIFT:
        shapes = f"{last.width}x{last.height} has another shape than the first frame's {first.width}x{first.height}"
        yield Flaw("last_frame", f"{shapes}, which the video follows", "crop it to that shape", False)


def _spell(numbers: tuple[int, ...]) -> str:
    """The numbers as people write them: ``2 to 15`` where none is left out."""
    if len(numbers) > 2 and numbers == tuple(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return " or ".join(map(str, numbers))
