"""Verifies what ``make run`` made: each clip of the example batch is a video as the vendor describes it, and listed."""

import csv
import json
import sys
from pathlib import Path

import av
import pandas as pd

from kf2v_pipeline.domain.geometry import output_size
from kf2v_pipeline.media.frames import inspect_frame

MANIFEST = Path("data/manifest.csv")


def verify_video(path: Path, expected_size: tuple[int, int]) -> None:
    """Asserts what the vendor's page promises of a video: H.264, 30 fps, 5 s, silent, and the size of its rule."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert not container.streams.audio, f"{path} has sound"
        assert stream.codec_context.name == "h264", f"{path} is {stream.codec_context.name}"
        assert stream.average_rate == 30, f"{path} has {stream.average_rate} fps"
        assert (stream.width, stream.height) == expected_size, f"{path} is {stream.width}x{stream.height}"
        pictures = sum(1 for _ in container.decode(stream))
    assert pictures == 150, f"{path} has {pictures} pictures"


def main(output: Path) -> None:
    """Verifies one storage folder against the example manifest."""
    with MANIFEST.open(encoding="utf-8", newline="") as file:
        wanted = {row["clip_id"]: row for row in csv.DictReader(file)}
    table = pd.read_parquet(output / "tables" / "videos.parquet").set_index("clip_id")
    assert list(table.index) == list(wanted), "the table's clips are not the manifest's"
    assert len(wanted) >= 8
    for clip_id, row in table.iterrows():
        assert row["status"] == "stored", f"{clip_id} is {row['status']}: {row['error_message']}"
        location = MANIFEST.parent / wanted[clip_id]["first_frame"]
        frame = inspect_frame(location.read_bytes(), str(location))
        verify_video(output / row["video_path"], output_size(frame.width, frame.height, row["resolution"]))
    listed = [json.loads(line) for line in (output / "videos" / "metadata.jsonl").read_text("utf-8").splitlines()]
    assert {entry["clip_id"] for entry in listed} == set(wanted)
    assert all((output / "videos" / entry["file_name"]).is_file() for entry in listed)
    page = (output / "gallery" / "index.html").read_text("utf-8")
    clips = [path.read_text("utf-8") for path in (output / "gallery" / "data").iterdir() if path.name in page]
    assert all(clip_id in "".join(clips) for clip_id in wanted), "a clip is missing in the gallery"
    assert pd.read_parquet(output / "tables" / "rejected.parquet").empty
    print(f"{len(wanted)} videos verified: H.264, 30 fps, 150 pictures, silent, of the right size.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
