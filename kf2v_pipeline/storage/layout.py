"""Where everything that we write lies, relative to the storage root; pure. Reading and writing belong to the store."""

from __future__ import annotations

from pathlib import PurePosixPath

from kf2v_pipeline.domain.attempt import Attempt

VIDEOS = "videos"
"""The folder that Hugging Face reads with ``load_dataset("videofolder", data_dir=...)``."""

METADATA = f"{VIDEOS}/metadata.jsonl"
DATASET_CARD = f"{VIDEOS}/README.md"
"""What Hugging Face reads first: with it ``load_dataset("output/videos")`` finds the videos without being told."""

CROISSANT = "croissant.json"
VIDEOS_TABLE = "tables/videos.parquet"
REJECTED_TABLE = "tables/rejected.parquet"
FINGERPRINT_DIGITS = 12
"""How much of a fingerprint names a file."""

PREVIEWS = "previews"
GALLERY = "gallery/index.html"
GALLERY_DATA = "gallery/data"
"""Where the page's clips lie, a few hundred in a file; each is named by its content."""


def video_path(clip_id: str, fingerprint: str) -> str:
    """Where a clip's video lies. Another fingerprint is another file: what was paid for is never overwritten."""
    return f"{VIDEOS}/{clip_id}/{_short(fingerprint)}.mp4"


def cut_path(clip_id: str, fingerprint: str, aspect: str, fit: str) -> str:
    """Where the video's cut to an aspect lies: beside it, such as ``videos/lake/0123456789ab.9x16.crop.mp4``."""
    return f"{VIDEOS}/{clip_id}/{_short(fingerprint)}.{aspect.replace(':', 'x')}.{fit}.mp4"


def is_cut(path: str) -> bool:
    """Whether a film's path is that of a cut: a video's own name has no dots."""
    return path.endswith(".mp4") and "." in PurePosixPath(path).stem


def path_of(attempt: Attempt) -> str:
    """Where a stored attempt's video lies, as the ledger says it."""
    return attempt.video_path or video_path(attempt.clip_id, attempt.fingerprint)


def sidecar_path(clip_id: str, fingerprint: str) -> str:
    """Where the video's sidecar lies: beside it, under the same name."""
    return f"{VIDEOS}/{clip_id}/{_short(fingerprint)}.json"


def poster_path(clip_id: str, fingerprint: str) -> str:
    """Where the video's first picture lies."""
    return f"{PREVIEWS}/{clip_id}/{_short(fingerprint)}.poster.jpg"


def strip_path(clip_id: str, fingerprint: str) -> str:
    """Where the video's film strip lies."""
    return f"{PREVIEWS}/{clip_id}/{_short(fingerprint)}.strip.jpg"


def loop_path(clip_id: str, fingerprint: str) -> str:
    """Where the few moving pictures of the video lie."""
    return f"{PREVIEWS}/{clip_id}/{_short(fingerprint)}.loop.webp"


def first_frame_path(clip_id: str, fingerprint: str) -> str:
    """Where a small copy of the clip's first frame lies."""
    return f"{PREVIEWS}/{clip_id}/{_short(fingerprint)}.first.jpg"


def last_frame_path(clip_id: str, fingerprint: str) -> str:
    """Where a small copy of the clip's last frame lies."""
    return f"{PREVIEWS}/{clip_id}/{_short(fingerprint)}.last.jpg"


def _short(fingerprint: str) -> str:
    return fingerprint[:FINGERPRINT_DIGITS]
