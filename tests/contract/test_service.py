"""The contract, asked twice: by the vendor's SDK and by our client, which must see the same service.

What costs nothing anywhere is asked of the real service too (``ask_free``, with ``--live``).
"""

from __future__ import annotations

import functools
import http.server
import io
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from contract.asker import Asker, Made, Refusal, Seen

from kf2v_pipeline.localserver.clock import ScriptedClock
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.scenario import Duration, Scenario

FLASH, PLUS, PLUS_CN, WAN27 = "wan2.2-kf2v-flash", "wan2.1-kf2v-plus", "wanx2.1-kf2v-plus", "wan2.7-i2v"

FAILURES = [
    ("DataInspectionFailed", "Input data may contain inappropriate content."),
    ("DataInspectionFailed", "Output data may contain inappropriate content."),
    ("IPInfringementSuspect", "Input data is suspected of being involved in IP infringement."),
    ("InternalError.Timeout", "An internal timeout error has occured during execution."),
]
REFUSALS = [
    (400, "Arrearage"),
    (403, "AccessDenied.Unpurchased"),
    (403, "AllocationQuota.FreeTierOnly"),
    (429, "PrepaidBillOverdue"),
    (429, "Throttling.BurstRate"),
    (503, "ModelUnavailable"),
]

AskAt = Callable[[LocalServer], Asker]
Inline = Callable[..., str]
Serve = Callable[..., LocalServer]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server that fails the tasks, and refuses the creates, whose prompts ask for it."""
    fails = [Fault(on="task", kind="fail", match=message, code=code, message=message) for code, message in FAILURES]
    refuses = [
        Fault(on="create", kind="error", match=code, status=status, code=code, message="its words")
        for status, code in REFUSALS
    ]
    scenario = Scenario(stand_in=True, speed=120, faults=(*fails, *refuses))
    with LocalServer(tmp_path_factory.mktemp("faulty"), scenario=scenario) as server:
        yield server


@pytest.fixture
def pair(inline: Inline) -> dict[str, str]:
    """First and last frame as an asker takes them."""
    return {"first": inline("red"), "last": inline("blue")}


def refused(answer: object) -> Refusal:
    """The answer, which must be a refusal."""
    assert isinstance(answer, Refusal), answer
    return answer


def url_of(seen: Seen) -> str:
    """The address of the film, which must be there."""
    assert seen.video_url
    return seen.video_url


def options_of(server: LocalServer, task_id: str) -> dict[str, Any]:
    """What the server was asked for, as it read it."""
    options: dict[str, Any]
    (options,) = (create["options"] for create in server.journal()["creates"] if create["task_id"] == task_id)
    return options


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
        width, height, count, rate, codec = film_of(url_of(seen))
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
        assert film_of(url_of(seen))[2] == 30 * duration

    def test_a_film_is_read_with_get_alone_by_range_and_without_a_key(self, ask: Asker, pair: dict[str, str]) -> None:
        url = url_of(ask.film(model=FLASH, resolution="480P", **pair))
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


class TestTasks:
    def test_times_are_in_order_and_of_now(self, ask_at: AskAt, serve: Serve, pair: dict[str, str]) -> None:
        ask = ask_at(serve(Scenario(stand_in=True)))
        seen = ask.film(model=FLASH, **pair)
        assert len(seen.times) == 3
        assert list(seen.times) == sorted(seen.times)
        assert abs(seen.times[0] - datetime.now(timezone.utc)) < timedelta(minutes=1)

    def test_a_task_is_pending_then_running_then_succeeded(
        self, ask_at: AskAt, serve: Serve, pair: dict[str, str]
    ) -> None:
        clock = ScriptedClock()
        ask = ask_at(serve(Scenario(stand_in=True, pending_s=5, durations=(Duration(median_s=60),)), clock))
        task_id = ask.made(model=FLASH, **pair).task_id
        looks = [ask.seen(task_id)]
        for seconds in (5, 60):
            clock.advance(timedelta(seconds=seconds))
            looks.append(ask.seen(task_id))
        assert [look.status for look in looks] == ["PENDING", "RUNNING", "SUCCEEDED"]
        assert [len(look.times) for look in looks] == [1, 2, 3]
        assert [look.video_url is not None for look in looks] == [False, False, True]

    def test_two_run_and_a_third_waits(self, ask_at: AskAt, serve: Serve, pair: dict[str, str]) -> None:
        scenario = Scenario(stand_in=True, submit_rps=10, durations=(Duration(median_s=60),))
        ask = ask_at(serve(scenario, ScriptedClock()))
        made = [ask.made(model=FLASH, **pair).task_id for _ in range(3)]
        assert [ask.seen(task_id).status for task_id in made] == ["RUNNING", "RUNNING", "PENDING"]

    def test_only_a_waiting_task_can_be_canceled(self, ask_at: AskAt, serve: Serve, pair: dict[str, str]) -> None:
        scenario = Scenario(stand_in=True, in_process=1, submit_rps=10, durations=(Duration(median_s=60),))
        ask = ask_at(serve(scenario, ScriptedClock()))
        running, waiting = (ask.made(model=FLASH, **pair).task_id for _ in range(2))
        assert ask.cancel(waiting) is None
        assert (ask.seen(waiting).status, ask.seen(waiting).usage) == ("CANCELED", None)
        words = "Failed to cancel the task, please confirm if the task is in PENDING status."
        for task_id in (running, waiting):
            refusal = Refusal(http_status=400, code="UnsupportedOperation", message=words)
            assert ask.cancel(task_id) == refusal

    def test_a_task_and_its_film_are_gone_after_a_day(self, ask_at: AskAt, serve: Serve, pair: dict[str, str]) -> None:
        """Vendor's page, "Limits: data validity"."""
        clock = ScriptedClock()
        ask = ask_at(serve(Scenario(stand_in=True), clock))
        seen = ask.film(model=FLASH, resolution="480P", **pair)
        clock.advance(timedelta(hours=23, minutes=59))
        assert ask.seen(seen.task_id).status == "SUCCEEDED"
        assert httpx.get(url_of(seen), trust_env=False).status_code == 200
        clock.advance(timedelta(minutes=2))
        gone = ask.seen(seen.task_id)
        assert (gone.status, gone.times, gone.video_url) == ("UNKNOWN", (), None)
        assert httpx.get(url_of(seen), trust_env=False).status_code == 403
        assert ask.rows() == ((), 0)

    def test_a_task_that_never_was_is_unknown_and_no_error(self, ask_free: Asker) -> None:
        seen = ask_free.seen("1111")
        assert (seen.task_id, seen.status, seen.times, seen.code) == ("1111", "UNKNOWN", (), None)

    def test_a_task_that_never_was_can_not_be_canceled(self, ask: Asker) -> None:
        assert refused(ask.cancel("1111")).code == "UnsupportedOperation"


