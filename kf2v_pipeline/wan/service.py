"""A service and its models: what may be asked of it, how fast, at what price. The figures come from ``catalog``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from difflib import get_close_matches
from math import inf
from typing import Any, Literal

from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.errors import SettingsError

Protocol = Literal["kf2v", "media"]
"""How a model is asked: with ``first_frame_url`` and ``last_frame_url``, or with a list of ``media``."""

PROTOCOLS: tuple[Protocol, ...] = ("kf2v", "media")


@dataclass(frozen=True, kw_only=True)
class Quota:
    """What an account may do with one model in one region.

    Attributes:
        tasks_in_process: Tasks that may run at once; what happens to more is not documented.
    """

    creates_per_second: float
    tasks_in_process: int


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model as one service offers it.

    Attributes:
        durations_s: Lengths of a video that may be asked for, in seconds.
        prompt_max_chars: Characters that are read; the service cuts the rest in silence, and bills.
        negative_prompt_max_chars: The same for the negative prompt.
        min_side: Shortest side of a frame, in pixels.
        max_side: Longest side of a frame, in pixels.
        max_ratio: Longest side over shortest side of a frame; infinite where no limit is known.
        max_bytes: Largest file of a frame.
        prices_per_second: Price of a second of video by resolution; a resolution that is missing has no known price.
        source: Pages that the figures come from, and when they were read.
    """

    name: str
    protocol: Protocol
    resolutions: tuple[str, ...]
    default_resolution: str
    durations_s: tuple[int, ...]
    default_duration_s: int
    prompt_max_chars: int
    negative_prompt_max_chars: int
    min_side: int
    max_side: int
    max_ratio: float = inf
    max_bytes: int
    quota: Quota
    prices_per_second: Mapping[str, Money]
    source: str


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service: an address, an account's region, and the models that it offers there.

    Attributes:
        name: ``local``, ``singapore``, ``beijing``, a name of the user's own, or the base URL.
        base_url: Without trailing slash; None until somebody who starts the local server fills it in.
        queries_per_second: Shared by get, list and cancel (vendor page of asynchronous tasks).
        needs_key: Whether an API key of the user's must be sent; a loopback server takes any.
        region: The vendor's name of the region; None where there is none.
        spellings: Another region's name of a model to this service's name of the same model.
        misnamed: Names that were never a model's, to the model that is meant.
    """

    name: str
    base_url: str | None
    models: Mapping[str, Model]
    default_model: str
    queries_per_second: float = 20
    needs_key: bool = True
    region: str | None = None
    spellings: Mapping[str, str] = field(default_factory=dict)
    misnamed: Mapping[str, str] = field(default_factory=dict)

    def model(self, name: str | None = None) -> Model:
        """The model of that name, in this service's own spelling; None means the default one.

        Raises:
            SettingsError: The service has no such model; the error names those that it has.
        """
        asked = name or self.default_model
        found = self.models.get(asked) or self.models.get(self.spellings.get(asked, ""))
        if found is None:
            raise SettingsError("model", *self._no_model(asked))
        return found

    def price(self, model_name: str | None, resolution: str, duration_s: float = 5) -> Money | None:
        """What one video costs when it succeeds; None where the price is not known.

        Raises:
            SettingsError: The service has no such model.
        """
        per_second = self.model(model_name).prices_per_second.get(resolution)
        if per_second is None:
            return None
        return Money(amount=per_second.amount * Decimal(str(duration_s)), currency=per_second.currency)

    def evolve(self, **changes: Any) -> Service:
        """The same service with some fields changed."""
        return replace(self, **changes)

    def _no_model(self, asked: str) -> tuple[str, str]:
        meant = self.misnamed.get(asked)
        if meant is not None:
            return f"{asked} does not exist, although a sample of the vendor's names it", f"use {meant}"
        names = ", ".join(self.models)
        near = get_close_matches(asked, self.models, n=1)
        hint = f" (nearest: {near[0]})" if near else ""
        return f"{asked} is not offered by {self.name}", f"use one of {names}{hint}"
