"""Dagster's web UI as a person works with it: what is clicked, and what is read. Nothing here asks its API."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

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
        """Keeps a screenshot."""
        self._album.mkdir(parents=True, exist_ok=True)
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

    # What is done.

    def launch_job(self, job: str) -> None:
        """Launches a run of a job from its launchpad, as it is configured."""
        self.go("Jobs")
        self.page.locator(f"a[href$='/jobs/{job}']").first.click()
        self.page.get_by_role("tab", name="Launchpad").click()
        self.page.get_by_role("button", name="Launch Run").click()
        self.page.wait_for_url("**/runs/*")

    def materialize(self, partitions: str | None = None) -> None:
        """Presses the asset's button and, where it has partitions, chooses among them: ``Failed``, for example."""
        self.page.get_by_role("button", name="Materialize").first.click()
        if partitions:
            dialog = self.page.get_by_role("dialog")
            dialog.get_by_role("button", name=partitions, exact=True).click()
            dialog.get_by_role("button", name=re.compile("Launch")).click()

    def is_on(self, automation: str) -> bool:
        """Whether a sensor or a schedule is on, on the page of automations."""
        return self._switch(automation).is_checked()

    def turn(self, automation: str, *, on: bool) -> None:
        """Turns a sensor or a schedule on or off, on the page of automations."""
        switch = self._switch(automation)
        expect(switch).to_be_checked(checked=not on)
        switch.locator("..").click()  # the input itself is hidden below its label
        expect(switch).to_be_checked(checked=on)

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

    def _switch(self, automation: str) -> Locator:
        row = self.page.locator("[data-index]").filter(has=self.page.get_by_text(automation, exact=True))
        return row.locator("input[type=checkbox]").last
