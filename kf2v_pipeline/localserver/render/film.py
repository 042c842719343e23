"""A whole film: from a request to a file. What each step does belongs to the modules that it calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .camera import eased, handheld_phases, sway
from .encode import FPS, write_film
from .overlay import Grain, Watermark
from .paint import Instant, Painter
from .picture import Planes, cover, decode_picture, output_size, to_planes
from .scene import Scene, read_scene
from .words import Direction, read_direction


@dataclass(frozen=True, kw_only=True)
class RenderRequest:
    """What to render.

    Attributes:
        first_frame: The file of the picture that the film starts with; it sets the film's shape.
        last_frame: The file of the picture that it ends with; None lets the camera move over the first.
        resolution: ``480P``, ``720P`` or ``1080P``.
        prompt: Camera and easing words in it are followed; the rest changes nothing.
        negative_prompt: Names what not to add, of the things that the renderer would add.
        seed: Same request and seed, same bytes.
        watermark: Draw the label bottom right.
        prompt_extend: Say in ``actual_prompt`` what was rendered.
        duration_s: Length in seconds.
        weights: The learned flow's weights; None to do without.
    """

    first_frame: bytes
    last_frame: bytes | None
    resolution: str
    prompt: str | None
    negative_prompt: str | None
    seed: int
    watermark: bool
    prompt_extend: bool
    duration_s: int = 5
    weights: Path | None = None


@dataclass(frozen=True, kw_only=True)
class RenderReport:
    """What was rendered.

    Attributes:
        width: In pixels.
        height: In pixels.
        frames: Their count.
        duration_s: Length in seconds.
        actual_prompt: The prompt and what was made of it; None unless ``prompt_extend`` was asked for.
        path_taken: How the pictures were joined, such as ``dissolve``.
    """

    width: int
    height: int
    frames: int
    duration_s: float
    actual_prompt: str | None
    path_taken: str


def render_film(request: RenderRequest, out_path: Path) -> RenderReport:
    """Render the request into an MP4 file.

    Raises:
        RenderError: A picture can't be decoded, or the resolution is unknown.
    """
    pixels = decode_picture(request.first_frame, "first")
    width, height = output_size(pixels.shape[1], pixels.shape[0], request.resolution)
    first, last = to_planes(cover(pixels, width, height)), None
    if request.last_frame is not None:
        last = to_planes(cover(decode_picture(request.last_frame, "last"), width, height))
    direction = read_direction(request.prompt, request.negative_prompt)
    scene = read_scene(first, last, direction, request.seed, request.weights)
    frames = FPS * request.duration_s
    paint = _painter(first, last, scene, direction, request)
    write_film(paint, out_path, width=width, height=height, frames=frames)
    return RenderReport(
        width=width,
        height=height,
        frames=frames,
        duration_s=frames / FPS,
        actual_prompt=f"{request.prompt or ''} [{scene.story}]".strip() if request.prompt_extend else None,
        path_taken=scene.path_taken,
    )


def _painter(
    first: Planes, last: Planes | None, scene: Scene, direction: Direction, request: RenderRequest
) -> Callable[[int, Planes], None]:
    """Paints the frame of an index, with all that lies over it."""
    height, width = first.luma.shape
    frames = FPS * request.duration_s
    painter = Painter(first, first if last is None else last, scene.path, scene.motion, mirror=not scene.related)
    watermark = Watermark(width, height) if request.watermark else None
    grain = Grain(width, height, request.seed) if direction.grain else None
    phases = handheld_phases(request.seed) if direction.handheld else None

    def paint(index: int, out: Planes) -> None:
        share = index / (frames - 1)
        moved = eased(direction.easing, share)
        if index == 0 or (index == frames - 1 and last is not None):
            for plane, target in zip(first if index == 0 or last is None else last, out, strict=True):
                target[:] = plane
        else:
            added = sway(scene.bump, phases, share, width, height)
            mixed, dissolved = scene.mixed(moved), scene.dissolved(moved)
            painter.paint(Instant(moved=moved, mixed=mixed, dissolved=dissolved, sway=added), out)
        if grain is not None:
            grain.draw(out, index, share)
        if watermark is not None:
            watermark.draw(out)

    return paint
