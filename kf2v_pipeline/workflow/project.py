"""A project: settings made real. It opens ledger, storage, catalog and clients, and closes them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from kf2v_pipeline.domain.address import redact
from kf2v_pipeline.domain.attempt import OPEN_STATES, Attempt
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.policy import Standing, standing
from kf2v_pipeline.domain.price import Budget
from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.settings import API_KEY_NAME, Settings
from kf2v_pipeline.storage.ledger import Ledger
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.wan.catalog import Catalog, Service, load_catalog
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.workflow.collect import Collector
from kf2v_pipeline.workflow.driver import new_driver
from kf2v_pipeline.workflow.engine import Engine
from kf2v_pipeline.workflow.finish import Finisher
from kf2v_pipeline.workflow.frames import FrameSender
from kf2v_pipeline.workflow.outcome import Listener
from kf2v_pipeline.workflow.seal import SealedAddresses
from kf2v_pipeline.workflow.tempo import LOCAL_TEMPO, Tempo
from kf2v_pipeline.workflow.waiting import Followed, Waiting

LOCAL_KEY = "sk-local"
"""What the local server is told instead of a key; a real key never leaves for it."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(timezone.utc)


class Project:
    """What a run works with, each part opened when it is first used.

    Args:
        local_address: Starts the local server in a folder, if it does not run yet, and gives its base URL.
        tempo: How often a drive does what; None to choose by where its service is.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        local_address: Callable[[Path], str],
        clock: Callable[[], datetime] = utc_now,
        tempo: Tempo | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._tempo = tempo
        self._local_address = local_address
        self._opened = ExitStack()

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    @cached_property
    def catalog(self) -> Catalog:
        """What the services offer."""
        return load_catalog(self.settings.catalog)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger; made, or brought up to date, when it is first used."""
        return self._opened.enter_context(Ledger.open(self.settings.ledger_url))

    @cached_property
    def store(self) -> Store:
        """Where videos and tables go."""
        return Store.open(self.settings.storage)

    @property
    def manifest_name(self) -> str:
        """The manifest's address as the ledger knows it: absolute, and without secrets."""
        address = self.settings.manifest
        return redact(address) if "://" in address else str(Path(address).expanduser().absolute())

    def wanted(self, clip_ids: Collection[str] | None = None) -> tuple[Clip, ...]:
        """The clips that this project's manifest wants, in its order; only those named, if any are."""
        return self.ledger.wanted(clip_ids, manifest=self.manifest_name)

    def backlog(self) -> dict[str, Attempt | None]:
        """The clips that a drive has work with, by id, with their attempts.

        Those that are wanted, not stored, and not failed for good; and those with leftovers that can be looked at.
        """
        unstored = self.ledger.unstored(self.manifest_name)
        leftovers = self.ledger.leftovers(self.manifest_name)
        followed = {each.clip.clip_id: each.attempt for each in leftovers if self._can_look_at(each.clip)}
        return followed | {
            clip_id: attempt for clip_id, attempt in unstored.items() if standing(attempt) is not Standing.FAILED
        }

    def waiting(self) -> Waiting:
        """The same, in a few queries: cheap enough for a sensor's tick, however many clips there are."""
        leftovers = [each for each in self.ledger.leftovers(self.manifest_name) if self._can_look_at(each.clip)]
        holders = self.ledger.holders(at=self.clock(), stale_after=self.stale_after) if leftovers else {}
        return Waiting(
            untried=self.ledger.untried(self.manifest_name),
            unsettled=self.ledger.unsettled(self.manifest_name),
            followed=tuple(Followed(each.attempt, holders.get(each.clip.clip_id)) for each in leftovers),
        )

    def _can_look_at(self, clip: Clip) -> bool:
        """Whether the clip's service can be used with these settings; else a drive would be begun for nothing."""
        try:
            self.usable_service(clip.service).model(clip.model)
        except SettingsError:
            return False
        return True

    def problems(self) -> tuple[Problem, ...]:
        """What was wrong with the rows of this project's manifest, as it was read last."""
        return self.ledger.rejected(manifest=self.manifest_name)

    def service(self, name: str | None = None) -> Service:
        """A service by its name, the project's own for None; it is only described, not reached.

        Raises:
            SettingsError: There is no such service.
        """
        return self.catalog.service(name or self.settings.service)

    def is_free(self, lane: str) -> bool:
        """Whether a lane is known to cost nothing: its service asks for no key."""
        try:
            return not self.service(lane.rpartition("/")[0]).needs_key
        except SettingsError:
            return False

    def usable_service(self, name: str | None = None) -> Service:
        """The same, for a service that is about to be used.

        Raises:
            SettingsError: There is no such service, or it needs a key and there is none.
        """
        service = self.service(name)
        if service.needs_key and not self.settings.api_key:
            fix = f"set {API_KEY_NAME}, or use the local service"
            raise SettingsError(API_KEY_NAME, f"the service {service.name} needs an API key", fix)
        return service

    def connect(self, name: str) -> WanClient:
        """A client of a service; the local server is started where it is not running."""
        service = self.usable_service(name)
        if service.base_url is None:
            service = service.evolve(base_url=self._local_address(self.settings.server_directory))
        key = self.settings.api_key if service.name != "local" else None
        return WanClient(service, key or LOCAL_KEY, workspace=self.settings.workspace, clock=self.clock)

    def engine(
        self,
        clips: list[Clip],
        listener: Listener,
        *,
        run_id: str | None = None,
        buys: bool = True,
        without: Collection[str] = (),
    ) -> Engine:
        """An engine for one drive over these clips, and over what is left of others from before their rows changed.

        Args:
            buys: Whether the drive may create tasks; else it only finishes what was begun.
            without: Lanes that take no clips.
        """
        services = {lane.rpartition("/")[0] for clip in clips for lane in clip.possible_lanes}
        # Also of clips whose rows changed since, and in lanes that take no clips any more.
        begun = self.ledger.attempts(states=OPEN_STATES, manifest=self.manifest_name)
        services |= {attempt.service for attempt in begun}
        return Engine(
            ledger=self.ledger,
            store=self.store,
            connect=self.connect,
            collector=Collector(self.store, self.settings.incoming_directory, self.finisher),
            clock=self.clock,
            listener=listener,
            driver=new_driver(run_id),
            tempo=self._tempo or (LOCAL_TEMPO if all(map(_is_here, services)) else Tempo()),
            budget=self.budget,
            buys=buys,
            frames=FrameSender(SealedAddresses(self.settings.manifest), self.settings.frames),
            manifest=self.manifest_name,
            without=without,
        )

    @property
    def finisher(self) -> Finisher:
        """Who measures stored videos and makes their cuts."""
        return Finisher(
            store=self.store,
            ledger=self.ledger,
            sealed=SealedAddresses(self.settings.manifest),
            service_for=self.service,
            clock=self.clock,
            folder=self.settings.incoming_directory,
            measures=self.settings.quality,
        )

    @property
    def budget(self) -> Budget:
        """The most that may be spent."""
        return Budget(per_run=self.settings.max_spend, per_day=self.settings.max_spend_per_day)

    @property
    def stale_after(self) -> timedelta:
        """How long a driver may be silent before its clips may be taken over."""
        return (self._tempo or Tempo()).stale_after


def _is_here(service: str) -> bool:
    return service == "local" or urlsplit(service).hostname in _LOOPBACK
