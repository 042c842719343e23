"""Fixtures of the unit tests: small films, really encoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

MakeFilm = Callable[..., Path]


@pytest.fixture
def make_film(tmp_path: Path) -> MakeFilm:
    """Writes an MP4 whose red grows from picture to picture: ``make_film("a.mp4", frames=10)``."""

    def make(
        name: str, *, size: tuple[int, int] = (96, 64), frames: int = 10, fps: int = 30, sound: bool = False
    ) -> Path:
        path = tmp_path / name
        with av.open(path, "w", format="mp4", options={"movflags": "+faststart"}) as container:
            pictures = container.add_stream("libx264", rate=fps)
            pictures.width, pictures.height = size
            pictures.pix_fmt = "yuv420p"
            tones = container.add_stream("aac", rate=8000) if sound else None
            for number in range(frames):
                pixels = np.full((size[1], size[0], 3), 40, np.uint8)
                pixels[..., 0] = 255 * number // max(frames - 1, 1)
                container.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(pictures.encode())
            if tones is not None:
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                silence.sample_rate = 8000
                container.mux(tones.encode(silence))
                container.mux(tones.encode())
        return path

    return make
