"""Where things lie: the paths that users, Hugging Face and the gallery's links count on."""

from __future__ import annotations

from kf2v_pipeline.storage import layout

FINGERPRINT = "0123456789abcdef" * 4


def test_a_video_lies_in_its_clips_folder_under_twelve_digits_of_the_fingerprint() -> None:
    assert layout.video_path("shot-1", FINGERPRINT) == "videos/shot-1/0123456789ab.mp4"


def test_a_sidecar_lies_beside_its_video_under_the_same_name() -> None:
    assert layout.sidecar_path("shot-1", FINGERPRINT) == "videos/shot-1/0123456789ab.json"


def test_the_small_pictures_lie_together_and_apart_from_the_videos() -> None:
    paths = [
        make("shot-1", FINGERPRINT)
        for make in (
            layout.poster_path,
            layout.strip_path,
            layout.loop_path,
            layout.first_frame_path,
            layout.last_frame_path,
        )
    ]
    assert paths == [
        "previews/shot-1/0123456789ab.poster.jpg",
        "previews/shot-1/0123456789ab.strip.jpg",
        "previews/shot-1/0123456789ab.loop.webp",
        "previews/shot-1/0123456789ab.first.jpg",
        "previews/shot-1/0123456789ab.last.jpg",
    ]


def test_the_metadata_lies_beside_the_videos_for_hugging_face() -> None:
    assert layout.METADATA.rpartition("/")[0] == layout.VIDEOS


def test_another_fingerprint_never_takes_the_place_of_a_paid_video() -> None:
    assert layout.video_path("shot-1", "f" * 64) != layout.video_path("shot-1", FINGERPRINT)


def test_a_cut_lies_beside_its_video_and_is_told_from_it() -> None:
    raw, cut = layout.video_path("shot.1", FINGERPRINT), layout.cut_path("shot.1", FINGERPRINT, "9:16", "pad")
    assert cut == "videos/shot.1/0123456789ab.9x16.pad.mp4"
    assert [layout.is_cut(path) for path in (raw, cut, layout.sidecar_path("shot.1", FINGERPRINT))] == [
        False,
        True,
        False,
    ]
