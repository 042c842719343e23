"""Films made by script, good ones and ones with just one fault, with seeded variation; real photographs, real files.

The tests and ``python -m bench quality`` judge the quality checks by them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np

PHOTOGRAPHS = sorted((Path(__file__).parents[1] / "data" / "frames").glob("*.jpg"))

Pixels = np.ndarray
"""A picture, ``(height, width, 3)``, blue-green-red, 8 bit."""


@dataclass(frozen=True, kw_only=True)
class MadeFilm:
    """A film before it is encoded.

    Attributes:
        first: What is named as its first frame, in any size.
        last: The same of its last frame.
        pictures: All of them, in one size.
        crf: How roughly it is encoded.
    """

    pictures: Sequence[Pixels]
    first: Pixels
    last: Pixels
    fps: int = 30
    crf: int = 23
    pixel_format: str = "yuv420p"
    codec: str = "libx264"
    has_sound: bool = False


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Where a camera looks: at a point in shares of the photograph, so close, and so turned."""

    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0
    turn: float = 0.0

    def towards(self, other: Camera, share: float) -> Camera:
        """The way to another place, at a share of it; zooms are even in their logarithm."""
        return Camera(
            x=self.x + (other.x - self.x) * share,
            y=self.y + (other.y - self.y) * share,
            zoom=self.zoom * (other.zoom / self.zoom) ** share,
            turn=self.turn + (other.turn - self.turn) * share,
        )


class Studio:
    """Makes films of one size and length; the same seed makes the same film."""

    def __init__(self, size: tuple[int, int] = (640, 360), frames: int = 150, fps: int = 30) -> None:
        self.size = size
        self.frames = frames
        self.fps = fps

    def view(self, photograph: Pixels, camera: Camera) -> Pixels:
        """What the camera sees of a photograph; its borders are mirrored."""
        width, height = self.size
        high, wide = photograph.shape[:2]
        scale = max(width / wide, height / high) * camera.zoom
        cos, sin = scale * math.cos(math.radians(camera.turn)), scale * math.sin(math.radians(camera.turn))
        x, y = camera.x * wide, camera.y * high
        matrix = np.array([[cos, -sin, width / 2 - cos * x + sin * y], [sin, cos, height / 2 - sin * x - cos * y]])
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        return cv2.warpAffine(photograph, matrix, self.size, flags=method, borderMode=cv2.BORDER_REFLECT_101)

    def move(self, photograph: Pixels, way: Callable[[float], Camera]) -> list[Pixels]:
        """A film along a way of cameras, by the share of the film."""
        return [self.view(photograph, way(n / (self.frames - 1))) for n in range(self.frames)]

    def film(self, pictures: Sequence[Pixels], **changes: object) -> MadeFilm:
        """A film whose frames are its own ends."""
        made = MadeFilm(pictures=pictures, first=pictures[0], last=pictures[-1], fps=self.fps)
        return replace(made, **changes)  # type: ignore[arg-type]


@cache
def photograph(number: int) -> Pixels:
    """One of the example batch's photographs, 1280 pixels wide or high at most."""
    return cv2.imread(str(PHOTOGRAPHS[number % len(PHOTOGRAPHS)]))


def lit(picture: Pixels, gain: float, lift: float = 0.0) -> Pixels:
    """The picture brighter or darker."""
    return (picture.astype(np.float32) * gain + lift).clip(0, 255).astype(np.uint8)


def mixed(first: Pixels, last: Pixels, share: float) -> Pixels:
    return cv2.addWeighted(first, 1 - share, last, share, 0)


def eased(share: float) -> float:
    return share * share * (3 - 2 * share)


# Good films, by what makes them hard to judge. Each takes a studio and a seed.

Maker = Callable[[Studio, int], MadeFilm]


def _random(name: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, *name.encode()])


def slow_pan(studio: Studio, seed: int) -> MadeFilm:
    random = _random("pan", seed)
    start = Camera(x=0.35, y=random.uniform(0.4, 0.6), zoom=random.uniform(1.3, 1.8))
    end = replace(start, x=random.uniform(0.55, 0.65), y=random.uniform(0.4, 0.6))
    return studio.film(studio.move(photograph(seed), lambda t: start.towards(end, eased(t))))


def fast_zoom(studio: Studio, seed: int) -> MadeFilm:
    """Three to six times closer, most of it within a part of the film."""
    random = _random("zoom", seed)
    start, end = Camera(), Camera(x=0.5, y=0.45, zoom=random.uniform(3, 6))
    begin, length = random.uniform(0.05, 0.4), random.uniform(0.12, 0.5)
    way = lambda t: start.towards(end, eased(min(max((t - begin) / length, 0), 1) * 0.9 + 0.1 * t))  # noqa: E731
    pictures = studio.move(photograph(seed), way)
    return studio.film(pictures if seed % 2 else pictures[::-1])


