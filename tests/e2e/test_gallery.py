"""The gallery in a real browser: from disk and from an object store, with many clips, by mouse and by keys."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import s3fs
from moto.server import ThreadedMotoServer
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from waiting import wait_for

from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.storage.layout import GALLERY, video_path
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.storage.tables import VIDEOS_SCHEMA
from kf2v_pipeline.workflow.gallery import build_gallery

pytestmark = pytest.mark.e2e

FINGERPRINT = "0123456789abcdef" * 4
CLIPS = 450
EVIL = "</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"
ASKED = "A slow pan over the bay at night."
TOLD = "A very slow pan over the bay at blue hour."
ASKED_IN_CHINESE = "夜晚的海湾，镜头缓慢平移。"
TOLD_IN_CHINESE = "蓝调时刻的海湾，镜头非常缓慢地平移。"
OTHER = "Nothing of that is in here but words of its own, and many more than before."


def make_film(path: Path) -> Path:
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for number in range(30):
            pixels = np.full((90, 160, 3), 8 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def a_row(number: int, **values: Any) -> dict[str, Any]:
    row = dict.fromkeys(VIDEOS_SCHEMA.names)
    row |= {"clip_id": f"clip-{number}", "status": "planned", "fingerprint": FINGERPRINT, "service": "local"}
    return {**row, "prompt": f"Take {number}", "title": f"Title {number}", "task_id": f"task-{number}", **values}


def a_stored_row(number: int, **values: Any) -> dict[str, Any]:
    film = {"width": 160, "height": 90, "fps": 30.0, "frames": 30, "duration_s": 1.0, "cost": 0.25, "currency": "CNY"}
    row = a_row(number, status="stored", video_path=video_path(f"clip-{number}", FINGERPRINT), **film)
    return {**row, "stored_at": datetime(2026, 9, 1, tzinfo=timezone.utc), "flaws": "", **values}


def fill(store: Store, folder: Path) -> None:
    """A gallery of which the first clips are of each kind, and the others many."""
    film = make_film(folder / "film.mp4")
    Image.new("RGB", (640, 360), "teal").save(folder / "frame.png")
    frames = {"first_frame_path": str(folder / "frame.png"), "last_frame_path": str(folder / "frame.png")}
    cut = {"aspect": "1:1", "fit": "crop", "cut_path": "videos/clip-1/cut.mp4", "cut_width": 90, "cut_height": 90}
    rows = [
        a_stored_row(0, prompt=ASKED, actual_prompt=TOLD, **frames),
        a_stored_row(1, flaws="frozen,flicker", quality_longest_freeze_s=2.5, **cut, **frames),
        a_row(2, status="failed", error_code="DataInspectionFailed", error_message="Not this one.", **frames),
        a_row(3, prompt=EVIL, title=EVIL, note=EVIL, **{EVIL: EVIL}),
        a_row(4, prompt=ASKED_IN_CHINESE, actual_prompt=TOLD_IN_CHINESE),
        a_row(5, prompt=ASKED, actual_prompt=OTHER),
    ]
    for row in rows[:2]:
        store.put_file(film, row["video_path"])
    store.put_file(film, "videos/clip-1/cut.mp4")
    rows += [a_row(number) for number in range(len(rows), CLIPS)]
    rejected = [Problem(row=7, clip_id=EVIL, column="prompt", what=EVIL, fix="shorten it")]
    build_gallery(store, rows, title="Autumn reel", rejected=rejected)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage folder with a gallery; tests that change it work on copies."""
    root = tmp_path_factory.mktemp("gallery")
    fill(Store.open(str(root / "out")), root)
    return root / "out"


