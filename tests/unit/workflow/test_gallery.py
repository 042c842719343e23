"""The gallery, read as a browser and a reader of its links would."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.storage.layout import GALLERY, first_frame_path, poster_path, strip_path, video_path
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.storage.tables import VIDEOS_SCHEMA
from kf2v_pipeline.workflow.gallery import build_gallery
from kf2v_pipeline.workflow.gallery_card import card_html, filters_html, summary_html

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
    path = build_gallery(store, rows, title="Autumn reel", rejected=rejected)
    assert path == GALLERY
    return Page(store.read_bytes(path).decode())


def test_a_stored_clip_has_its_film_poster_and_strip_and_every_link_leads_to_a_file(
    store: Store, make_film: MakeFilm
) -> None:
    store.put_file(make_film("film.mp4"), video_path("a", FINGERPRINT))
    page = built(store, a_stored_row())
    links = {unquote(link).removeprefix("../") for link in page.values("src", "href")}
    assert links == {video_path("a", FINGERPRINT), poster_path("a", FINGERPRINT), strip_path("a", FINGERPRINT)}
    assert all(store.exists(link) for link in links)


def test_the_page_asks_for_nothing_from_the_network(store: Store, make_film: MakeFilm) -> None:
    store.put_file(make_film("film.mp4"), video_path("a", FINGERPRINT))
    page = built(store, a_stored_row(first_frame_path="https://host/a.png"))
    assert all(link.startswith("../") for link in page.values("src", "href", "data-video"))
    assert "://" not in store.read_bytes(GALLERY).decode().replace("http://www.w3.org/", "")


def test_no_film_is_fetched_before_somebody_plays_it(store: Store, make_film: MakeFilm) -> None:
    store.put_file(make_film("film.mp4"), video_path("a", FINGERPRINT))
    html = build_gallery(store, [a_stored_row()], title="x", rejected=[]) and store.read_bytes(GALLERY).decode()
    outside = html.replace(html[html.index("<template>") : html.index("</template>")], "")
    assert "<video" not in outside
    assert all(attributes["loading"] == "lazy" for tag, attributes in Page(html).tags if tag == "img")


def test_small_pictures_are_made_once(tmp_path: Path, make_film: MakeFilm) -> None:
    store = Store.open(str(tmp_path / "out"))
    store.put_file(make_film("film.mp4"), video_path("a", FINGERPRINT))
    built(store, a_stored_row())
    poster = store.local_path(poster_path("a", FINGERPRINT))
    assert poster is not None
    before = poster.stat()
    built(store, a_stored_row())
    after = poster.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_broken_film_loses_its_poster_and_not_the_page(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.write_bytes(video_path("a", FINGERPRINT), b"no film")
    with caplog.at_level(logging.WARNING):
        page = built(store, a_stored_row(), a_row("b", prompt="Still here"))
    assert "Still here" in page.text
    assert "clip a" in caplog.text
    assert not store.exists(poster_path("a", FINGERPRINT))


def test_the_frames_of_a_clip_without_a_film_are_shown(store: Store, tmp_path: Path) -> None:
    Image.new("RGB", (640, 360), "teal").save(tmp_path / "first.png")
    page = built(store, a_row(first_frame_path=str(tmp_path / "first.png"), last_frame_path=str(tmp_path / "gone.png")))
    assert set(page.values("src")) == {f"../{first_frame_path('a', FINGERPRINT)}"}
    assert store.exists(first_frame_path("a", FINGERPRINT))


def test_a_frame_below_the_storage_is_read_from_there(store: Store, tmp_path: Path) -> None:
    Image.new("RGB", (640, 360), "teal").save(tmp_path / "first.png")
    store.put_file(tmp_path / "first.png", "frames/first.png")
    built(store, a_row(first_frame_path="frames/first.png"))
    assert store.exists(first_frame_path("a", FINGERPRINT))


def test_rejected_rows_stand_below_the_clips_with_what_mends_them(store: Store) -> None:
    problem = Problem(row=3, clip_id="b", column="last_frame", what="there is no such file", fix="correct the path")
    text = built(store, a_row(), rejected=(problem,)).text
    assert "1 row was set aside" in text
    assert "there is no such file" in text
    assert "correct the path" in text


def test_an_empty_batch_has_a_page_too(store: Store) -> None:
    assert "0 clips" in built(store).text


def test_a_failed_clip_shows_its_reason(store: Store) -> None:
    row = a_row(status="failed", error_code="DataInspectionFailed", error_message="Input may be inappropriate.")
    text = built(store, row).text
    assert "DataInspectionFailed" in text
    assert "Input may be inappropriate." in text


def test_a_card_tells_all_that_is_known_of_a_clip() -> None:
    row = a_stored_row(prompt="Dawn", actual_prompt="Dawn, slowly", negative_prompt="text", seed=7, scene="Act 2")
    text = Page(card_html(row, set())).text
    for fact in (
        "Dawn",
        "Dawn, slowly",
        "text",
        "96 × 64",
        "0.50 CNY",
        "task-1",
        "2.00 MB",
        "Act 2",
        "2026-09-01 12:00:00 UTC",
    ):
        assert fact in text


def test_the_task_id_can_be_copied() -> None:
    assert "task-1" in Page(card_html(a_stored_row(), set())).values("data-copy")


def test_a_title_column_is_the_headline_and_the_clip_id_is_it_otherwise() -> None:
    assert "<h2>Harbour</h2>" in card_html(a_row(title="Harbour"), set())
    assert "<h2>a</h2>" in card_html(a_row(title=""), set())


def test_the_folders_of_the_machine_that_made_the_page_stay_out_of_it() -> None:
    assert "/home/somebody" not in card_html(a_row(first_frame_path="/home/somebody/a.png"), set())


def test_the_summary_adds_up_films_and_costs_by_currency() -> None:
    rows = [
        a_stored_row("a"),
        a_stored_row("b", cost=0.25, currency="USD"),
        a_stored_row("c", duration_s=5.0),
        a_row("d"),
    ]
    assert summary_html(rows) == "4 clips &middot; 6 s of film &middot; 1.00 CNY &middot; 0.25 USD"


def test_there_is_a_filter_for_each_state_that_some_clip_has() -> None:
    page = Page(filters_html([a_row("a"), a_stored_row("b"), a_stored_row("c")]))
    assert page.values("data-show") == ["stored", "planned"]
    assert page.text == "All 3 Stored 2 Planned 1"


_anything = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</template></article>",
        "&amp;",
        "'$title'",
        "</style>",
    ]
)


@given(text=_anything)
def test_whatever_a_person_writes_stays_text(text: str) -> None:
    columns = ("prompt", "actual_prompt", "negative_prompt", "error_code", "error_message", "service", "title")
    written = dict.fromkeys(columns, text)
    plain = Page(card_html(a_stored_row(**{**written, f"my {text}": "x"}), set()))
    harmless = Page(card_html(a_stored_row(**dict.fromkeys(written, "word"), my="x"), set()))
    assert plain.count("script") == 0
    assert plain.count("img") == harmless.count("img")
    assert " ".join(text.split()) in plain.text
