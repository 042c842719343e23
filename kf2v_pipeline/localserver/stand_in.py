"""A film that costs next to nothing: a cut from the first frame to the last. ``render`` makes real ones."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps

FPS = 30


def write_stand_in(frames: Sequence[Path], path: Path, *, size: tuple[int, int], film_s: int) -> None:
    """Write H.264 in MP4, 30 frames a second, silent, with the frames' own pictures at both ends."""
    part_path = path.with_name(f"{path.name}.part")
    stills = [_still(frame, size) for frame in frames]
    count = FPS * film_s
    with av.open(str(part_path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(count):
            still = stills[index * len(stills) // count]
            still.pts, still.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(still))
        container.mux(stream.encode(None))
    part_path.replace(path)


def _still(frame: Path, size: tuple[int, int]) -> av.VideoFrame:
    """The frame's picture, upright, cut to the film's shape."""
    with Image.open(frame) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    pixels = np.asarray(ImageOps.fit(upright, size))
    return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