class TestList:
    def test_rows_are_newest_first_and_carry_the_creates_request_id(
        self, ask_at: AskAt, serve: Serve, pair: dict[str, str]
    ) -> None:
        ask = ask_at(serve(Scenario(stand_in=True, speed=120)))
        made = [ask.made(model=FLASH, prompt=str(number), **pair) for number in range(3)]
        first, total = ask.rows(page_size=2)
        second, _ = ask.rows(page_size=2, page_no=2)
        rows = [*first, *second]
        assert (total, len(first), len(second)) == (3, 2, 1)
        assert [(row.task_id, row.request_id) for row in rows] == [(m.task_id, m.request_id) for m in made[::-1]]
        assert {(row.model, row.status) for row in rows} == {(FLASH, "SUCCEEDED")}

    def test_rows_are_chosen_by_model_and_time(self, ask_at: AskAt, serve: Serve, pair: dict[str, str]) -> None:
        clock = ScriptedClock()
        ask = ask_at(serve(Scenario(stand_in=True), clock))
        ids = {ask.made(model=model, **pair).task_id: model for model in (FLASH, PLUS)}
        minute, now = timedelta(minutes=1), clock.now()

        def found(**query: Any) -> set[str]:
            return {ids[row.task_id] for row in ask.rows(**query)[0]}

        assert found() == {FLASH, PLUS}
        assert found(model_name=PLUS) == {PLUS}
        assert found(start_time=now - minute, end_time=now + minute) == {FLASH, PLUS}
        assert found(start_time=now - 9 * minute, end_time=now - 5 * minute) == set()
        assert {row.created_at for row in ask.rows()[0]} == {now}

    def test_a_page_of_the_account_can_be_read(self, ask_free: Asker) -> None:
        rows, total = ask_free.rows(page_size=5)
        assert len(rows) <= min(5, total)
        assert all(row.task_id and row.status and row.created_at for row in rows)


