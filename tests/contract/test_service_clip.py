"""What becomes of a clip, asked twice: by the vendor's SDK and by our client, which must see the same service."""

from __future__ import annotations

import functools
import http.server
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from contract.asker import Asker, Refusal

from kf2v_pipeline.localserver.embedded import LocalServer

FLASH, PLUS, PLUS_CN, WAN27 = "wan2.2-kf2v-flash", "wan2.1-kf2v-plus", "wanx2.1-kf2v-plus", "wan2.7-i2v"

Inline = Callable[..., str]


def options_of(server: LocalServer, task_id: str) -> dict[str, Any]:
    """What the server was asked for, as it read it."""
    options: dict[str, Any]
    (options,) = (create["options"] for create in server.journal()["creates"] if create["task_id"] == task_id)
    return options


def film_of(video_url: str) -> tuple[int, int, int, int, str]:
    """Width, height, number and rate of frames, and codec of the film at this address."""
    with av.open(io.BytesIO(httpx.get(video_url, trust_env=False).content)) as container:
        assert len(container.streams) == 1, "films are silent"
        stream = container.streams.video[0]
        count = sum(1 for packet in container.demux(stream) if packet.size)
        return stream.width, stream.height, count, int(stream.average_rate or 0), stream.codec_context.name


@pytest.fixture
def web(frame_files: tuple[Path, Path]) -> Iterator[str]:
    """Address of a web server that has the frames."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(frame_files[0].parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


class TestFilm:
    @pytest.mark.parametrize(
        ("model", "resolution", "promised"),
        [
            (FLASH, "480P", ((528, 704), 480)),
            (FLASH, "720P", ((816, 1104), 720)),
            (FLASH, "1080P", ((1232, 1648), 1080)),
            (PLUS, "720P", ((816, 1104), None)),
            (PLUS_CN, "720P", ((816, 1104), None)),
            (WAN27, "720P", ((816, 1104), 720)),
            (WAN27, "1080P", ((1232, 1648), 1080)),
            ("wan2.7-i2v-2026-04-25", "720P", ((816, 1104), 720)),
        ],
    )
    def test_each_model_makes_each_of_its_resolutions(
        self, ask: Asker, inline: Inline, model: str, resolution: str, promised: tuple[tuple[int, int], int | None]
    ) -> None:
        """Vendor's FAQ: 750x1000 gives 816x1104 at 720P; sizes of other tiers are not documented, so only bounded."""
        size, lines = promised
        first, last = inline("red", (750, 1000)), inline("blue", (1000, 750))
        seen = ask.film(model=model, first=first, last=last, resolution=resolution)
        assert (seen.status, seen.usage) == ("SUCCEEDED", (5, 1, lines))
        width, height, count, rate, codec = film_of(seen.url)
        assert (count, rate, codec) == (150, 30, "h264")
        assert abs(width - size[0]) <= 32
        assert abs(height - size[1]) <= 32
        assert resolution != "720P" or (width, height) == size

    @pytest.mark.parametrize("duration", [2, 15])
    def test_the_successor_makes_films_of_two_to_fifteen_seconds(
        self, ask: Asker, pair: dict[str, str], duration: int
    ) -> None:
        seen = ask.film(model=WAN27, resolution="720P", duration=duration, **pair)
        assert seen.usage is not None
        assert seen.usage[0] == duration
        assert film_of(seen.url)[2] == 30 * duration

    def test_a_film_is_read_with_get_alone_by_range_and_without_a_key(self, ask: Asker, pair: dict[str, str]) -> None:
        url = ask.film(model=FLASH, resolution="480P", **pair).url
        whole = httpx.get(url, trust_env=False)
        part = httpx.get(url, trust_env=False, headers={"Range": "bytes=100-"})
        head = httpx.head(url, trust_env=False)
        assert [reply.status_code for reply in (whole, part, head)] == [200, 206, 403]
        assert whole.headers["content-type"] == "video/mp4"
        assert part.content == whole.content[100:]


