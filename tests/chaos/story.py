"""One project and its service: lives drive it and die, and in the end both sides tell what was paid and kept."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pandas as pd
from chaos.child import CLIPS_FAILED, live, settings_of
from life import Life
from PIL import Image

from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.errors import VideoError
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.media.probe import probe
from kf2v_pipeline.orchestration.instance import open_instance
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.storage.layout import VIDEOS_TABLE
from kf2v_pipeline.storage.ledger import Ledger

LIFE_S = 120
"""Longer than any life takes; one that takes longer hangs."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What both sides tell in the end.

    Attributes:
        creates: Creates that reached the service.
        tasks: Tasks that it made.
        billed: Videos that it bills.
        duplicates: Bills beyond the first of each clip.
        lost: Clips without a whole video in the storage.
        orphans: Tasks that the ledger does not know.
        strays: Downloads that were left lying on this machine.
        rows: Clips that the table shows as stored.
        materializations: Dagster's events of stored clips.
        once: Whether each clip has exactly one video, one row and one materialization, for one bill.
    """

    clips: int
    creates: int
    tasks: int
    billed: int
    duplicates: int
    lost: int
    orphans: int
    strays: int
    rows: int
    materializations: int
    once: bool


def make_home(home: Path) -> Path:
    """An empty ledger and an empty Dagster instance, ready to be copied."""
    settings = settings_of(home=home, storage=home, manifest=home, service="local")
    Ledger.open(settings.ledger_url).close()
    with open_instance(settings.dagster_home):
        return home


class Story:
    """One manifest, one home, one storage, and a server that outlives whoever talks to it."""

    def __init__(self, folder: Path, server: LocalServer, home: Path | None = None) -> None:
        """Begins with nothing.

        Args:
            folder: Where all of it lies.
            server: Its service.
            home: A home with an empty ledger and Dagster instance to begin with, since making one takes a while.
        """
        if home is not None:
            shutil.copytree(home, folder / "home")
        self.folder = folder
        self.server = server
        self.clip_ids: list[str] = []
        self._settings = settings_of(
            home=folder / "home", storage=folder / "out", manifest=folder / "manifest.csv", service=server.base_url
        )

    def want(self, clips: int, prompt: str = "Film of {}.") -> None:
        """Adds clips to the manifest, and gives all of them this prompt, which tells them apart on the other side."""
        self.clip_ids += [f"clip-{number:03}" for number in range(len(self.clip_ids), len(self.clip_ids) + clips)]
        for shade in (60, 180):
            path = self.folder / f"{shade}.png"
            if not path.exists():
                ramp = Image.linear_gradient("L").resize((480, 360))
                Image.merge("RGB", (ramp, ramp.rotate(180), Image.new("L", ramp.size, shade))).save(path)
        with Path(self._settings.manifest).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["clip_id", "first_frame", "last_frame", "prompt", "resolution"])
            writer.writerows(
                [clip_id, "60.png", "180.png", prompt.format(clip_id), "480P"] for clip_id in self.clip_ids
            )

    def live(self, point: str | None = None, count: int = 1, *, for_s: float | None = None, **options: Any) -> bool:
        """One life of a process; whether it came to its end by itself.

        Args:
            point: Where it kills itself; None to live.
            count: At which passing of the point.
            for_s: After how many seconds it is killed from outside; None for never.
            options: Of ``child.live``.
        """
        life = self.begin(point, count, **options)
        has_ended = life.ends_within(LIFE_S if for_s is None else for_s)
        life.kill()
        if for_s is None and not has_ended:
            raise AssertionError(f"a life that was to die at {point} hangs")
        return self.end(life)

    def begin(self, point: str | None = None, count: int = 1, **options: Any) -> Life:
        """Begins a life, and gives its process."""
        return Life(live, self._settings, point, count, **options)

    def end(self, life: Life) -> bool:
        """Waits for the end of a life; whether it came by itself."""
        life.ends_within(LIFE_S)
        exit_code = life.exit_code()
        if exit_code not in (0, CLIPS_FAILED, -SIGKILL):
            raise AssertionError(f"a life ended with {exit_code}; its output says why")
        self.server.journal()  # what it had sent has arrived now
        return exit_code != -SIGKILL

    def attempts(self, *states: State) -> tuple[Attempt, ...]:
        """The attempts in these states, or all, as the ledger has them."""
        with Ledger.open(self._settings.ledger_url) as ledger:
            return ledger.attempts(states=states or None)

    def are_all_stored(self) -> bool:
        """Whether the ledger says that every clip is stored."""
        stored = {attempt.clip_id for attempt in self.attempts(State.STORED)}
        return stored >= set(self.clip_ids)

    def verdict(self) -> Verdict:
        """Judges from the server's journal, and from ledger, storage, table and Dagster."""
        self.server.settle(timedelta(minutes=1))
        creates = self.server.journal()["creates"]
        made = [create for create in creates if create["task_id"]]
        bills = Counter(create["prompt"] for create in made if create["billed"])
        videos = Counter({clip_id: self._videos(clip_id) for clip_id in self.clip_ids})
        rows = self._rows()
        told = Counter(clip_id for clip_id, _ in self.materializations())
        attempts = self.attempts()
        known = {attempt.task_id for attempt in attempts}
        stored = Counter(attempt.clip_id for attempt in attempts if attempt.state is State.STORED)
        once = dict.fromkeys(self.clip_ids, 1)
        return Verdict(
            clips=len(self.clip_ids),
            creates=len(creates),
            tasks=len(made),
            billed=bills.total(),
            duplicates=bills.total() - len(bills),
            lost=sum(videos[clip_id] == 0 for clip_id in self.clip_ids),
            orphans=sum(create["task_id"] not in known for create in made),
            strays=len(list((self.folder / "home" / "incoming").glob("*"))),
            rows=rows.total(),
            materializations=told.total(),
            once=rows == told == videos == stored == once and bills == {f"Film of {i}.": 1 for i in once},
        )

    def _videos(self, clip_id: str) -> int:
        """How many whole videos of a clip are in the storage."""
        found = 0
        for path in (self.folder / "out" / "videos" / clip_id).glob("*.mp4"):
            try:
                found += probe(path).frames == 150
            except VideoError:
                continue
        return found

    def _rows(self) -> Counter[str]:
        table: Any = pd.read_parquet(self.folder / "out" / VIDEOS_TABLE)
        return Counter(table[table["status"] == "stored"]["clip_id"])

    def materializations(self) -> list[tuple[str, str]]:
        """Dagster's events of stored clips, the newest first: the clip, and the data version that it was told."""
        with open_instance(self._settings.dagster_home) as instance:
            records = instance.fetch_materializations(Names().video, limit=10_000).records
        return [
            (str(record.partition_key), str((record.asset_materialization.tags or {})["dagster/data_version"]))
            for record in records
            if record.asset_materialization
        ]