class TestRefusals:
    def test_a_bad_key_is_refused_by_every_operation(self, ask_free: Asker, pair: dict[str, str]) -> None:
        """The message is the documented one; the live service may add a link to it."""
        wrong = ask_free.with_key("sk-0000000000000000000000000000dead" if ask_free.live else "wrong")
        refusals = [wrong.create(model=FLASH, **pair), wrong.get("1111"), wrong.list(), wrong.cancel("1111")]
        for refusal in map(refused, refusals):
            assert (refusal.http_status, refusal.code) == (401, "InvalidApiKey")
            assert refusal.message.startswith("Invalid API-key provided") or ask_free.live

    def test_a_bad_key_gets_no_upload(self, ask_free: Asker, frame_files: tuple[Path, Path]) -> None:
        wrong = ask_free.with_key("sk-0000000000000000000000000000dead" if ask_free.live else "wrong")
        assert refused(wrong.upload(frame_files[0], FLASH)).code == "InvalidApiKey"

    @pytest.mark.parametrize("model", ["wan2.1-kf2v-flash", "wan9-kf2v"])
    def test_an_unknown_model_does_not_exist(self, ask_free: Asker, pair: dict[str, str], model: str) -> None:
        """The vendor's Java sample names the first; no account has it."""
        refusal = refused(ask_free.create(model=model, **pair))
        assert (refusal.http_status, refusal.code) == (400, "InvalidParameter")
        assert refusal.message.startswith("Model not exist")

    def test_a_resolution_that_does_not_exist_makes_no_video(self, ask_free: Asker, pair: dict[str, str]) -> None:
        """Live, it may be refused at once or in the task; either way nothing is billed."""
        answer = ask_free.create(model=FLASH, resolution="99P", **pair)
        failed = ask_free.end(answer.task_id) if isinstance(answer, Made) else answer
        assert failed.code == "InvalidParameter"

    def test_a_third_create_in_a_second_is_throttled(self, ask_at: AskAt, serve: Serve, pair: dict[str, str]) -> None:
        ask = ask_at(serve(Scenario(stand_in=True), ScriptedClock()))
        replies = [ask.create(model=FLASH, **pair) for _ in range(3)]
        words = "Requests rate limit exceeded, please try again later."
        assert [type(reply) for reply in replies[:2]] == [Made, Made]
        assert replies[2] == Refusal(http_status=429, code="Throttling.RateQuota", message=words)
        assert ask.made(model=PLUS, **pair), "each model has a rate of its own"

    def test_a_twenty_first_look_in_a_second_is_throttled(self, ask_at: AskAt, serve: Serve) -> None:
        ask = ask_at(serve(Scenario(stand_in=True), ScriptedClock()))
        assert {ask.seen("1111").status for _ in range(20)} == {"UNKNOWN"}
        for refusal in map(refused, (ask.get("1111"), ask.list(), ask.cancel("1111"))):
            assert (refusal.http_status, refusal.code) == (429, "Throttling.RateQuota")

    def test_by_switch_a_third_task_in_process_is_refused(
        self, ask_at: AskAt, serve: Serve, pair: dict[str, str]
    ) -> None:
        """The rate table's heading says that any value that is exceeded throttles; other pages say that it waits."""
        scenario = Scenario(stand_in=True, surplus="reject", submit_rps=10, durations=(Duration(median_s=60),))
        ask = ask_at(serve(scenario, ScriptedClock()))
        replies = [ask.create(model=FLASH, **pair) for _ in range(3)]
        assert [type(reply) for reply in replies] == [Made, Made, Refusal]
        assert refused(replies[2]).code == "Throttling.RateQuota"

    @pytest.mark.parametrize(("code", "message"), FAILURES)
    def test_a_task_that_fails_tells_why_and_costs_nothing(
        self, ask_at: AskAt, faulty: LocalServer, pair: dict[str, str], code: str, message: str
    ) -> None:
        """Vendor's page, "Content moderation" and "Billing details"."""
        ask = ask_at(faulty)
        failed, fine = (ask.film(model=FLASH, prompt=prompt, **pair) for prompt in (f"with {message}", "fine"))
        assert (failed.status, failed.code, failed.message) == ("FAILED", code, message)
        assert (failed.video_url, failed.usage) == (None, None)
        assert fine.status == "SUCCEEDED"
        billed = {create["task_id"]: create["billed"] for create in faulty.journal()["creates"]}
        assert (billed[failed.task_id], billed[fine.task_id]) == (False, True)

    @pytest.mark.parametrize(("status", "code"), REFUSALS)
    def test_an_error_at_create_comes_with_its_status_code_and_words(
        self, ask_at: AskAt, faulty: LocalServer, pair: dict[str, str], status: int, code: str
    ) -> None:
        before = len(faulty.journal()["creates"])
        answer = ask_at(faulty).create(model=FLASH, prompt=f"with {code}", **pair)
        assert answer == Refusal(http_status=status, code=code, message="its words")
        assert len(faulty.journal()["creates"]) == before + 1, "it is sent once"


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
