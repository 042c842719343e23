"""Dagster's web UI as a person works with it: what is clicked, and what is read. Nothing here asks its API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Locator, Page, Response, expect
from playwright.sync_api import TimeoutError as Impatience

PATIENCE_MS = 240_000
"""Longest wait for anything that a daemon or a run has to do first."""


class Browser:
    """One window on a web UI.

    Args:
        address: Where the UI is.
        album: Folder that screenshots go to.
    """

    def __init__(self, page: Page, address: str, album: Path) -> None:
        self.page = page
        self.address = address
        self._album = album

    def photograph(self, name: str) -> None:
        """Keeps a screenshot, of a page that has come to rest if it does within seconds."""
        self._album.mkdir(parents=True, exist_ok=True)
        with suppress(Impatience):
            self.page.wait_for_load_state("networkidle", timeout=2_000)
        self.page.screenshot(path=self._album / f"{name}.png")

    # Ways through the UI.

    def open(self) -> None:
        """Goes to the front page."""
        self.page.goto(self.address)

    def go(self, place: str) -> None:
        """Takes a link of the navigation on the left."""
        self._link(place).click()

    def open_lineage(self) -> None:
        """Shows the lineage, with every asset in it."""
        self.go("Lineage")
        for asset in ("manifest", "video", "video_table", "gallery"):
            expect(self._node(asset)).to_be_visible()

    def open_asset(self, asset: str, tab: str = "Overview") -> None:
        """Goes to an asset by the catalog."""
        self.go("Catalog")
        self.page.locator(f"a[href$='/assets/{asset}']").first.click()
        self.page.get_by_role("tab", name=tab, exact=True).click()

    def open_partition(self, clip_id: str) -> None:
        """Shows one partition of ``video``."""
        name = self.page.get_by_text(clip_id, exact=True).filter(visible=True)
        name.first.click()
        expect(name).to_have_count(2)  # in the list, and above the partition's own page

    def open_events(self, clip_id: str) -> Locator:
        """Shows what the newest event of the partition that is open says."""
        self.page.get_by_role("button", name="View all historical events").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_text(clip_id, exact=True).first.click()
        return dialog

    def close_dialog(self) -> None:
        """Closes it by its button."""
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("button", name="OK", exact=True).click()
        expect(dialog).to_have_count(0)

    @contextmanager
    def looking_away(self) -> Iterator[None]:
        """Shows nothing for a while, and then the page of before: drawing live pages takes what the runs need."""
        address = self.page.url
        self.page.goto("about:blank")
        yield
        self.page.goto(address)

    # What is done.

    def launch_job(self, job: str) -> None:
        """Launches a run of a job from its launchpad, as it is configured."""
        self.go("Jobs")
        self.page.locator(f"a[href$='/jobs/{job}']").first.click()
        self.page.get_by_role("tab", name="Launchpad").click()
        self.page.get_by_role("button", name="Launch Run").click()
        self.page.wait_for_url("**/runs/*")

    def materialize(self) -> None:
        """Presses the button of an asset that has no partitions, and waits until its run has succeeded."""
        self.page.get_by_role("button", name="Materialize").first.click()
        self.follow_run()

    def materialize_partitions(self, which: str | None = None, *, photograph: str | None = None) -> None:
        """The same for ``video``: for the partition that is open, or for ``Failed`` ones, for example.

        Args:
            photograph: Name of a screenshot of the filled dialog; None for none.
        """
        self.page.get_by_role("button", name="Materialize").first.click()
        dialog = self.page.get_by_role("dialog")
        if which:
            dialog.get_by_role("button", name=which, exact=True).click()
        launch = dialog.get_by_role("button", name=re.compile("^Launch"))
        expect(launch).to_be_enabled()
        if photograph:
            self.photograph(photograph)
        launch.click()
        expect(dialog).to_have_count(0)

    def follow_run(self) -> None:
        """Goes to the run that was just launched, by the message that says so, and waits until it has succeeded."""
        self._link("View").click()
        self.page.wait_for_url("**/runs/*")
        self.wait_for_run(ends="Success")

    def turn(self, automation: str, *, on: bool) -> None:
        """Turns a sensor or a schedule on or off, on the page of automations."""
        self.expect_turned(automation, on=not on)
        for is_last in (False, False, True):  # a click is lost where the table draws its row anew just then
            try:
                with self.page.expect_response(_is_switching, timeout=10_000):  # it moves before it works
                    self._switch(automation).locator("..").click()  # the input itself is hidden below its label
                break
            except Impatience:
                if is_last:
                    raise
        self.expect_turned(automation, on=on)

    def expect_turned(self, automation: str, *, on: bool) -> None:
        """Waits until a sensor or a schedule is shown as on or off; before its row is loaded, the switch is a dummy."""
        expect(self._automation(automation)).to_contain_text(re.compile("Standard sensor|Scheduled"))
        expect(self._switch(automation)).to_be_checked(checked=on)

    # What is seen.

    def wait_for_partitions(self, **counts: int) -> None:
        """Waits until the page of partitions counts so many ``materialized``, ``failed``, ``missing``."""
        for status, count in counts.items():
            expect(self.page.get_by_text(f"{status.capitalize()} ({count})", exact=True)).to_be_visible(
                timeout=PATIENCE_MS
            )

    def wait_for_materialized(self, least: int) -> None:
        """Waits until the page of partitions counts at least so many."""
        numbers = "|".join(str(number) for number in range(least, 1000))
        expect(self.page.get_by_text(re.compile(rf"^Materialized \(({numbers})\)$"))).to_be_visible(timeout=PATIENCE_MS)

    def metadata(self, name: str) -> Locator:
        """The row of a metadata entry."""
        return self.page.get_by_role("row").filter(has=self.page.get_by_text(name, exact=True)).first

    def wait_for_run(self, *, ends: str) -> None:
        """Waits on the page of a run until it has ended so: ``Success`` or ``Failure``."""
        expect(self.page.get_by_text(ends, exact=True).first).to_be_visible(timeout=PATIENCE_MS)

    def _link(self, text: str) -> Locator:
        """The first link that says this and nothing else; its icon does not count."""
        return self.page.locator("a").filter(has_text=re.compile(rf"^\s*{re.escape(text)}\s*$")).first

    def _node(self, asset: str) -> Locator:
        return self.page.get_by_text(asset, exact=True).last

    def _automation(self, name: str) -> Locator:
        return self.page.locator("[data-index]").filter(has=self.page.get_by_text(name, exact=True))

    def _switch(self, automation: str) -> Locator:
        return self._automation(automation).locator("input[type=checkbox]").last


def _is_switching(response: Response) -> bool:
    """Whether it answers a request to start or stop a sensor or a schedule."""
    return bool(re.search(r'"operationName":\s*"(Start|Stop)', response.request.post_data or ""))
