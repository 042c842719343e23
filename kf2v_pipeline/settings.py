"""Settings: what a person may choose, read from a mapping. Reading the environment belongs to the entry points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

from kf2v_pipeline.errors import SettingsError

PREFIX = "KF2V_"

NAMES: Mapping[str, str] = {
    "KF2V_MANIFEST": "manifest",
    "KF2V_STORAGE": "storage",
    "KF2V_HOME": "home",
    "KF2V_LEDGER": "ledger",
    "KF2V_SERVICE": "service",
    "KF2V_LANES": "lanes",
    "KF2V_MAX_SPEND": "max_spend",
    "KF2V_MAX_SPEND_PER_DAY": "max_spend_per_day",
    "KF2V_FRAMES": "frames",
    "KF2V_FIX_FRAMES": "fix_frames",
    "KF2V_LONG_PROMPTS": "long_prompts",
    "KF2V_QUALITY": "quality",
    "KF2V_CATALOG": "catalog",
    "KF2V_WORKSPACE": "workspace",
    "KF2V_LICENSE": "license",
    "KF2V_NIGHTLY_CRON": "nightly_cron",
    "KF2V_NIGHTLY_TIMEZONE": "nightly_timezone",
}
"""Every ``KF2V_*`` variable, with the field that it sets."""

API_KEY_NAME = "DASHSCOPE_API_KEY"

FrameMode = Literal["auto", "inline", "upload", "url"]
PromptMode = Literal["refuse", "cut"]

_YES_OR_NO: Mapping[str, object] = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}

_CHOICES: Mapping[str, Mapping[str, object]] = {
    "KF2V_FRAMES": {mode: mode for mode in get_args(FrameMode)},
    "KF2V_FIX_FRAMES": _YES_OR_NO,
    "KF2V_QUALITY": _YES_OR_NO,
    "KF2V_LONG_PROMPTS": {mode: mode for mode in get_args(PromptMode)},
}
"""Variables that have a few values, with what each of them means."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a person may choose.

    Attributes:
        manifest: Path or fsspec URL of the manifest.
        storage: Where videos and tables go: a path or any fsspec URL.
        home: Folder of the state on this machine: ledger, local server, Dagster's instance.
        ledger: SQLAlchemy URL; empty for SQLite in ``home``.
        service: ``local``, ``singapore``, ``beijing``, or a base URL.
        lanes: Those that may make clips with ``service: auto``: ``service/model``, separated by commas.
        api_key: Never shown; None where the service needs none.
        max_spend: Most that one run may spend, in the service's currency; None for no limit.
        max_spend_per_day: The same for all runs of a UTC day together.
        frames: How frames go to the service: by their own URL, inline in the create, by upload, or as each one can.
        fix_frames: Whether frames that the service would refuse are converted, flattened and scaled down.
        quality: Whether stored videos are measured.
        long_prompts: What becomes of a prompt that is longer than its model reads.
        catalog: A TOML file that is laid over the catalog of services, models and prices; None for none.
        workspace: Sub-workspace of the account that the calls belong to; None for the key's own.
        license: What others may do with the films, a URL or an SPDX identifier; None to say nothing of it.
        nightly_cron: When Dagster's nightly schedule renders, as a cron expression.
        nightly_timezone: The timezone that the expression is in, such as ``Europe/Berlin``.
    """

    manifest: str = field(default="data/manifest.csv", repr=False)
    storage: str = field(default="output", repr=False)
    home: Path = Path(".kf2v")
    ledger: str = field(default="", repr=False)
    service: str = "local"
    lanes: str = ""
    api_key: str | None = field(default=None, repr=False)
    max_spend: Decimal | None = None
    max_spend_per_day: Decimal | None = None
    frames: FrameMode = "auto"
    fix_frames: bool = False
    quality: bool = True
    long_prompts: PromptMode = "refuse"
    catalog: Path | None = None
    workspace: str | None = None
    license: str | None = None
    nightly_cron: str = "0 2 * * *"
    nightly_timezone: str = "UTC"

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger; it may hold a password."""
        return self.ledger or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def lane_names(self) -> tuple[str, ...]:
        """The lanes for ``service: auto``, each once, in the order in which they are named."""
        return _names_in(self.lanes)

    @property
    def dagster_home(self) -> Path:
        """The folder of Dagster's own instance."""
        return self.home / "dagster"

    @property
    def server_directory(self) -> Path:
        """The folder of the local server."""
        return self.home / "server"

    @property
    def incoming_directory(self) -> Path:
        """Where downloads wait until they are checked."""
        return self.home / "incoming"

    @classmethod
    def from_mapping(cls, environment: Mapping[str, str], **flags: Any) -> Settings:
        """Settings from environment variables, with flags (fields of this class by name) on top; None is no flag.

        Home and catalog become absolute paths, since Dagster starts processes elsewhere.

        Raises:
            SettingsError: A ``KF2V_*`` name is unknown, or a value has no meaning.
        """
        _refuse_unknown_names(environment)
        values: dict[str, Any] = {
            field_name: environment[name] for name, field_name in NAMES.items() if environment.get(name)
        }
        values.update({name: value for name, value in flags.items() if value is not None})
        values["home"] = Path(values.get("home", cls.home)).expanduser().absolute()
        if "catalog" in values:
            values["catalog"] = Path(values["catalog"]).expanduser().absolute()
        for name in ("KF2V_MAX_SPEND", "KF2V_MAX_SPEND_PER_DAY"):
            if NAMES[name] in values:
                values[NAMES[name]] = _amount(name, values[NAMES[name]])
        for name, choices in _CHOICES.items():
            if NAMES[name] in values:
                values[NAMES[name]] = _choice(name, values[NAMES[name]], choices)
        _check_lanes(values.get("lanes", ""))
        return cls(**values, api_key=environment.get(API_KEY_NAME) or None)

    def evolve(self, **changes: Any) -> Settings:
        """The same settings with some fields changed."""
        return replace(self, **changes)

    def to_environment(self) -> dict[str, str]:
        """The same choices as environment variables, for a process that we start. It holds the ledger's password."""
        values = {name: getattr(self, field_name) for name, field_name in NAMES.items()}
        return {name: str(value) for name, value in values.items() if value not in (None, "")}


def _refuse_unknown_names(environment: Mapping[str, str]) -> None:
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in NAMES:
            near = get_close_matches(name, NAMES, n=1, cutoff=0.6)
            fix = f"perhaps {near[0]} is meant" if near else f"the names are {', '.join(NAMES)}"
            raise SettingsError(name, "there is no such setting", fix)


def _choice(name: str, value: object, choices: Mapping[str, object]) -> object:
    written = str(value).strip().lower()
    if written not in choices:
        raise SettingsError(name, f"{value!s} is none of its values", f"write one of {', '.join(choices)}")
    return choices[written]


def _names_in(lanes: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(str.strip, lanes.split(",")))))


def _check_lanes(lanes: str) -> None:
    for name in _names_in(lanes):
        service, _, model = name.rpartition("/")
        if not service or not model:
            fix = "write service/model, such as singapore/wan2.2-kf2v-flash"
            raise SettingsError("KF2V_LANES", "it names something that is no lane", fix)


def _amount(name: str, text: object) -> Decimal:
    try:
        amount = Decimal(str(text).strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise SettingsError(name, f"{text!s} is no amount of money", "write a number such as 12.50")
    return amount
