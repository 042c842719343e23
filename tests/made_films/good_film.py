"""Good films, by what makes them hard to judge. Each takes a studio and a seed."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np

from .film import MadeFilm, Pixels
from .studio import Camera, Maker, Studio, drawn, eased, lit, mixed, photograph


def slow_pan(studio: Studio, seed: int) -> MadeFilm:
    random = drawn("pan", seed)
    start = Camera(x=0.35, y=random.uniform(0.4, 0.6), zoom=random.uniform(1.3, 1.8))
    end = replace(start, x=random.uniform(0.55, 0.65), y=random.uniform(0.4, 0.6))
    return studio.film(studio.move(photograph(seed), lambda t: start.towards(end, eased(t))))


def fast_zoom(studio: Studio, seed: int) -> MadeFilm:
    """Three to six times closer, most of it within a part of the film."""
    random = drawn("zoom", seed)
    start, end = Camera(), Camera(x=0.5, y=0.45, zoom=random.uniform(3, 6))
    begin, length = random.uniform(0.05, 0.4), random.uniform(0.12, 0.5)
    way = lambda t: start.towards(end, eased(min(max((t - begin) / length, 0), 1) * 0.9 + 0.1 * t))  # noqa: E731
    pictures = studio.move(photograph(seed), way)
    return studio.film(pictures if seed % 2 else pictures[::-1])


def whip_pan(studio: Studio, seed: int) -> MadeFilm:
    """The camera tears round within half a second, as a hand would do it."""
    random = drawn("whip", seed)
    start, end = Camera(x=0.25, zoom=2), Camera(x=0.75, zoom=2)
    at, steep = random.uniform(0.35, 0.65), random.uniform(25, 45)
    ends = [1 / (1 + math.exp(-steep * (t - at))) for t in (0, 1)]
    way = lambda t: start.towards(  # noqa: E731
        end, 0.1 * t + 0.9 * (1 / (1 + math.exp(-steep * (t - at))) - ends[0]) / (ends[1] - ends[0])
    )
    return studio.film(studio.move(photograph(seed), way))


def dark_scene(studio: Studio, seed: int) -> MadeFilm:
    random = drawn("dark", seed)
    gain = random.uniform(0.1, 0.25)
    calm = slow_pan(studio, seed)
    return studio.film([lit(picture, gain, 4) for picture in calm.pictures])


def nearly_still(studio: Studio, seed: int) -> MadeFilm:
    """The camera moves by one or two hundredths of the picture in all."""
    random = drawn("still", seed)
    start = Camera(zoom=1.2)
    end = Camera(zoom=1.2 * random.uniform(1.01, 1.02), x=0.5 + random.uniform(-0.005, 0.005))
    return studio.film(studio.move(photograph(seed), lambda t: start.towards(end, t)))


def small_subject(studio: Studio, seed: int) -> MadeFilm:
    """Nothing moves but a bird."""
    random = drawn("bird", seed)
    still = studio.view(photograph(seed), Camera(zoom=1.1))
    width, height = studio.size
    pictures = []
    for n in range(studio.frames):
        t = n / (studio.frames - 1)
        picture = still.copy()
        at = (int(width * (0.1 + 0.8 * t)), int(height * (0.3 + 0.1 * math.sin(9 * t + random.uniform(0, 0.01)))))
        spread = max(2, int(height * 0.02 * (1.5 + math.sin(40 * t))))
        cv2.ellipse(picture, at, (height // 25, spread), 0, 0, 360, (30, 30, 30), -1, cv2.LINE_AA)
        pictures.append(picture)
    return studio.film(pictures)


def day_to_night(studio: Studio, seed: int) -> MadeFilm:
    random = drawn("night", seed)
    still = studio.view(photograph(seed), Camera(zoom=1.1))
    night = (still.astype(np.float32) * [0.35, 0.2, 0.12]).astype(np.uint8)
    begin = random.uniform(0, 0.3)
    pictures = [
        mixed(still, night, eased(min(max((n / (studio.frames - 1) - begin) / (0.9 - begin), 0), 1)))
        for n in range(studio.frames)
    ]
    clouds = [np.roll(still[: still.shape[0] // 3], n, axis=1) for n in range(studio.frames)]
    for picture, cloud in zip(pictures, clouds, strict=True):
        picture[: cloud.shape[0]] = cv2.addWeighted(picture[: cloud.shape[0]], 0.7, cloud, 0.1, 0)
    return studio.film(pictures if seed % 2 else pictures[::-1])


def handheld(studio: Studio, seed: int) -> MadeFilm:
    random = drawn("hand", seed)
    phases = random.uniform(0, 6.3, 6)
    rates = random.uniform(1.0, 4.0, 6) * studio.frames / studio.fps * 2 * math.pi

    def way(t: float) -> Camera:
        sway = [math.sin(rate * t + phase) for rate, phase in zip(rates, phases, strict=True)]
        return Camera(
            x=0.45 + 0.1 * t + 0.006 * (sway[0] + sway[1]),
            y=0.5 + 0.006 * (sway[2] + sway[3]),
            zoom=1.5 + 0.01 * sway[4],
            turn=0.8 * sway[5],
        )

    return studio.film(studio.move(photograph(seed), way))


def unrelated_morph(studio: Studio, seed: int) -> MadeFilm:
    """Two pictures that have nothing in common, one becoming the other in 1.2 s to all of the film."""
    random = drawn("morph", seed)
    first = studio.move(photograph(seed), lambda t: Camera(zoom=1.1 + 0.4 * t))
    last = studio.move(photograph(seed + 7), lambda t: Camera(zoom=1.5 - 0.4 * t))
    length = random.uniform(0.25, 0.9)
    begin = random.uniform(0, 1 - length)
    pictures = [
        mixed(a, b, eased(min(max((n / (studio.frames - 1) - begin) / length, 0), 1)))
        for n, (a, b) in enumerate(zip(first, last, strict=True))
    ]
    return studio.film(pictures)


def doubled_pictures(studio: Studio, seed: int) -> MadeFilm:
    """Made at 16, 12 or 10 pictures a second and shown at 30 with repeats."""
    smooth = (fast_zoom if seed % 3 == 0 else slow_pan)(studio, seed)
    rate = (16, 12, 10)[seed % 3] / studio.fps
    shown = [smooth.pictures[min(int(int(n * rate) / rate), studio.frames - 1)] for n in range(studio.frames)]
    return studio.film(shown)


def grainy(studio: Studio, seed: int) -> MadeFilm:
    random = drawn("grain", seed)
    calm = slow_pan(studio, seed)
    strength = random.uniform(4, 12)
    pictures = [
        (picture + random.normal(0, strength, picture.shape[:2])[..., None]).clip(0, 255).astype(np.uint8)
        for picture in calm.pictures
    ]
    return studio.film(pictures)


def rough(studio: Studio, seed: int) -> MadeFilm:
    """So few bits that it is seen."""
    return replace(slow_pan(studio, seed), crf=34 + seed % 4)


def turning(studio: Studio, seed: int) -> MadeFilm:
    random = drawn("turn", seed)
    end = Camera(zoom=2.2, turn=random.uniform(20, 90) * (1 if seed % 2 else -1))
    return studio.film(studio.move(photograph(seed), lambda t: Camera(zoom=1.5).towards(end, eased(t))))


def misfit(studio: Studio, seed: int) -> MadeFilm:
    """As a model gives frames back: softer, in other light, a little closer; and of frames in another shape."""
    random = drawn("misfit", seed)
    made = slow_pan(studio, seed)
    closer, gain = random.uniform(1.0, 1.012), random.uniform(0.93, 1.07)
    width, height = studio.size

    def give_back(picture: Pixels) -> Pixels:
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0, closer)
        soft = cv2.GaussianBlur(picture, (0, 0), width / 640 * random.uniform(0.6, 1.1))
        return lit(cv2.warpAffine(soft, matrix, studio.size, borderMode=cv2.BORDER_REFLECT_101), gain, 2)

    above = random.integers(0, height // 6)
    first = cv2.resize(made.first, None, fx=1.7, fy=1.69, interpolation=cv2.INTER_CUBIC)
    last = cv2.copyMakeBorder(made.last, int(above), int(above), 0, 0, cv2.BORDER_REFLECT_101)
    return studio.film([give_back(picture) for picture in made.pictures], first=first, last=last)


def out_of_black(studio: Studio, seed: int) -> MadeFilm:
    """Black is what was asked for: the first frame is."""
    scene = slow_pan(studio, seed).pictures
    length = 0.2 + 0.03 * seed
    gains = [min(n / (studio.frames - 1) / length, 1) for n in range(studio.frames)]
    return studio.film([lit(picture, gain) for picture, gain in zip(scene, gains, strict=True)])


def fog(studio: Studio, seed: int) -> MadeFilm:
    """Next to no contrast."""
    calm = slow_pan(studio, seed)
    return studio.film([lit(picture, 0.12 + 0.01 * seed, 150) for picture in calm.pictures])


def flicker_of_leaves(studio: Studio, seed: int) -> MadeFilm:
    """Water or leaves: small lights come and go everywhere, and the whole stays as bright as it was."""
    random = drawn("leaves", seed)
    calm = slow_pan(studio, seed)
    pictures = []
    for picture in calm.pictures:
        lights = random.normal(1, 0.1, (45, 80)).astype(np.float32)
        gains = cv2.resize(lights, studio.size, interpolation=cv2.INTER_CUBIC)
        pictures.append((picture * gains[..., None]).clip(0, 255).astype(np.uint8))
    return studio.film(pictures)


GOOD: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        slow_pan,
        fast_zoom,
        whip_pan,
        dark_scene,
        nearly_still,
        small_subject,
        day_to_night,
        handheld,
        unrelated_morph,
        doubled_pictures,
        grainy,
        rough,
        turning,
        misfit,
        out_of_black,
        fog,
        flicker_of_leaves,
    )
}
