"""What the tests of commands share: projects on one folder, and drives."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from blank_ledger import write_blank_ledger

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.domain.policy import Pace
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.outcome import DriveReport, Listener, Silence
from kf2v_pipeline.workflow.project import Project, utc_now
from kf2v_pipeline.workflow.tempo import Tempo

QUICK = Tempo(
    pace=Pace(closest=timedelta(seconds=0.05), widest=timedelta(seconds=0.2)),
    confirm_grace=timedelta(seconds=0.5),
    claim_every=timedelta(seconds=0.05),
)


class Office:
    """One project's folder on this machine, and how its clips are driven."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self.folder = folder
        self.storage = folder / "out"
        self.ledger_path = write_blank_ledger(folder / "home" / "ledger.db")
        self._opened = opened

    def open(self, service: str, manifest: Path, *, tempo: Tempo = QUICK, **settings: Any) -> Project:
        """A project on the folder; each one opens the ledger for itself."""

        def refuse(_directory: Path) -> str:
            raise AssertionError("these tests start their servers themselves")

        # Measuring takes half a second of processor a film; the tests that are about it ask for it.
        places = {"storage": str(self.storage), "home": self.folder / "home", "quality": False}
        chosen = Settings(**{"manifest": str(manifest), "service": service, **places, **settings})
        return self._opened.enter_context(Project(chosen, local_address=refuse, tempo=tempo))

    def drive(self, project: Project, *, asked: tuple[str, ...] = (), listener: Listener | None = None) -> DriveReport:
        """One drive over all that the manifest wants."""
        take_in_manifest(project)
        clips = list(project.wanted())
        return asyncio.run(project.engine(clips, listener or Silence()).drive(clips, asked=asked))

    def drive_until(self, project: Project, state: State, *, clips: int = 1) -> None:
        """Drives until so many clips came into the state, and stops then, as with Ctrl-C."""
        asyncio.run(self._drive_until(project, state, clips))

    async def _drive_until(self, project: Project, state: State, count: int) -> None:
        take_in_manifest(project)
        clips = list(project.wanted())
        came = asyncio.Semaphore(0)
        driving = asyncio.ensure_future(project.engine(clips, Spy(**{state.value: came.release})).drive(clips))
        reached = asyncio.gather(*(came.acquire() for _ in range(count)))
        await asyncio.wait({driving, reached}, return_when=asyncio.FIRST_COMPLETED)
        assert reached.done(), "the drive ended before"
        driving.cancel()
        with suppress(asyncio.CancelledError):
            await driving

    def lose_ledger(self) -> None:
        for path in self.ledger_path.parent.glob("ledger.db*"):
            path.unlink()


class Spy(Silence):
    """A listener that does something as soon as a clip comes into a state."""

    def __init__(self, **reactions: Callable[[], None]) -> None:
        self._reactions = {State(name): reaction for name, reaction in reactions.items()}

    def moved(self, clip_id: str, state: State) -> None:
        if state in self._reactions:
            self._reactions[state]()


class LeapingClock:
    """The real clock, ahead by as much as it was told to leap."""

    def __init__(self, **ahead: float) -> None:
        self.ahead = timedelta(**ahead)

    def __call__(self) -> datetime:
        return utc_now() + self.ahead

    def leap(self, **length: float) -> None:
        self.ahead += timedelta(**length)


def verdicts(report: DriveReport) -> dict[str, str]:
    return {clip_id: outcome.verdict.value for clip_id, outcome in report.outcomes.items()}


def copy_ledger(source: Path, target: Path) -> None:
    """A copy of a ledger that is in use, as a backup or a snapshot of the disk would make it."""
    with closing(sqlite3.connect(source)) as ours, closing(sqlite3.connect(target)) as theirs:
        ours.backup(theirs)
