"""Films with one fault, by the check that must find it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from .film import MadeFilm, Pixels
from .good_film import (
    dark_scene,
    day_to_night,
    fast_zoom,
    grainy,
    handheld,
    slow_pan,
    small_subject,
    turning,
    unrelated_morph,
)
from .studio import Camera, Maker, Studio, drawn, lit, photograph


def _base(studio: Studio, seed: int) -> MadeFilm:
    """A good film of a kind that changes with the seed."""
    kinds = (slow_pan, handheld, turning, fast_zoom, dark_scene, grainy, small_subject)
    return kinds[seed % len(kinds)](studio, seed)


def begins_elsewhere(studio: Studio, seed: int) -> MadeFilm:
    """Its first frame is another view of the scene, or a picture of another one."""
    made = slow_pan(studio, seed)
    return replace(made, first=_elsewhere(studio, seed, made.first))


def ends_elsewhere(studio: Studio, seed: int) -> MadeFilm:
    """Its last frame is not reached, or was squeezed to the film's shape instead of cut to it."""
    made = slow_pan(studio, seed)
    if seed % 4 == 3:
        width = studio.size[0]
        inside = made.last[:, width // 8 : width - width // 8]
        squeezed = cv2.resize(made.last, studio.size)
        pictures = [*made.pictures[:-1], cv2.resize(inside, studio.size)]
        return replace(made, pictures=pictures, last=squeezed)
    return replace(made, last=_elsewhere(studio, seed + 1, made.last))


def _elsewhere(studio: Studio, seed: int, picture: Pixels) -> Pixels:
    random = drawn("elsewhere", seed)
    width, height = studio.size
    if seed % 3 == 0:
        return studio.view(photograph(seed + 5), Camera(zoom=1.3))
    if seed % 3 == 1:
        matrix = np.array([[1.0, 0, width * random.uniform(0.06, 0.2)], [0, 1, height * random.uniform(0.03, 0.1)]])
    else:
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0, random.uniform(1.15, 1.6))
    return cv2.warpAffine(picture, matrix, studio.size, borderMode=cv2.BORDER_REFLECT_101)


def runs_backwards(studio: Studio, seed: int) -> MadeFilm:
    kinds = (slow_pan, fast_zoom, unrelated_morph, day_to_night, turning)
    made = kinds[seed % len(kinds)](studio, seed)
    return replace(made, pictures=made.pictures[::-1])


def of_other_frames(studio: Studio, seed: int) -> MadeFilm:
    made, other = _base(studio, seed), slow_pan(studio, seed + 9)
    return replace(made, first=other.first, last=other.last)


def stands_still(studio: Studio, seed: int) -> MadeFilm:
    """For 2.4 s or more, at its begin, in its middle, at its end, or as a whole."""
    random = drawn("freeze", seed)
    made = _base(studio, seed)
    length = min(int(studio.fps * random.uniform(2.4, 3.8)), studio.frames - 10)
    start = (0, studio.frames - length, random.integers(1, studio.frames - length))[seed % 3]
    if seed % 5 == 4:
        start, length = 0, studio.frames
    moving = np.linspace(0, studio.frames - 1, max(studio.frames - length, 1)).astype(int)
    order = [*moving[:start], *[moving[min(start, len(moving) - 1)]] * length, *moving[start:]][: studio.frames]
    return replace(made, pictures=[made.pictures[n] for n in order], first=made.pictures[order[0]])


def goes_black(studio: Studio, seed: int) -> MadeFilm:
    """One picture to a second of black, also at the film's ends, in bright films and in dark ones."""
    random = drawn("black", seed)
    made = _base(studio, seed)
    length = int(random.integers(1, studio.fps))
    start = (0, studio.frames - length, random.integers(1, studio.frames - length))[seed % 3]
    black = np.full_like(made.pictures[0], random.integers(0, 4))
    pictures = [black if start <= n < start + length else picture for n, picture in enumerate(made.pictures)]
    return replace(made, pictures=pictures)


def flashes(studio: Studio, seed: int) -> MadeFilm:
    """One to three pictures that do not belong: white, burnt out, or of another film."""
    random = drawn("flash", seed)
    made = _base(studio, seed)
    at, length = int(random.integers(5, studio.frames - 8)), int(random.integers(1, 4))
    foreign = studio.view(photograph(seed + 3), Camera(zoom=1.4))
    change: list[Callable[[Pixels], Pixels]] = [
        lambda picture: np.full_like(picture, 250),
        lambda picture: lit(picture, 1.6, 50),
        lambda _: foreign,
    ]
    pictures = list(made.pictures)
    pictures[at : at + length] = map(change[seed % 3], pictures[at : at + length])
    return replace(made, pictures=pictures)


def jumps(studio: Studio, seed: int) -> MadeFilm:
    """To another picture, to another view of the same, or only at its last or first picture."""
    random = drawn("cut", seed)
    made = _base(studio, seed)
    at = int(random.integers(8, studio.frames - 8))
    if seed % 4 == 0:
        other = _base(studio, seed + 11).pictures
    elif seed % 4 == 1:
        other = [cv2.flip(picture, 1) for picture in made.pictures]
    else:
        width, height = studio.size
        closer = cv2.getRotationMatrix2D((width * 0.4, height * 0.4), 0, random.uniform(1.25, 1.6))
        other = [cv2.warpAffine(picture, closer, studio.size) for picture in made.pictures]
        at = 1 if seed % 8 == 2 else studio.frames - 1 if seed % 8 == 3 else at
    pictures = [*made.pictures[:at], *other[at:]]
    return replace(made, pictures=pictures, first=pictures[0], last=pictures[-1])


def flickers(studio: Studio, seed: int) -> MadeFilm:
    """Brightness up and down by a twentieth and more: from picture to picture, at random, or as a lamp does."""
    random = drawn("flicker", seed)
    made = (slow_pan, handheld, turning, grainy)[seed % 4](studio, seed)
    strength = random.uniform(0.05, 0.12)
    begin, length = (0, studio.frames) if seed % 2 else (studio.frames // 4, max(studio.frames // 3, studio.fps))
    period = random.uniform(3, 8)
    pictures = list(made.pictures)
    for n in range(begin, min(begin + length, studio.frames)):
        wave = ((-1) ** n, random.normal(0, 1), math.sin(2 * math.pi * n / period))[seed % 3]
        pictures[n] = lit(pictures[n], 1 + strength * wave)
    return studio.film(pictures)


def breaks_the_promise(studio: Studio, seed: int) -> MadeFilm:
    """Another length, rate, codec or sampling, with sound, or in another shape than its first frame."""
    made = slow_pan(studio, seed)
    kind = seed % 6
    if kind == 0:
        return replace(made, pictures=made.pictures[: studio.frames * 3 // 5])
    if kind == 1:
        return replace(made, fps=24)
    if kind == 2:
        return replace(made, codec="mpeg4")
    if kind == 3:
        return replace(made, pixel_format="yuv444p")
    if kind == 4:
        return replace(made, has_sound=True)
    return replace(made, first=cv2.resize(made.first, (studio.size[1], studio.size[0])))


FAULTS: dict[str, Maker] = {
    "first_frame": begins_elsewhere,
    "last_frame": ends_elsewhere,
    "swapped": runs_backwards,
    "foreign": of_other_frames,
    "frozen": stands_still,
    "black": goes_black,
    "flash": flashes,
    "cut": jumps,
    "flicker": flickers,
    "conformity": breaks_the_promise,
}
