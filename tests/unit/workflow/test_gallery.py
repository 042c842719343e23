"""The gallery as it is written: a page, its data, its small pictures. How it behaves is shown in a browser (e2e)."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.storage.layout import (
    GALLERY,
    GALLERY_DATA,
    first_frame_path,
    last_frame_path,
    loop_path,
    poster_path,
    strip_path,
    video_path,
)
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.storage.tables import VIDEOS_SCHEMA
from kf2v_pipeline.workflow.gallery import CHUNK_CLIPS, MOST_REJECTED, build_gallery

MakeFilm = Callable[..., Path]

FINGERPRINT = "0123456789abcdef" * 4

VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """What a page holds: its text, its links, its elements; unbalanced tags are an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.html = html
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def facts(self) -> dict[str, Any]:
        """What the page's script is told."""
        facts: dict[str, Any] = json.loads(re.search(r'id="page">(.*?)</script>', self.html, re.DOTALL)[1])
        return facts

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, *names: str) -> list[str]:
        return [value for _, attributes in self.tags for name in names if (value := attributes.get(name))]

    def count(self, tag: str) -> int:
        return sum(found == tag for found, _ in self.tags)


def a_row(clip_id: str = "a", **values: Any) -> dict[str, Any]:
    """A planned clip's row, unless the values say otherwise."""
    row = dict.fromkeys(VIDEOS_SCHEMA.names)
    row.update(
        clip_id=clip_id, status="planned", fingerprint=FINGERPRINT, model="wan", resolution="480P", service="local"
    )
    return {**row, **values}


def a_stored_row(clip_id: str = "a", **values: Any) -> dict[str, Any]:
    facts = {
        "status": "stored",
        "video_path": video_path(clip_id, FINGERPRINT),
        "width": 96,
        "height": 64,
        "fps": 30.0,
        "frames": 10,
        "duration_s": 0.3,
        "size_bytes": 2_000_000,
        "cost": 0.5,
        "currency": "CNY",
        "task_id": "task-1",
        "stored_at": datetime(2026, 9, 1, 12, tzinfo=timezone.utc),
    }
    return a_row(clip_id, **{**facts, **values})


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "out") if request.param == "disk" else f"memory://{uuid4().hex}/out")


def built(store: Store, *rows: dict[str, Any], rejected: tuple[Problem, ...] = ()) -> Page:
    path = build_gallery(store, iter(rows), title="Autumn reel", rejected=rejected)
    assert path == GALLERY
    return Page(store.read_bytes(path).decode())


def clips_of(store: Store, page: Page) -> list[dict[str, Any]]:
    """The clips as the page's script has them, read from the files that it names."""
    clips = []
    for name, count in page.facts["chunks"]:
        script = store.read_bytes(f"{GALLERY_DATA}/{name}").decode()
        data = json.loads(script.removeprefix("kf2v(").removesuffix(");\n"))
        assert len(data["rows"]) == count
        clips += [{**data["same"], **dict(zip(data["keys"], row, strict=True))} for row in data["rows"]]
    return clips


def test_a_stored_clip_has_all_its_small_pictures_and_the_page_knows_which(
    store: Store, make_film: MakeFilm, tmp_path: Path
) -> None:
    store.put_file(make_film("film.mp4"), video_path("a", FINGERPRINT))
    Image.new("RGB", (640, 360), "teal").save(tmp_path / "first.png")
    page = built(store, a_stored_row(first_frame_path=str(tmp_path / "first.png"), last_frame_path="gone.png"))
    paths = [poster_path, strip_path, loop_path, first_frame_path, last_frame_path]
    assert [store.exists(path("a", FINGERPRINT)) for path in paths] == [True, True, True, True, False]
    assert clips_of(store, page)[0]["pictures"] == 0b01111


def test_the_page_names_nothing_on_the_network(store: Store) -> None:
    page = built(store, a_row(first_frame_path="https://host/a.png"))
    assert page.values("src", "href") == ["data:,", "../videos/"]
    assert "://" not in page.html


