"""Planning a manifest: real files, the real catalog, a real ledger that remembers frames."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec
import pytest
from blank_ledger import write_blank_ledger
from PIL import Image

from kf2v_pipeline.domain.clip import Frame
from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.storage.ledger import Ledger
from kf2v_pipeline.storage.manifest import read_manifest
from kf2v_pipeline.wan.catalog import load_catalog
from kf2v_pipeline.wan.service import Service
from kf2v_pipeline.workflow.look import look_at_frames
from kf2v_pipeline.workflow.plan import Plan, make_plan

CATALOG = load_catalog()


def picture(shade: int = 0, *, size: tuple[int, int] = (640, 360), mode: str = "RGB", kind: str = "PNG") -> bytes:
    file = BytesIO()
    Image.linear_gradient("L").resize(size).point(lambda level: (level + shade) % 256).convert(mode).save(file, kind)
    return file.getvalue()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{write_blank_ledger(tmp_path / 'ledger.db')}") as opened:
        yield opened


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """A folder with two good frames, ``first.png`` and ``last.png``."""
    folder = tmp_path / "batch"
    folder.mkdir()
    (folder / "first.png").write_bytes(picture(1))
    (folder / "last.png").write_bytes(picture(2))
    return folder


def write_manifest(folder: Path, *rows: Mapping[str, Any]) -> Path:
    """A manifest whose rows name the two good frames unless they say otherwise; clips are c1, c2, ..."""
    lines = [
        {"clip_id": f"c{number}", "first_frame": "first.png", "last_frame": "last.png", "seed": number} | dict(row)
        for number, row in enumerate(rows, start=1)
    ]
    path = folder / "manifest.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for line in lines for name in line)))
        writer.writeheader()
        writer.writerows(lines)
    return path


def service_for(name: str | None) -> Service:
    return CATALOG.service(name or "local")


def plan_of(folder: Path, ledger: Ledger, *rows: Mapping[str, Any], default: str = "local", **choices: Any) -> Plan:
    manifest = read_manifest(str(write_manifest(folder, *rows)))
    return make_plan(manifest, service_for=lambda name: service_for(name or default), frame_cache=ledger, **choices)


def sole_problem(plan: Plan) -> Problem:
    (problem,) = plan.problems
    return problem


def test_a_good_row_becomes_a_clip_with_every_option_decided(batch: Path, ledger: Ledger) -> None:
    plan = plan_of(batch, ledger, {"prompt": "A calm sea", "shot": "12b"})
    (clip,) = plan.clips
    assert plan.problems == ()
    assert (clip.clip_id, clip.row, clip.service, clip.model) == ("c1", 1, "local", "wan2.2-kf2v-flash")
    assert (clip.resolution, clip.prompt, clip.seed, clip.carried) == ("720P", "A calm sea", 1, {"shot": "12b"})
    assert (clip.prompt_extend, clip.watermark, clip.template, clip.negative_prompt) == (True, False, None, None)
    assert (clip.first_frame.location, clip.first_frame.width) == (str(batch / "first.png"), 640)
    assert clip.last_frame is not None
    assert clip.last_frame.location == str(batch / "last.png")


def test_what_a_row_asks_for_is_asked_for(batch: Path, ledger: Ledger) -> None:
    row = {"resolution": "480p", "prompt_extend": "no", "watermark": "yes", "model": "wan2.7-i2v", "service": "beijing"}
    plan = plan_of(batch, ledger, row | {"resolution": "1080p"}, row | {"model": "", "negative_prompt": "rain"})
    assert [(clip.service, clip.model, clip.resolution) for clip in plan.clips] == [
        ("beijing", "wan2.7-i2v", "1080P"),
        ("beijing", "wan2.2-kf2v-flash", "480P"),
    ]
    assert [(clip.prompt_extend, clip.watermark) for clip in plan.clips] == [(False, True), (False, True)]
    assert plan.clips[1].negative_prompt == "rain"


def test_a_model_of_another_region_is_spelt_as_its_service_does(batch: Path, ledger: Ledger) -> None:
    plan = plan_of(batch, ledger, {"model": "wan2.1-kf2v-plus"}, default="beijing")
    assert plan.clips[0].model == "wanx2.1-kf2v-plus"


def test_prices_are_those_of_service_model_and_resolution(batch: Path, ledger: Ledger) -> None:
    plan = plan_of(batch, ledger, {"resolution": "480P"}, {"resolution": ""}, {"service": "local"}, default="beijing")
    assert plan.prices["c1"] == Money(amount=Decimal("0.50"), currency="CNY")
    assert plan.prices["c2"] == Money(amount=Decimal("1.00"), currency="CNY")
    assert plan.prices["c3"] == Money(amount=Decimal(0), currency="CNY")
    plan = plan_of(batch, ledger, {}, default="singapore")
    assert plan.prices == {"c1": None}


def test_a_longer_video_is_another_video_and_costs_more(batch: Path, ledger: Ledger) -> None:
    row = {"model": "wan2.7-i2v", "resolution": "720P", "seed": 1}
    plan = plan_of(batch, ledger, row, {**row, "duration": "5"}, {**row, "duration": "15"}, default="beijing")
    assert [clip.duration_s for clip in plan.clips] == [5, 5, 15]
    assert [money.amount for money in plan.prices.values() if money] == [Decimal(3), Decimal(3), Decimal(9)]
    assert plan.clips[0].fingerprint == plan.clips[1].fingerprint != plan.clips[2].fingerprint


BAD_FRAMES: Mapping[str, Callable[[], bytes]] = {
    "text.png": lambda: b"no picture",
    "cut.png": lambda: picture()[:-100],
    "dot.png": lambda: picture(size=(1, 1)),
    "alpha.png": lambda: picture(mode="LA"),
    "wide.png": lambda: picture(size=(2400, 240)),
    "large.bmp": lambda: picture(size=(2000, 2000), kind="BMP"),
}


@pytest.mark.parametrize(
    ("cells", "column", "what", "fix"),
    [
        ({"model": "wan9"}, "model", "wan9 is not offered by local", "use one of wan2.2-kf2v-flash"),
        ({"model": "wan2.1-kf2v-flash"}, "model", "does not exist", "use wan2.2-kf2v-flash"),
        ({"model": "wan2.1-kf2v-plus", "resolution": "1080P"}, "resolution", "has no 1080P", "use 720P, or leave"),
        ({"resolution": "4K"}, "resolution", "has no 4K", "use 480P or 720P or 1080P"),
        ({"prompt": "x" * 801}, "prompt", "it has 801 characters", "shorten it by 1"),
        ({"prompt": "字" * 900}, "prompt", "cuts off all beyond 800 in silence", "shorten it by 100"),
        ({"negative_prompt": "x" * 501}, "negative_prompt", "it has 501 characters", "shorten it by 1"),
        ({"service": "singapoor"}, "service", "", ""),
        ({"duration": "10"}, "duration", "makes no video of 10 s", "use 5, or leave it empty"),
        ({"duration": "16", "model": "wan2.7-i2v"}, "duration", "no video of 16 s", "use 2 to 15, or leave it empty"),
        ({"template": "hanfu-1", "last_frame": "", "model": "wan2.7-i2v"}, "template", "takes no template", "leave it"),
        ({"first_frame": "none.png"}, "first_frame", "none.png: there is no such file", "correct the path"),
        ({"last_frame": "none.png"}, "last_frame", "none.png: there is no such file", "correct the path"),
        ({"first_frame": "."}, "first_frame", "it is a folder", "name a file in it"),
        ({"first_frame": "text.png"}, "first_frame", "text.png: it is text and no picture", "save it as a JPEG"),
        ({"last_frame": "cut.png"}, "last_frame", "the PNG is damaged or cut off", "save or copy it again"),
        ({"first_frame": "dot.png"}, "first_frame", "it is 1x1 px", "use a larger picture"),
        ({"last_frame": "alpha.png"}, "last_frame", "alpha channel", "flatten it on a background"),
        ({"first_frame": "large.bmp"}, "first_frame", "larger than 10,485,760 bytes", "make the file smaller"),
        ({"first_frame": "wide.png", "model": "wan2.7-i2v"}, "first_frame", "aspect ratios up to 8:1", "crop it"),
        ({"first_frame": "nothing://x/y"}, "first_frame", "Protocol not known", "check the address"),
        ({"first_frame": "http://[x/y"}, "first_frame", "it is no URL that can be read", "correct the URL"),
        ({"first_frame": "http://127.0.0.1:1/y?sign=secret"}, "first_frame", "http://127.0.0.1:1/y: ", "check"),
    ],
)
def test_a_bad_row_is_set_aside_with_a_fix_and_stops_no_other(
    *, batch: Path, ledger: Ledger, cells: dict[str, str], column: str, what: str, fix: str
) -> None:
    for name in {*cells.values()} & BAD_FRAMES.keys():
        (batch / name).write_bytes(BAD_FRAMES[name]())

    plan = plan_of(batch, ledger, {}, cells, {})

    assert [clip.clip_id for clip in plan.clips] == ["c1", "c3"]
    assert set(plan.prices) == {"c1", "c3"}
    (problem,) = (problem for problem in plan.problems if problem.blocking)
    assert (problem.row, problem.clip_id, problem.column) == (2, "c2", column)
    assert what in problem.what
    assert fix in problem.fix
    assert "secret" not in str(problem)


def test_all_problems_of_a_manifest_are_told_at_once_and_in_order(batch: Path, ledger: Ledger) -> None:
    bad = {"first_frame": "none.png", "last_frame": "no.png", "prompt": "x" * 801, "resolution": "4K"}
    plan = plan_of(batch, ledger, {}, bad, {"seed": "-1"}, {"model": "wan9"})
    assert [(problem.row, problem.column) for problem in plan.problems] == [
        (2, "first_frame"),
        (2, "last_frame"),
        (2, "resolution"),
        (2, "prompt"),
        (3, "seed"),
        (4, "model"),
    ]
    assert [clip.clip_id for clip in plan.clips] == ["c1"]


def test_a_default_service_that_cannot_be_used_is_no_problem_of_a_row(batch: Path, ledger: Ledger) -> None:
    with pytest.raises(SettingsError):
        plan_of(batch, ledger, {}, default="singapoor")


def test_a_template_needs_no_last_frame_and_ignores_one(batch: Path, ledger: Ledger) -> None:
    template = {"template": "hanfu-1"}
    plan = plan_of(batch, ledger, template | {"last_frame": ""}, template | {"last_frame": "none.png"})
    assert [clip.last_frame for clip in plan.clips] == [None, None]
    problem = sole_problem(plan)
    assert (problem.row, problem.column, problem.blocking) == (2, "last_frame", False)


def test_two_frames_that_are_the_same_picture_are_a_warning(batch: Path, ledger: Ledger) -> None:
    (batch / "copy.png").write_bytes((batch / "first.png").read_bytes())
    plan = plan_of(batch, ledger, {"last_frame": "copy.png"})
    problem = sole_problem(plan)
    assert (problem.row, problem.column, problem.blocking) == (1, "last_frame", False)
    assert "the same picture as the first frame" in problem.what
    assert len(plan.clips) == 1


@pytest.mark.parametrize(
    ("size", "warned"),
    [((1280, 720), False), ((640, 366), False), ((640, 376), True), ((640, 346), True), ((360, 640), True)],
)
def test_frames_of_different_shapes_are_a_warning(
    batch: Path, ledger: Ledger, size: tuple[int, int], warned: bool
) -> None:
    (batch / "last.png").write_bytes(picture(2, size=size))
    plan = plan_of(batch, ledger, {})
    assert len(plan.clips) == 1
    assert [problem.blocking for problem in plan.problems] == [False] * warned
    if warned:
        assert f"{size[0]}x{size[1]} has another shape than the first frame's 640x360" in plan.problems[0].what


def test_two_rows_that_ask_for_the_same_video_are_a_warning(batch: Path, ledger: Ledger) -> None:
    (batch / "copy.png").write_bytes((batch / "first.png").read_bytes())
    plan = plan_of(batch, ledger, {"seed": 7}, {"seed": 8}, {"seed": 7, "first_frame": "copy.png"})
    problem = sole_problem(plan)
    assert (problem.row, problem.clip_id, problem.blocking) == (3, "c3", False)
    assert "the same video as row 1 (c1)" in problem.what
    assert len(plan.clips) == 3


def test_frames_beside_a_remote_manifest_are_read(ledger: Ledger) -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/plan/frames/a.png", picture(1))
    store.pipe_file("/plan/b.png", picture(2))
    store.pipe_file("/plan/m.csv", b"clip_id,first_frame,last_frame\nc1,frames/a.png,memory://plan/b.png\n")
    plan = make_plan(read_manifest("memory://plan/m.csv"), service_for=service_for, frame_cache=ledger)
    assert plan.problems == ()
    assert plan.clips[0].first_frame.location == "memory://plan/frames/a.png"


class Recorder:
    """A frame cache that knows nothing, and notes what it is asked and told."""

    def __init__(self) -> None:
        self.remembered: dict[str, tuple[str, Frame]] = {}

    def known_frames(self, tokens: Mapping[str, str]) -> Mapping[str, Frame]:
        return {at: frame for at, (token, frame) in self.remembered.items() if tokens.get(at) == token}

    def remember_frames(self, frames: Mapping[str, tuple[str, Frame]]) -> None:
        assert not self.remembered.keys() & frames.keys(), "a known frame was read again"
        self.remembered.update(frames)


def test_a_frame_that_many_rows_name_is_looked_at_once_and_never_again(batch: Path) -> None:
    cache = Recorder()
    again = {"first_frame": f"../{batch.name}/first.png", "last_frame": (batch / "last.png").as_uri()}
    manifest = read_manifest(str(write_manifest(batch, {}, {}, again)))
    first = make_plan(manifest, service_for=service_for, frame_cache=cache)
    assert sorted(cache.remembered) == [str(batch / "first.png"), str(batch / "last.png")]
    assert make_plan(manifest, service_for=service_for, frame_cache=cache) == first


def test_a_reading_that_died_has_kept_the_frames_that_it_had_looked_at(batch: Path) -> None:
    class Dying(Recorder):
        def remember_frames(self, frames: Mapping[str, tuple[str, Frame]]) -> None:
            if self.remembered:
                raise KeyboardInterrupt
            super().remember_frames(frames)

    cache = Dying()
    with pytest.raises(KeyboardInterrupt):
        look_at_frames(["first.png", "last.png"], str(batch / "manifest.csv"), cache, at_once=1)
    assert list(cache.remembered) == [str(batch / "first.png")]


def test_a_frame_that_changed_is_read_again(batch: Path, ledger: Ledger) -> None:
    before = plan_of(batch, ledger, {}).clips[0]
    (batch / "first.png").write_bytes(picture(99))
    after = plan_of(batch, ledger, {}).clips[0]
    assert after.first_frame.sha256 != before.first_frame.sha256
    assert after.fingerprint != before.fingerprint


def test_a_bad_frame_is_looked_at_again_once_it_is_mended(batch: Path, ledger: Ledger) -> None:
    (batch / "first.png").write_text("no picture")
    assert plan_of(batch, ledger, {}).clips == ()
    (batch / "first.png").write_bytes(picture(1))
    assert len(plan_of(batch, ledger, {}).clips) == 1


def test_a_long_prompt_is_cut_by_choice_and_its_author_is_told(batch: Path, ledger: Ledger) -> None:
    row = {"prompt": "字" * 801, "negative_prompt": "x" * 502}
    plan = plan_of(batch, ledger, row, long_prompts="cut")
    assert (plan.clips[0].prompt, plan.clips[0].negative_prompt) == ("字" * 800, "x" * 500)
    assert [(problem.column, problem.blocking) for problem in plan.problems] == [
        ("prompt", False),
        ("negative_prompt", False),
    ]
    assert "it has 801 characters, and all beyond 800 were cut off" in plan.problems[0].what


def test_a_prompt_that_fits_is_the_same_clip_whether_others_are_cut_or_not(batch: Path, ledger: Ledger) -> None:
    rows = {"prompt": "x" * 800}, {"prompt": ""}
    assert plan_of(batch, ledger, *rows, long_prompts="cut") == plan_of(batch, ledger, *rows)


@pytest.mark.parametrize(
    ("mode", "column", "what"),
    [("url", "first_frame", "no public http(s) URL"), ("inline", "last_frame", "more than fit into a create")],
)
def test_a_frame_that_can_not_travel_as_was_chosen_is_told_before_anything_is_paid(
    batch: Path, ledger: Ledger, mode: str, column: str, what: str
) -> None:
    (batch / "last.png").write_bytes(picture(size=(1800, 1500), kind="BMP"))
    blocking = [problem for problem in plan_of(batch, ledger, {}, mode=mode).problems if problem.blocking]
    assert (blocking[0].column, what in blocking[0].what) == (column, True)


def test_an_odd_frame_is_fixed_by_choice_and_its_author_is_told(batch: Path, ledger: Ledger) -> None:
    (batch / "first.png").write_bytes(picture(mode="RGBA"))
    assert plan_of(batch, ledger, {}).clips == ()

    plan = plan_of(batch, ledger, {}, fix_frames=True)

    first = plan.clips[0].first_frame
    assert (first.fix, first.format) == ("flattened on white, saved as PNG", "PNG")
    assert first.sha256 == sha256((batch / "first.png").read_bytes()).hexdigest()
    problem = sole_problem(plan)
    assert (problem.column, problem.blocking) == ("first_frame", False)
    assert "it is fixed before it is sent: flattened on white" in problem.what


def test_what_is_fixed_is_remembered_and_only_where_it_was_asked_for(batch: Path, ledger: Ledger) -> None:
    (batch / "first.png").write_bytes(picture(mode="RGBA"))
    fixed = plan_of(batch, ledger, {}, fix_frames=True)
    assert plan_of(batch, ledger, {}, fix_frames=True) == fixed
    assert plan_of(batch, ledger, {}).clips == ()


def test_a_good_frame_stays_the_same_clip_where_others_are_fixed(batch: Path, ledger: Ledger) -> None:
    assert plan_of(batch, ledger, {}, fix_frames=True) == plan_of(batch, ledger, {})


def test_a_large_file_is_read_where_it_can_be_fixed(batch: Path, ledger: Ledger) -> None:
    (batch / "first.png").write_bytes(picture(size=(3600, 3600), mode="L", kind="BMP"))
    plan = plan_of(batch, ledger, {}, fix_frames=True)
    assert plan.clips[0].first_frame.fix == "saved as PNG"


def test_what_can_not_be_fixed_is_told_as_it_is_without_the_choice(batch: Path, ledger: Ledger) -> None:
    (batch / "first.png").write_text("no picture")
    plain, fixed = plan_of(batch, ledger, {}), plan_of(batch, ledger, {}, fix_frames=True)
    assert fixed.problems == plain.problems
    assert sole_problem(fixed).blocking


def test_a_frame_in_the_vendors_temporary_storage_is_let_through_unseen(batch: Path, ledger: Ledger) -> None:
    location = "oss://dashscope-instant/52af/2025-07-12/b744/first.png"
    plan = plan_of(batch, ledger, {"first_frame": location})
    first = plan.clips[0].first_frame
    assert (first.location, first.is_seen) == (location, False)
    problem = sole_problem(plan)
    assert (problem.column, problem.blocking) == ("first_frame", False)
    assert "only the service can read it" in problem.what
    other = plan_of(batch, ledger, {"first_frame": f"{location}?x"}).clips[0]
    assert other.fingerprint != plan.clips[0].fingerprint


def test_an_address_with_a_secret_is_read_and_kept_nowhere(ledger: Ledger, tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/user:s3cret@signed/a.png", picture(1))
    store.pipe_file("/signed/b.png", picture(2))
    (tmp_path / "m.csv").write_text(
        "clip_id,first_frame,last_frame\nc1,simplecache::memory://user:s3cret@signed/a.png,memory://signed/b.png\n"
    )
    plan = make_plan(read_manifest(str(tmp_path / "m.csv")), service_for=service_for, frame_cache=ledger)
    first, last = plan.clips[0].first_frame, plan.clips[0].last_frame
    assert last is not None
    assert (first.location, first.sealed) == ("simplecache::memory://signed/a.png", True)
    assert (last.location, last.sealed) == ("memory://signed/b.png", False)
    assert "s3cret" not in f"{plan}"
