"""The script of one local server: when tasks move, what they may do, how things fail. Acting on it is others' work."""

from __future__ import annotations

import difflib
import importlib
import json
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args, get_type_hints

from .fault import Fault
from .model import MODELS, Model


class ScenarioError(ValueError):
    """A scenario can't be used. Its text is one sentence for a person."""


@dataclass(frozen=True, kw_only=True)
class Duration:
    """How long tasks run at least, by the server's clock; rendering may take longer.

    Attributes:
        median_s: Half of them take longer.
        sigma: Spread of the lognormal distribution; 0 makes it fixed.
        match: Only tasks whose prompt contains this text; None for all.
    """

    median_s: float = 0.0
    sigma: float = 0.0
    match: str | None = None

    def __post_init__(self) -> None:
        if self.median_s < 0 or self.sigma < 0:
            raise ValueError("a duration's median_s and sigma can't be negative")

    def draw(self, rng: random.Random) -> timedelta:
        """One length of time."""
        spread = math.exp(rng.gauss(0.0, self.sigma)) if self.sigma else 1.0
        return timedelta(seconds=self.median_s * spread)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One script. As it is without arguments: the vendor's rules, real time, each film as fast as it renders.

    Attributes:
        seed: Of everything that is drawn.
        speed: Seconds of the server's clock in one real second; quotas and expiry follow that clock too.
        stand_in: Films are cheap cuts between the frames, not renderings.
        stand_in_px: Longest side of such films, so that looking at one costs nothing; 0 for the vendor's size.
        pending_s: Least time that a task is PENDING.
        check_s: How long after its creation a task with bad values turns FAILED.
        durations: The first that matches a task's prompt counts; none means as fast as it renders.
        values_at_create: Bad values are refused by the create call already, as old documents say.
        surplus: ``queue`` keeps tasks beyond the quota in process PENDING, ``reject`` answers 429.
        submit_rps: Creates a second: one number for all models, or by model; None keeps the vendor's.
        in_process: Tasks in process: one number for all models, or by model; None keeps the vendor's.
        cut_after: After so many tasks, one in process is all that is left; None for never.
        query_qps: Get, list and cancel together, a second (vendor page of asynchronous tasks).
        keys: The only keys that are accepted; empty for any that begins with ``sk-``.
        list_delay_s: How long a new task is missing from ``list``.
        life_s: How long tasks and signed addresses live (vendor page: 24 hours).
        disk_bytes: What films may use; beyond it the oldest go, those that were downloaded first.
        faults: What goes wrong.
    """

    seed: int = 0
    speed: float = 1.0
    stand_in: bool = False
    stand_in_px: int = 0
    pending_s: float = 0.0
    check_s: float = 0.3
    durations: tuple[Duration, ...] = ()
    values_at_create: bool = False
    surplus: str = "queue"
    submit_rps: int | Mapping[str, int] | None = None
    in_process: int | Mapping[str, int] | None = None
    cut_after: int | None = None
    query_qps: int = 20
    keys: tuple[str, ...] = field(default=(), repr=False)
    list_delay_s: float = 0.0
    life_s: float = 86_400.0
    disk_bytes: int = 4 * 1024**3
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        if self.surplus not in ("queue", "reject"):
            raise ValueError(f"surplus is 'queue' or 'reject', not {self.surplus!r}")
        if self.speed <= 0:
            raise ValueError("speed must be more than 0")
        if self.stand_in_px < 0 or self.stand_in_px % 2:
            raise ValueError("stand_in_px is an even number of pixels, or 0")
        _check_limit("submit_rps", self.submit_rps)
        _check_limit("in_process", self.in_process)
        if not isinstance(self.keys, tuple) or not all(isinstance(key, str) for key in self.keys):
            raise ValueError("keys is a list of keys")

    def duration_for(self, prompt: str | None, rng: random.Random) -> timedelta:
        """How long a task with this prompt runs at least."""
        for duration in self.durations:
            if duration.match is None or duration.match in (prompt or ""):
                return duration.draw(rng)
        return timedelta(0)

    def submit_rps_of(self, model: Model) -> int:
        """Creates that the model takes in a second."""
        return _limit(self.submit_rps, model.name, model.submit_rps)

    def in_process_of(self, model: Model, created: int) -> int:
        """Tasks of the model that run at the same time, after so many tasks were created in all."""
        if self.cut_after is not None and created > self.cut_after:
            return 1
        return _limit(self.in_process, model.name, model.in_process)

    @classmethod
    def load(cls, path: Path) -> Scenario:
        """Read a scenario from a file: TOML if its name ends so, else JSON.

        Raises:
            ScenarioError: The file can't be read, or what it says can't be used.
        """
        try:
            text = path.read_text(encoding="utf-8")
            raw = _parse_toml(text) if path.suffix.lower() == ".toml" else json.loads(text)
        except OSError as error:
            raise ScenarioError(f"The scenario {path} can't be read: {error.strerror}.") from error
        except ModuleNotFoundError as error:
            raise ScenarioError(f"The scenario {path} is TOML, which needs Python 3.11; write it as JSON.") from error
        except ValueError as error:
            raise ScenarioError(f"The scenario {path} can't be parsed: {error}.") from error
        return cls.from_mapping(raw)

    @classmethod
    def from_mapping(cls, raw: Any) -> Scenario:
        """The scenario that a JSON object says; ``durations`` may be one number of seconds.

        Raises:
            ScenarioError: A key is unknown, or a value can't be used; the text names the nearest key.
        """
        values = _read(cls, raw, "a scenario")
        durations = values.get("durations", ())
        if isinstance(durations, (int, float)):
            durations = ({"median_s": durations},)
        try:
            values["durations"] = tuple(Duration(**_read(Duration, one, "a duration")) for one in durations)
            values["faults"] = tuple(Fault(**_read(Fault, one, "a fault")) for one in values.get("faults", ()))
            if isinstance(values.get("keys"), list):
                values["keys"] = tuple(values["keys"])
            return cls(**values)
        except ScenarioError:
            raise
        except (TypeError, ValueError) as error:
            raise ScenarioError(f"A scenario can't be used: {error}.") from error


def _limit(scripted: int | Mapping[str, int] | None, name: str, vendors: int) -> int:
    if scripted is None:
        return vendors
    return scripted if isinstance(scripted, int) else scripted.get(name, vendors)


def _parse_toml(text: str) -> Any:
    return importlib.import_module("tomllib").loads(text)  # by name, since Python 3.10 has none


def _read(kind: type, raw: Any, what: str) -> dict[str, Any]:
    """The object's values, once its keys and the types of its plain values are known to be right."""
    if not isinstance(raw, Mapping):
        raise ScenarioError(f"{what.capitalize()} is an object of names and values, not {raw!r}.")
    hints = get_type_hints(kind)
    for name, value in raw.items():
        if name not in hints:
            raise ScenarioError(f"{what.capitalize()} has no {name!r}; {_nearest(str(name), hints)}")
        wanted = get_args(hints[name]) or (hints[name],)
        fits = type(value) in wanted or (type(value) is int and float in wanted)
        if set(wanted) <= _PLAIN and not fits:
            names = " or ".join(kind.__name__ for kind in wanted if kind is not type(None))
            raise ScenarioError(f"{name} in {what} is a {names}, not {value!r}.")
    return dict(raw)


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else f"it knows {', '.join(known)}."


def _check_limit(name: str, limit: Any) -> None:
    """Whether a quota is a number, or numbers by model."""
    by_model = limit if isinstance(limit, Mapping) else {None: limit}
    for model, number in by_model.items():
        if model is not None and model not in MODELS:
            raise ScenarioError(f"{name} has no model {model!r}; {_nearest(str(model), MODELS)}")
        if number is not None and (type(number) is not int or number < 1):
            raise ScenarioError(f"{name} is a whole number of at least 1, or such numbers by model, not {number!r}.")


_PLAIN = {bool, int, float, str, type(None)}
"""Types of values that need no reading of their own."""
