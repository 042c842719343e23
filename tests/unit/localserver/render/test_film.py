"""Whole films, looked at through their files."""

from __future__ import annotations

import pickle

import av
import cv2
import numpy as np
import pytest

from kf2v_pipeline.localserver.render import RenderError, RenderRequest, output_size
from kf2v_pipeline.localserver.render.overlay import Watermark
from kf2v_pipeline.localserver.render.picture import to_planes

WIDTH, HEIGHT = 624, 352  # its films at 480P are 832x464


def _cut(wall, left, top):
    return wall[top : top + HEIGHT, left : left + WIDTH]


def _placed(picture, film):
    """A picture as the film should show it: scaled to cover, centre cut out."""
    width, height = film.report.width, film.report.height
    scale = max(width / picture.shape[1], height / picture.shape[0])
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[top : top + height, left : left + width]


@pytest.fixture(scope="module")
def wall(studio):
    return studio.wall(7)


@pytest.fixture(scope="module")
def pan(studio, wall):
    """A camera that pans over a wall, five seconds."""
    return studio.film(_cut(wall, 100, 200), _cut(wall, 300, 200), duration_s=5)


@pytest.fixture(scope="module")
def strangers(studio, wall):
    """Two pictures that have nothing to do with each other."""
    return studio.film(_cut(wall, 100, 200), _cut(studio.wall(8), 300, 100), prompt="")


def test_the_film_has_150_frames_at_30_a_second_in_five_seconds(pan):
    with av.open(str(pan.path)) as film:
        video = film.streams.video[0]
        assert (video.frames, video.average_rate, film.duration) == (150, 30, 5_000_000)
    assert len(pan.frames) == 150


def test_the_film_is_silent_h264_that_every_player_knows(pan):
    with av.open(str(pan.path)) as film:
        video = film.streams.video[0]
        assert [stream.type for stream in film.streams] == ["video"]
        assert (video.codec.canonical_name, video.codec_context.profile, video.pix_fmt) == ("h264", "High", "yuv420p")


def test_the_film_says_that_its_colours_are_bt709_in_video_range(pan):
    with av.open(str(pan.path)) as film:
        context = film.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (1, 1, 1, 1)


def test_the_index_stands_before_the_pictures(pan):
    data = pan.path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_the_file_says_that_no_model_made_it(pan):
    with av.open(str(pan.path)) as film:
        assert "local engine" in film.metadata["comment"]


def test_the_report_tells_what_is_in_the_file(pan):
    with av.open(str(pan.path)) as film:
        video = film.streams.video[0]
        assert (
            (pan.report.width, pan.report.height) == (video.width, video.height) == output_size(WIDTH, HEIGHT, "480P")
        )
    assert (pan.report.frames, pan.report.duration_s) == (150, 5.0)


def test_nothing_but_films_is_left_in_their_folder(pan):
    assert {path.suffix for path in pan.path.parent.iterdir()} == {".mp4"}


def test_the_first_picture_is_the_first_frame(studio, pan, wall):
    assert studio.likeness(pan.frames[0], _placed(_cut(wall, 100, 200), pan)) >= 0.97


def test_the_last_picture_is_the_last_frame(studio, pan, wall):
    assert studio.likeness(pan.frames[-1], _placed(_cut(wall, 300, 200), pan)) >= 0.97


def test_a_last_picture_of_another_shape_is_cropped_to_cover_the_film(studio, wall):
    tall = wall[100:700, 500:900]
    film = studio.film(_cut(wall, 100, 200), tall, prompt="dissolve")
    assert studio.likeness(film.frames[-1], _placed(tall, film)) >= 0.97


def test_colours_survive(pan, wall):
    truth = _placed(_cut(wall, 100, 200), pan).astype(float)
    assert np.abs(pan.frames[0].astype(float).mean(axis=(0, 1)) - truth.mean(axis=(0, 1))).max() < 1.5


def test_a_pan_moves_the_camera_and_does_not_show_the_scene_twice(studio, pan, wall):
    truth = _placed(_cut(wall, 199, 200), pan)
    twice = cv2.addWeighted(pan.frames[0], 0.5, pan.frames[-1], 0.5, 0)
    assert pan.report.path_taken == "camera+flow"
    assert studio.likeness(pan.frames[74], truth) > 0.9
    assert studio.likeness(twice, truth) < 0.6


