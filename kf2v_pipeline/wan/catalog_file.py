"""Reads catalog documents, ours and the user's, into services. Finding a service by name belongs to ``catalog``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import Any, TypeVar

from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.wan.base_url import normalise_base_url
from kf2v_pipeline.wan.service import PROTOCOLS, Model, Quota, Service

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")

_TEMPLATE = "beijing"
"""The service that a service of the user's own begins as a copy of."""

_KINDS: Mapping[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
    date: "a date",
}


@dataclass(frozen=True, kw_only=True)
class CatalogContent:
    """What a catalog document says, read and checked.

    Attributes:
        as_of: The day up to which the document's sources were read.
        workspace_regions: Region of a workspace host to the service whose models and quotas hold there.
    """

    as_of: date
    services: Mapping[str, Service]
    workspace_regions: Mapping[str, str]


def read_document(path: Path) -> dict[str, Any]:
    """The TOML document at that path.

    Raises:
        SettingsError: The file can't be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"Catalog {path}", f"it can't be read ({error.strerror})", "name a readable file") from None
    except ValueError as error:  # not UTF-8, or not TOML
        raise SettingsError(f"Catalog {path}", f"it is not TOML ({error})", "mend the file") from None


def overlay(base: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The base document with the other one laid over it, key by key; neither is changed.

    A service that only the upper document has begins as a copy of ``beijing`` without its address.
    """
    laid = _merge(base, above)
    theirs = above.get("services")
    for name, entry in theirs.items() if isinstance(theirs, dict) else ():
        if name not in base["services"] and isinstance(entry, dict):
            copied = {k: v for k, v in base["services"][_TEMPLATE].items() if k not in ("base_url", "region")}
            laid["services"][name] = _merge(copied, entry)
    return laid


def read_content(document: Mapping[str, Any], origin: str) -> CatalogContent:
    """The document's services.

    Args:
        document: As ``read_document`` or ``overlay`` returned it.
        origin: How an error names the document, such as its path.

    Raises:
        SettingsError: A key is unknown or missing, or a value has no meaning.
    """
    top = _Table(document, f"Catalog {origin}")
    models = top.tables("models")
    same_model = [tuple(group) for group in top.items("same_model", list)]
    misnamed = top.take("misnamed", dict, {})
    content = CatalogContent(
        as_of=top.take("as_of", date),
        workspace_regions=top.take("workspace_regions", dict, {}),
        services={
            name: _read_service(name, table, models, same_model, misnamed)
            for name, table in top.tables("services").items()
        },
    )
    top.refuse_unread()
    return content


class _Table:
    """One table of a document: gives keys in the type that is asked for, and refuses those that nobody asked for."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self.where = where
        self._read: set[str] = set()

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        """The key's value; without a default it must be there."""
        self._read.add(key)
        value = self._values.get(key, default)
        if value is None:
            raise self.wrong(f"{key} is missing", "add it")
        return self._checked(key, value, kind)

    def items(self, key: str, kind: type[T]) -> tuple[T, ...]:
        """The elements of the key's list."""
        return tuple(self._checked(key, value, kind) for value in self.take(key, list))

    def tables(self, key: str) -> dict[str, _Table]:
        """The tables below the key, by name."""
        below = self.take(key, dict)
        return {n: _Table(self._checked(n, v, dict), f"{self.where}, {key}.{n}") for n, v in below.items()}

    def choice(self, key: str, allowed: tuple[str, ...]) -> Any:
        """The key's value, which must be one of those allowed."""
        value = self.take(key, str)
        if value not in allowed:
            raise self.wrong(f"{key} is {value}", f"write one of {', '.join(allowed)}")
        return value

    def refuse_unread(self) -> None:
        """Refuses a key that was never taken: a misspelled price must not pass in silence."""
        for key in self._values.keys() - self._read:
            near = get_close_matches(key, self._read, n=1)
            raise self.wrong(f"{key} is unknown", f"write {near[0]}" if near else "remove it")

    def wrong(self, what: str, fix: str) -> SettingsError:
        """The error that says where in the document something is wrong."""
        return SettingsError(self.where, what, fix)

    def _checked(self, key: str, value: Any, kind: type[T]) -> T:
        number = kind is float and type(value) is int
        if type(value) is not kind and not number:
            raise self.wrong(f"{key} is {value!r}", f"write {_KINDS[kind]}")
        if kind in (int, float) and not value > 0:
            raise self.wrong(f"{key} is {value!r}", "write a number above 0")
        return value  # type: ignore[no-any-return]  # its type was checked by hand


def _read_service(
    name: str,
    table: _Table,
    models: Mapping[str, _Table],
    same_model: list[tuple[str, ...]],
    misnamed: Mapping[str, str],
) -> Service:
    currency = table.take("currency", str)
    free = table.take("free", bool, False)
    offered = {}
    for model_name, terms in table.tables("models").items():
        if model_name not in models:
            raise terms.wrong("no such model is described", f'add a table [models."{model_name}"]')
        offered[model_name] = _read_model(model_name, models[model_name], terms, currency, free=free)
    service = Service(
        name=name,
        base_url=_read_base_url(name, table),
        region=table.take("region", str, "") or None,
        models=offered,
        default_model=table.choice("default_model", tuple(offered)),
        queries_per_second=table.take("queries_per_second", float),
        needs_key=table.take("needs_key", bool, True),
        spellings={other: ours for group in same_model for ours in group if ours in offered for other in group},
        misnamed=misnamed,
    )
    table.refuse_unread()
    return service


def _read_base_url(name: str, table: _Table) -> str | None:
    written = table.take("base_url", str, name if "://" in name else "")
    if written:
        return normalise_base_url(written, f"{table.where}, base_url")
    if table.take("needs_key", bool, True):
        raise table.wrong("base_url is missing", "add it")
    return None


def _read_model(name: str, table: _Table, terms: _Table, currency: str, *, free: bool) -> Model:
    resolutions = table.items("resolutions", str)
    prices = dict.fromkeys(resolutions, "0") if free else terms.take("prices_per_second", dict)
    model = Model(
        name=name,
        protocol=table.choice("protocol", PROTOCOLS),
        resolutions=resolutions,
        default_resolution=table.choice("default_resolution", resolutions),
        durations_s=table.items("durations_s", int),
        default_duration_s=table.take("default_duration_s", int),
        prompt_max_chars=table.take("prompt_max_chars", int),
        negative_prompt_max_chars=table.take("negative_prompt_max_chars", int),
        min_side=table.take("min_side", int),
        max_side=table.take("max_side", int),
        max_ratio=table.take("max_ratio", float, inf),
        max_bytes=table.take("max_bytes", int),
        quota=Quota(
            creates_per_second=terms.take("creates_per_second", float),
            tasks_in_process=terms.take("tasks_in_process", int),
        ),
        prices_per_second={
            resolution: Money(amount=_amount(terms, resolution, price), currency=currency)
            for resolution, price in prices.items()
        },
        source=f"{table.take('source', str)}; {terms.take('source', str)}",
    )
    table.refuse_unread()
    terms.refuse_unread()
    return model


def _amount(terms: _Table, resolution: str, price: Any) -> Decimal:
    try:
        amount = Decimal(str(price))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise terms.wrong(f"the price of {resolution} is {price!r}", 'write an amount such as "0.10"')
    return amount


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    laid = dict(below)
    for key, value in above.items():
        old = laid.get(key)
        laid[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return laid