@pytest.fixture
def window(process: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page by its address; what it complains of fails the test, unless that is what the test expects."""
    complaints: list[str] = []
    contexts = []

    def open_one(address: str, *, complains_of: str = "", **options: Any) -> Page:
        context = process.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)

        def note(complaint: str) -> None:
            if not complains_of or complains_of not in complaint:
                complaints.append(complaint)

        page = context.new_page()
        page.on("console", lambda message: note(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: note(str(error)))
        page.goto(address)
        expect(page.locator(".card[data-state]").first).to_be_visible()
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(folder: Path, window: Callable[..., Page]) -> Page:
    """The gallery, opened from disk."""
    return window(f"file://{folder / GALLERY}")


def expect_focus(page: Page, clip: str) -> None:
    """Waits until the keyboard is at a clip's card: closing the viewer moves it there a moment later."""
    expect(page.locator(f".stage[href='#{clip}']")).to_be_focused()


def test_every_clip_is_there_and_only_those_near_the_window_are_in_the_document(page: Page) -> None:
    assert page.locator(".card").count() < 60
    page.keyboard.press("End")
    expect(page.locator(f"[aria-posinset='{CLIPS}'] h2")).to_have_text(f"Title {CLIPS - 1}")
    expect_focus(page, f"clip-{CLIPS - 1}")
    assert page.locator(".card").count() < 60


def test_a_search_finds_words_of_prompts_titles_columns_and_task_ids(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("title task-17")
    expect(page.locator("#told")).to_have_text(f"11 of {CLIPS}")
    page.locator("#search").fill("task-449")
    expect(page.locator(".card h2")).to_have_text(["Title 449"])
    page.locator("#search").press("Escape")
    expect(page.locator("#told")).to_have_text("")


def test_clips_are_filtered_by_state_and_by_check(page: Page) -> None:
    page.get_by_role("button", name="Failed 1").click()
    expect(page.locator(".card h2")).to_have_text(["Title 2"])
    expect(page.locator(".card .reason")).to_contain_text("Not this one.")
    page.get_by_role("button", name=f"All {CLIPS}").click()
    page.get_by_label("Show by check").select_option(label="frozen (1)")
    expect(page.locator(".card h2")).to_have_text(["Title 1"])
    page.get_by_label("Show by check").select_option(label="No flaw (1)")
    expect(page.locator(".card h2")).to_have_text(["Title 0"])


def test_rows_that_were_set_aside_are_a_view_of_their_own(page: Page) -> None:
    page.get_by_role("button", name="Set aside 1").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("shorten it")
    expect(page.locator(".card")).to_have_count(0)


def test_a_clip_shows_first_frame_film_cut_and_last_frame_side_by_side(page: Page) -> None:
    page.get_by_role("link", name="Title 1, Stored").click()
    viewer = page.get_by_role("dialog")
    expect(viewer.locator("figcaption")).to_have_text(
        [re.compile("First frame"), re.compile("As it was made"), re.compile("1:1, crop, 90 × 90"), re.compile("Last")]
    )
    lefts = [box["x"] for box in (figure.bounding_box() for figure in viewer.locator("figure").all()) if box]
    assert lefts == sorted(lefts)
    assert len(set(lefts)) == 4
    for film in viewer.locator("video").all():
        expect(film).to_have_js_property("paused", False)
    expect(viewer).to_contain_text("The picture stands still for a long time.")


def test_the_prompt_that_the_model_read_is_compared_word_by_word(page: Page) -> None:
    page.get_by_role("link", name="Title 0, Stored").click()
    expect(page.locator("ins")).to_have_text(["very ", "blue hour"])
    expect(page.locator("del")).to_have_text(["night"])


def test_a_comparison_holds_both_prompts_whole_also_where_words_have_no_spaces(page: Page) -> None:
    page.goto(f"{page.url}#clip-4")
    page.reload()
    words = page.locator(".about section").nth(1).locator(".words")
    parts = words.evaluate("(found) => [...found.childNodes].map((part) => [part.nodeName, part.textContent])")
    assert "".join(text for kind, text in parts if kind != "DEL") == TOLD_IN_CHINESE
    assert "".join(text for kind, text in parts if kind != "INS") == ASKED_IN_CHINESE
    assert len(parts) > 3


def test_an_address_that_names_no_clip_shows_the_clips(page: Page) -> None:
    page.goto(f"{page.url}#50%")  # a percent sign that begins no byte
    page.reload()
    expect(page.locator(".card h2").first).to_have_text("Title 0")


def test_prompts_that_share_too_little_stand_below_each_other(page: Page) -> None:
    page.goto(f"{page.url}#clip-5")
    page.reload()
    expect(page.locator("#viewer .words")).to_contain_text([ASKED, OTHER])
    expect(page.locator("ins")).to_have_count(0)


def test_the_task_id_is_copied_by_its_button_and_by_a_key(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="Title 0, Stored").click()
    page.keyboard.press("c")
    expect(page.locator("#task")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "task-0"


def test_the_keys_go_from_clip_to_clip_open_turn_and_close(page: Page) -> None:
    for key in ("ArrowDown", "ArrowRight", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    expect_focus(page, "clip-1")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer h2")).to_have_text("Title 1")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#viewer h2")).to_have_text("Title 0")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect_focus(page, "clip-0")


def test_space_plays_a_cards_preview_and_pauses_an_open_film(page: Page) -> None:
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    expect(page.locator(".loop")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#film")).to_have_js_property("paused", False)
    page.keyboard.press(" ")
    expect(page.locator("#film")).to_have_js_property("paused", True)


def test_the_keys_are_listed_behind_a_question_mark(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Search")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_whatever_a_person_writes_is_shown_as_text(page: Page) -> None:
    page.locator("#search").fill("onerror")
    expect(page.locator(".card h2")).to_have_text([EVIL])
    page.locator(".card h2").click()
    expect(page.locator("#viewer dd").filter(has_text=EVIL)).to_have_count(2)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Set aside 1").click()
    expect(page.get_by_role("cell", name=EVIL)).to_have_count(2)
    assert page.title() == "Autumn reel"


def test_a_link_to_a_clip_opens_it(folder: Path, window: Callable[..., Page]) -> None:
    page = window(f"file://{folder / GALLERY}#clip-444")
    expect(page.locator("#viewer h2")).to_have_text("Title 444")


@pytest.mark.parametrize(("scheme", "other"), [("light", "dark"), ("dark", "light")])
def test_the_page_is_dark_or_light_as_the_system_is_until_somebody_switches_it(
    scheme: str, other: str, folder: Path, window: Callable[..., Page]
) -> None:
    page = window(f"file://{folder / GALLERY}", color_scheme=scheme)
    shade = "getComputedStyle(document.body).colorScheme"
    assert page.evaluate(shade) == scheme
    page.get_by_role("button", name="Dark or light").click()
    assert page.evaluate(shade) == other

    def is_kept() -> bool:  # the browser hands it to the next page a moment after it was set
        page.reload()
        return bool(page.evaluate(shade) == other)

    wait_for("the choice is kept", is_kept, within_s=30)


def test_a_page_whose_data_was_removed_says_so(folder: Path, tmp_path: Path, window: Callable[..., Page]) -> None:
    copied = shutil.copytree(folder, tmp_path / "copied")
    script = re.search(r'"chunks":\[\["\w+\.js",200\],\["(\w+\.js)"', (copied / GALLERY).read_text("utf-8"))
    assert script
    (copied / "gallery" / "data" / script[1]).unlink()
    page = window(f"file://{copied / GALLERY}", complains_of="ERR_FILE_NOT_FOUND")
    expect(page.locator("#told")).to_contain_text("Load it again")


def test_at_phone_width_nothing_is_wider_than_the_window(folder: Path, window: Callable[..., Page]) -> None:
    page = window(f"file://{folder / GALLERY}", viewport={"width": 390, "height": 844})
    page.get_by_role("link", name="Title 1, Stored").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.querySelector('.sheet').scrollWidth") <= 390


def test_from_an_object_store_the_page_opens_and_its_films_play(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: Callable[..., Page]
) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    for name, value in (("AWS_ENDPOINT_URL", address), ("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")):
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        s3fs.S3FileSystem().mkdir("films")
        fill(Store.open("s3://films/out"), tmp_path)
        s3fs.S3FileSystem().chmod("films/out", "public-read", recursive=True)
        page = window(f"{address}/films/out/{GALLERY}")
        expect(page.locator(".stage img").first).to_have_js_property("naturalWidth", 160)
        page.get_by_role("link", name="Title 1, Stored").click()
        for film in page.locator("video").all():
            expect(film).to_have_js_property("paused", False)
        page.get_by_role("button", name="Copy").first.click()
        expect(page.locator("#task")).to_have_text("Copied")
    finally:
        server.stop()
        s3fs.S3FileSystem.clear_instance_cache()


def test_everything_that_can_be_used_has_a_name(page: Page) -> None:
    page.get_by_role("link", name="Title 1, Stored").click()
    nameless = """[...document.querySelectorAll('button, a, input, select, video, [role=region]')].filter((found) =>
        !(found.getAttribute('aria-label') || found.textContent.trim() || (found.labels && found.labels.length)))
        .map((found) => found.outerHTML)"""
    assert page.evaluate(nameless) == []
    assert page.evaluate("[...document.images].filter((image) => !image.hasAttribute('alt')).length") == 0
