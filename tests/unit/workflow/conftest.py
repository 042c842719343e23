"""What the tests of whole nights share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from unit.workflow.real_night import upload
from unit.workflow.simulation import make_clip

from kf2v_pipeline.domain.clip import Clip


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Two clips whose frames have to be uploaded."""
    frame = upload(tmp_path / "frame.png")
    return [make_clip(number, frame=frame) for number in range(2)]


@pytest.fixture
def film(make_film: Callable[..., Path]) -> Path:
    return make_film("film.mp4")
