"""Small pictures of frames: each frame is read once, however many clips show it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.workflow.picture import frame_shrinker


def test_a_frame_that_two_clips_share_is_read_once(tmp_path: Path) -> None:
    frame = tmp_path / "between.png"
    Image.new("RGB", (640, 360), "teal").save(frame)
    shrink = frame_shrinker(Store.open(str(tmp_path / "output")))
    small = shrink(str(frame))
    frame.unlink()
    assert shrink(str(frame)) == small