class TestOptions:
    @pytest.mark.parametrize("model", [FLASH, WAN27])
    def test_every_option_reaches_the_task(
        self, ask: Asker, shared: LocalServer, pair: dict[str, str], model: str
    ) -> None:
        asked = {"prompt": "p", "negative_prompt": "people", "resolution": "720P"}
        switches = {"seed": 7, "watermark": True, "prompt_extend": False}
        made = ask.made(model=model, **asked, **switches, **pair)
        got = options_of(shared, made.task_id)
        assert got == {"negative_prompt": "people", "resolution": "720P", "film_s": 5, **switches}

    @pytest.mark.parametrize("seed", [0, 2_147_483_647])
    def test_a_seed_may_be_any_of_its_range(
        self, ask: Asker, shared: LocalServer, pair: dict[str, str], seed: int
    ) -> None:
        made = ask.made(model=FLASH, seed=seed, **pair)
        assert options_of(shared, made.task_id)["seed"] == seed

    def test_without_a_seed_one_is_drawn(self, ask: Asker, shared: LocalServer, pair: dict[str, str]) -> None:
        seeds = {options_of(shared, ask.made(model=FLASH, **pair).task_id)["seed"] for _ in range(4)}
        assert len(seeds) == 4

    @pytest.mark.parametrize("extend", [True, False])
    def test_the_actual_prompt_comes_only_with_prompt_extend(
        self, ask: Asker, pair: dict[str, str], extend: bool
    ) -> None:
        seen = ask.film(model=FLASH, prompt="a kitten", prompt_extend=extend, **pair)
        assert seen.orig_prompt == "a kitten"
        assert (seen.actual_prompt or "").startswith("a kitten ") is extend

    @pytest.mark.parametrize(("model", "limit"), [(FLASH, 800), (WAN27, 5000)])
    def test_a_long_prompt_is_cut_in_silence(self, ask: Asker, pair: dict[str, str], model: str, limit: int) -> None:
        """A Chinese character counts as one. Our plan refuses such prompts before they are sent."""
        assert ask.film(model=model, prompt="猫" * (limit + 1), **pair).orig_prompt == "猫" * limit

    def test_a_long_negative_prompt_is_cut_in_silence(
        self, ask: Asker, shared: LocalServer, pair: dict[str, str]
    ) -> None:
        made = ask.made(model=FLASH, negative_prompt="a" * 501, **pair)
        assert options_of(shared, made.task_id)["negative_prompt"] == "a" * 500

    def test_a_clip_needs_no_prompt(self, ask: Asker, pair: dict[str, str]) -> None:
        seen = ask.film(model=FLASH, **pair)
        assert (seen.status, seen.orig_prompt) == ("SUCCEEDED", None)

    def test_an_effect_needs_only_the_first_frame(self, ask: Asker, inline: Inline) -> None:
        assert ask.film(model=FLASH, template="hanfu-1", first=inline("red"), last=None).status == "SUCCEEDED"
        alone = ask.film(model=FLASH, prompt="p", first=inline("red"), last=None)
        assert (alone.status, alone.message) == ("FAILED", "Field required: input.last_frame_url")

    @pytest.mark.parametrize(
        ("model", "options", "message"),
        [
            (FLASH, {"seed": -1}, "Input should be greater than or equal to 0"),
            (FLASH, {"seed": 2**31}, "Input should be less than or equal to 2147483647"),
            (FLASH, {"resolution": "720p"}, "Input should be '480P', '720P' or '1080P'"),
            (PLUS, {"resolution": "480P"}, "Input should be '720P'"),
            (WAN27, {"resolution": "480P"}, "Input should be '1080P' or '720P'"),
            (WAN27, {"duration": 1}, "Duration should be between 2 and 15"),
            (WAN27, {"duration": 16}, "Duration should be between 2 and 15"),
        ],
    )
    def test_a_value_out_of_range_fails_in_the_task(
        self, ask: Asker, pair: dict[str, str], model: str, options: dict[str, Any], message: str
    ) -> None:
        seen = ask.film(model=model, **options, **pair)
        assert (seen.status, seen.code, seen.message) == ("FAILED", "InvalidParameter", message)
        assert (seen.video_url, seen.usage) == (None, None)


class TestFrames:
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP"])
    def test_the_formats_of_the_vendors_page_are_taken(self, ask: Asker, inline: Inline, kind: str) -> None:
        first, last = inline("red", (320, 240), kind), inline("blue", (320, 240), kind)
        assert ask.film(model=FLASH, first=first, last=last).status == "SUCCEEDED"

    @pytest.mark.parametrize(
        ("model", "picture", "message"),
        [
            (FLASH, ((320, 240), "GIF", "RGB"), "image format error"),
            (FLASH, ((320, 240), "PNG", "RGBA"), "image format error"),
            (FLASH, ((239, 400), "PNG", "RGB"), "the size of input image is too small or too large."),
            (FLASH, ((8001, 300), "PNG", "RGB"), "the size of input image is too small or too large."),
            (WAN27, ((2000, 240), "PNG", "RGB"), "the size of input image is too small or too large."),
        ],
    )
    def test_a_frame_beyond_the_limits_fails_in_the_task(
        self, ask: Asker, inline: Inline, model: str, picture: tuple[tuple[int, int], str, str], message: str
    ) -> None:
        seen = ask.film(model=model, first=inline("red"), last=inline("blue", *picture))
        assert (seen.status, seen.code, seen.message) == ("FAILED", "InvalidParameter", message)

    def test_frames_by_address_and_inline(self, ask: Asker, web: str, inline: Inline) -> None:
        first, last = f"{web}/first%20frame.png", f"{web}/last%2Bframe.png"
        assert ask.film(model=FLASH, first=first, last=last).status == "SUCCEEDED"
        assert ask.film(model=FLASH, first=first, last=inline("blue")).status == "SUCCEEDED"

    def test_a_frame_that_is_not_there_fails_the_task(self, ask: Asker, web: str, inline: Inline) -> None:
        seen = ask.film(model=FLASH, first=f"{web}/missing.png", last=inline("blue"))
        assert (seen.status, seen.code) == ("FAILED", "InvalidParameter")
        assert seen.message == f"Failed to download {web}/missing.png"

    def test_frames_by_upload_are_good_for_their_model_alone(self, ask: Asker, frame_files: tuple[Path, Path]) -> None:
        first, last = (ask.upload(path, FLASH) for path in frame_files)
        assert isinstance(first, str)
        assert first.startswith("oss://dashscope-instant/")
        assert ask.film(model=FLASH, first=first, last=last).status == "SUCCEEDED"
        elsewhere = ask.film(model=PLUS, first=first, last=last)
        assert (elsewhere.status, elsewhere.code) == ("FAILED", "InvalidParameter.DataInspection")

    def test_an_inline_frame_beyond_ten_megabytes_is_refused_at_once(self, ask: Asker, inline: Inline) -> None:
        large = f"data:image/png;base64,{'A' * 10_485_760}"
        limit = "Exceeded limit on max bytes per data-uri item : 10485760"
        answer = ask.create(model=FLASH, first=inline("red"), last=large)
        assert answer == Refusal(http_status=400, code="InvalidParameter", message=limit)