def test_the_page_forbids_itself_the_network_and_every_script_but_its_own(store: Store) -> None:
    [policy] = [attributes["content"] for _, attributes in built(store).tags if attributes.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_small_pictures_are_made_once(tmp_path: Path, make_film: MakeFilm) -> None:
    store = Store.open(str(tmp_path / "out"))
    store.put_file(make_film("film.mp4"), video_path("a", FINGERPRINT))
    built(store, a_stored_row())
    pictures = [store.local_path(path("a", FINGERPRINT)) for path in (poster_path, strip_path, loop_path)]
    before = [picture.stat() for picture in pictures if picture]
    built(store, a_stored_row())
    after = [picture.stat() for picture in pictures if picture]
    assert [(stat.st_ino, stat.st_mtime_ns) for stat in after] == [(stat.st_ino, stat.st_mtime_ns) for stat in before]


def test_what_a_process_that_died_left_unmade_of_a_films_pictures_is_made(store: Store, make_film: MakeFilm) -> None:
    store.put_file(make_film("film.mp4"), video_path("a", FINGERPRINT))
    built(store, a_stored_row())
    store.remove(loop_path("a", FINGERPRINT))
    built(store, a_stored_row())
    assert store.exists(loop_path("a", FINGERPRINT))


def test_a_picture_that_a_power_cut_emptied_is_made_anew(store: Store, make_film: MakeFilm) -> None:
    store.put_file(make_film("film.mp4"), video_path("a", FINGERPRINT))
    built(store, a_stored_row())
    store.write_bytes(poster_path("a", FINGERPRINT), b"")
    built(store, a_stored_row())
    assert store.read_bytes(poster_path("a", FINGERPRINT))


class CountingFileSystem(MemoryFileSystem):
    """Files in memory, and how often each kind of question was asked of them."""

    cachable = False
    asked: ClassVar[Counter[str]] = Counter()

    def info(self, path: str, **options: Any) -> Any:
        self.asked["info"] += 1
        return super().info(path, **options)

    def find(self, path: str, *arguments: Any, **options: Any) -> Any:
        self.asked["find"] += 1
        return super().find(path, *arguments, **options)

    def cat_file(self, path: str, *arguments: Any, **options: Any) -> Any:
        self.asked["cat_file"] += 1
        return super().cat_file(path, *arguments, **options)


@pytest.mark.parametrize("clips", [1, 7])
def test_one_listing_finds_all_pictures_that_are_there_however_many_clips_there_are(
    clips: int, make_film: MakeFilm
) -> None:
    root = f"/{uuid4().hex}"
    store = Store(CountingFileSystem(), root, f"memory:/{root}")
    rows = [a_stored_row(f"clip-{number}") for number in range(clips)]
    for row in rows:
        store.put_file(make_film("film.mp4"), row["video_path"])
    built(store, *rows)
    CountingFileSystem.asked.clear()
    build_gallery(store, rows, title="x", rejected=[])
    assert CountingFileSystem.asked == {"find": 1, "cat_file": 1}  # the pictures, and the page that was there before


def test_a_broken_film_loses_its_pictures_and_not_the_page(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.write_bytes(video_path("a", FINGERPRINT), b"no film")
    with caplog.at_level(logging.WARNING):
        page = built(store, a_stored_row(), a_row("b"))
    assert [clip["pictures"] for clip in clips_of(store, page)] == [0, 0]
    assert "clip a" in caplog.text


def test_a_frame_below_the_storage_is_read_from_there(store: Store, tmp_path: Path) -> None:
    Image.new("RGB", (640, 360), "teal").save(tmp_path / "first.png")
    store.put_file(tmp_path / "first.png", "frames/first.png")
    built(store, a_row(first_frame_path="frames/first.png"))
    assert store.exists(first_frame_path("a", FINGERPRINT))


def test_the_clips_come_in_files_of_a_few_hundred_in_their_order(store: Store) -> None:
    names = [f"clip-{number}" for number in range(2 * CHUNK_CLIPS + 1)]
    page = built(store, *map(a_row, names))
    assert [count for _, count in page.facts["chunks"]] == [CHUNK_CLIPS, CHUNK_CLIPS, 1]
    assert [clip["clip_id"] for clip in clips_of(store, page)] == names


def test_a_page_that_somebody_reads_while_it_is_written_anew_still_finds_its_data(store: Store) -> None:
    pages = [built(store, a_row(prompt=f"Take {take}")) for take in range(3)]
    [oldest, before, now] = [store.exists(f"{GALLERY_DATA}/{page.facts['chunks'][0][0]}") for page in pages]
    assert (oldest, before, now) == (False, True, True)


def test_data_that_did_not_change_stays_however_often_the_page_is_written(store: Store) -> None:
    for _ in range(4):
        page = built(store, a_row())
    assert [clip["clip_id"] for clip in clips_of(store, page)] == ["a"]


def test_a_page_that_another_program_wrote_removes_nothing_but_data_of_galleries(store: Store) -> None:
    store.write_bytes("tables/videos.parquet", b"kept")
    store.write_bytes(GALLERY, b'<p>"chunks":[],"before":["../../tables/videos.parquet"]}')
    built(store, a_row())
    assert store.exists("tables/videos.parquet")


def test_rejected_rows_are_told_with_what_mends_them_and_counted_as_rows(store: Store) -> None:
    problem = Problem(row=3, clip_id="b", column="last_frame", what="there is no such file", fix="correct the path")
    page = built(store, a_row(), rejected=(problem, Problem(**{**vars(problem), "column": "prompt"})))
    assert page.facts["rejected"][0] == [3, "b", "last_frame", "there is no such file", "correct the path"]
    assert "Set aside 1" in page.text


def test_of_very_many_rejected_rows_the_page_lists_the_first_and_counts_the_others(store: Store) -> None:
    rejected = tuple(Problem(row=row, clip_id=None, column="x", what="y", fix="z") for row in range(MOST_REJECTED + 7))
    facts = built(store, rejected=rejected).facts
    assert (len(facts["rejected"]), facts["rejectedCount"]) == (MOST_REJECTED, MOST_REJECTED + 7)


def test_an_empty_batch_has_a_page_too(store: Store) -> None:
    page = built(store)
    assert "0 clips" in page.text
    assert page.facts["chunks"] == []


def test_the_summary_adds_up_films_and_costs_by_currency(store: Store) -> None:
    rows = [
        a_stored_row("a"),
        a_stored_row("b", cost=0.25, currency="USD"),
        a_stored_row("c", duration_s=5.0),
        a_row("d"),
    ]
    assert "4 clips · 6 s of film · 1.00 CNY · 0.25 USD" in built(store, *rows).text


def test_there_is_a_filter_for_each_state_that_some_clip_has(store: Store) -> None:
    page = built(store, a_row("a"), a_stored_row("b"), a_stored_row("c"))
    assert page.values("data-show") == ["stored", "planned"]
    assert "All 3 Stored 2 Planned 1" in page.text


def test_flaws_are_counted_by_check_and_what_was_not_measured_is_not_called_flawless(store: Store) -> None:
    rows = [a_stored_row(str(at), flaws=flaws) for at, flaws in enumerate(["", "frozen,cut", "cut", None])]
    facts = built(store, *rows).facts
    assert (facts["measured"], facts["flawless"], facts["flaws"]) == (3, 1, {"frozen": 1, "cut": 2})


def test_without_scripts_the_page_says_what_it_needs_and_where_the_films_are(store: Store) -> None:
    assert "JavaScript" in built(store, a_row()).text


def test_whatever_the_title_and_the_problems_say_stays_text(store: Store) -> None:
    evil = '</script><script>alert(1)</script><img src=x onerror="alert(1)">'
    problem = Problem(row=1, clip_id=evil, column=evil, what=evil, fix=evil)
    build_gallery(store, [], title=evil, rejected=[problem])
    page = Page(store.read_bytes(GALLERY).decode())
    assert page.count("script") == 2
    assert page.count("img") == 0
    assert page.facts["rejected"][0][1] == evil
