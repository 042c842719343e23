"""A real browser and real deployments. Run by ``make e2e``; screenshots lie in ``build/e2e`` afterwards."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import playwright.sync_api as play
import pytest
from e2e.browser import Browser
from e2e.deployment import ROOT, Deployment, write_batch
from ports import kept_port

ALBUM = ROOT / "build" / "e2e"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""A browser that needs no screen and asks nobody but the page's server."""

STILL = """{
    const still = new CSSStyleSheet();
    still.replaceSync("*, *::before, *::after { animation: none !important; transition: none !important; }");
    document.adoptedStyleSheets = [still];
}"""
"""Nothing turns or slides in: drawing each picture of that takes a processor as long as a run is waited for."""


@pytest.fixture(scope="session", autouse=True)
def _hear_interrupts() -> None:
    """A shell's background processes ignore Ctrl-C, and so would those that the tests start, and stop by it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def process() -> Iterator[play.Browser]:
    """The browser's process; it ends with the module, since no other test may use asyncio while playwright does."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert found, "no chromium is installed; make e2e installs Debian's"
    play.expect.set_options(timeout=60_000)
    with play.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browse(process: play.Browser) -> Callable[[Deployment], Browser]:
    """Opens a window on a deployment's web UI."""

    def open_one(deployment: Deployment) -> Browser:
        page = process.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        page.add_init_script(STILL)
        page.set_default_timeout(60_000)
        browser = Browser(page, deployment.address, ALBUM)
        browser.open()
        return browser

    return open_one


@pytest.fixture(scope="module")
def deploy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Deployment]]:
    """Makes projects of thirty clips; server and web UI are the test's to start, and stop with the module."""

    def deploy_one(*, clips: int = 30, **options: Any) -> Deployment:
        folder = tmp_path_factory.mktemp("project")
        write_batch(folder, clips=clips)
        port = opened.enter_context(kept_port())
        deployment = Deployment(folder=folder, port=port, **options)
        opened.callback(deployment.close)
        return deployment

    with ExitStack() as opened:
        yield deploy_one