def whip_pan(studio: Studio, seed: int) -> MadeFilm:
    """The camera tears round within half a second, as a hand would do it."""
    random = _random("whip", seed)
    start, end = Camera(x=0.25, zoom=2), Camera(x=0.75, zoom=2)
    at, steep = random.uniform(0.35, 0.65), random.uniform(25, 45)
    ends = [1 / (1 + math.exp(-steep * (t - at))) for t in (0, 1)]
    way = lambda t: start.towards(  # noqa: E731
        end, 0.1 * t + 0.9 * (1 / (1 + math.exp(-steep * (t - at))) - ends[0]) / (ends[1] - ends[0])
    )
    return studio.film(studio.move(photograph(seed), way))


def dark_scene(studio: Studio, seed: int) -> MadeFilm:
    random = _random("dark", seed)
    gain = random.uniform(0.1, 0.25)
    calm = slow_pan(studio, seed)
    return studio.film([lit(picture, gain, 4) for picture in calm.pictures])


def nearly_still(studio: Studio, seed: int) -> MadeFilm:
    """The camera moves by one or two hundredths of the picture in all."""
    random = _random("still", seed)
    start = Camera(zoom=1.2)
    end = Camera(zoom=1.2 * random.uniform(1.01, 1.02), x=0.5 + random.uniform(-0.005, 0.005))
    return studio.film(studio.move(photograph(seed), lambda t: start.towards(end, t)))


def small_subject(studio: Studio, seed: int) -> MadeFilm:
    """Nothing moves but a bird."""
    random = _random("bird", seed)
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
    random = _random("night", seed)
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
    random = _random("hand", seed)
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
    random = _random("morph", seed)
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
    random = _random("grain", seed)
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
    random = _random("turn", seed)
    end = Camera(zoom=2.2, turn=random.uniform(20, 90) * (1 if seed % 2 else -1))
    return studio.film(studio.move(photograph(seed), lambda t: Camera(zoom=1.5).towards(end, eased(t))))


def misfit(studio: Studio, seed: int) -> MadeFilm:
    """As a model gives frames back: softer, in other light, a little closer; and of frames in another shape."""
    random = _random("misfit", seed)
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
    random = _random("leaves", seed)
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


# Films with one fault, by the check that must find it.


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
    random = _random("elsewhere", seed)
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
    random = _random("freeze", seed)
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
    random = _random("black", seed)
    made = _base(studio, seed)
    length = int(random.integers(1, studio.fps))
    start = (0, studio.frames - length, random.integers(1, studio.frames - length))[seed % 3]
    black = np.full_like(made.pictures[0], random.integers(0, 4))
    pictures = [black if start <= n < start + length else picture for n, picture in enumerate(made.pictures)]
    return replace(made, pictures=pictures)


def flashes(studio: Studio, seed: int) -> MadeFilm:
    """One to three pictures that do not belong: white, burnt out, or of another film."""
    random = _random("flash", seed)
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
    random = _random("cut", seed)
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
    random = _random("flicker", seed)
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


def write_film(made: MadeFilm, path: Path) -> Path:
    """Encodes the film as the service would: MP4, BT.709, no sound unless it has some."""
    height, width = made.pictures[0].shape[:2]
    with av.open(path, "w", format="mp4") as container:
        # x264's AVX-512 code gives the same pictures other bytes from run to run
        x264 = {"preset": "veryfast", "crf": str(made.crf), "x264-params": "cpu-independent=1"}
        options = x264 if made.codec == "libx264" else {"q": "3"}
        stream = container.add_stream(made.codec, rate=made.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, made.pixel_format
        stream.thread_count = 1
        tones = container.add_stream("aac", rate=8000) if made.has_sound else None
        for number, picture in enumerate(made.pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame = frame.reformat(format=made.pixel_format, dst_colorspace="ITU709")
            frame.pts, frame.time_base = number, Fraction(1, made.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tones is not None:
            container.mux(_silence(tones))
    return path


def _silence(tones: av.AudioStream) -> Iterator[av.Packet]:
    silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
    silence.sample_rate = 8000
    yield from tones.encode(silence)
    yield from tones.encode(None)


def as_file(picture: Pixels) -> bytes:
    """The picture as a JPEG, as people have their frames."""
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1])