def test_a_thing_that_moves_before_the_scene_is_not_shown_twice(studio, wall):
    thing = studio.wall(9)[:150, :170]

    def at(left):
        picture = _cut(wall, 100, 200).copy()
        picture[110:260, left : left + 170] = thing
        return picture

    film = studio.film(at(100), at(340))
    truth = _placed(at(216), film)
    strip = slice(film.report.height // 3, film.report.height * 2 // 3)
    twice = cv2.addWeighted(film.frames[0], 0.5, film.frames[-1], 0.5, 0)
    assert film.report.path_taken == "camera+flow"
    assert studio.likeness(film.frames[14][strip], truth[strip]) > 0.9
    assert studio.likeness(twice[strip], truth[strip]) < 0.8


def test_strangers_are_dissolved(strangers):
    assert strangers.report.path_taken == "dissolve"


def test_a_dissolve_never_tears(strangers):
    """Torn motion draws edges that neither picture has."""

    def sharpest(frame):
        return np.percentile(np.abs(cv2.Laplacian(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), cv2.CV_64F)), 99)

    ends = max(sharpest(strangers.frames[0]), sharpest(strangers.frames[-1]))
    assert max(sharpest(frame) for frame in strangers.frames[1:-1]) < 1.1 * ends


def test_a_single_picture_is_moved_over_by_the_camera(studio, wall):
    film = studio.film(_cut(wall, 100, 200), None, prompt="zoom in")
    assert film.report.path_taken == "camera"
    assert studio.likeness(film.frames[-1], film.frames[0]) < 0.7


def test_the_same_request_gives_the_same_bytes_on_any_number_of_threads(studio, strangers, wall):
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        again = studio.film(_cut(wall, 100, 200), _cut(studio.wall(8), 300, 100), prompt="")
    finally:
        cv2.setNumThreads(threads)
    assert again.path.read_bytes() == strangers.path.read_bytes()


def test_the_watermark_is_seen_bottom_right_in_every_frame(studio, strangers, wall):
    marked = studio.film(_cut(wall, 100, 200), _cut(studio.wall(8), 300, 100), prompt="", watermark=True)
    height, width = strangers.report.height, strangers.report.width
    corner = (slice(height - height // 8, height), slice(width - width // 3, width))
    for plain, frame in zip(strangers.frames[::7], marked.frames[::7], strict=True):
        difference = cv2.absdiff(plain, frame).max(axis=2).astype(float)
        assert np.percentile(difference[corner], 98) > 25
        difference[corner] = 0
        assert np.percentile(difference, 99) < 20  # what is left is the encoder's


def test_the_watermark_changes_nothing_but_the_corner_bottom_right(wall):
    planes = to_planes(wall[:464, :832])
    plain = [plane.copy() for plane in planes]
    Watermark(832, 464).draw(planes)
    for before, after in zip(plain, planes, strict=True):
        changed = np.argwhere(before != after)
        assert len(changed)
        assert (changed.min(axis=0) >= np.array(before.shape) * (7 / 8, 2 / 3)).all()


def test_the_actual_prompt_says_what_was_rendered(strangers, pan):
    assert pan.report.actual_prompt is not None
    assert pan.report.actual_prompt.startswith("constant speed [local engine: same scene, camera path")
    assert "dissolve between two pictures" in (strangers.report.actual_prompt or "")


def test_without_prompt_extension_there_is_no_actual_prompt(studio, wall):
    film = studio.film(_cut(wall, 100, 200), None, prompt_extend=False)
    assert film.report.actual_prompt is None


@pytest.mark.parametrize("which", ["first", "last"])
def test_what_is_no_picture_is_named_in_one_sentence(studio, wall, which):
    with pytest.raises(RenderError, match=rf"^The {which} frame can't be decoded as a picture\.$"):
        studio.film(_cut(wall, 0, 0), _cut(wall, 0, 0), **{f"{which}_frame": b"no picture"})


def test_request_and_report_travel_between_processes(pan, wall):
    request = RenderRequest(
        first_frame=b"1",
        last_frame=None,
        resolution="720P",
        prompt=None,
        negative_prompt=None,
        seed=1,
        watermark=False,
        prompt_extend=True,
    )
    travelled = pickle.loads(pickle.dumps((request, pan.report)))  # noqa: S301  # the bytes are our own
    assert travelled == (request, pan.report)
