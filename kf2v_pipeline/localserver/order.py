"""What a create asks for, read from its body. The envelope is checked here and now; wrong values only noted.

The live service does it so (four independent reports): a create with wrong values gets a task, which turns FAILED
a moment later. The vendor's page tells the fields, their ranges and that long prompts are cut in silence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .model import MODELS, Model
from .refusal import (
    BAD_BODY,
    DATA_URI_TOO_LARGE,
    FIXED_DURATION,
    MODEL_UNKNOWN,
    NO_INPUT,
    NO_MODEL,
    NOT_JSON,
    WRONG_URL,
    Refusal,
    Refused,
    bad_duration,
    beyond,
    field_required,
    not_a,
    not_one_of,
)

DATA_URI_MOST = 10_485_760
"""Bytes of one ``data:`` URI that the gateway lets through (vendor's error messages)."""

SEED_MOST = 2_147_483_647


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one create asks for.

    Attributes:
        problem: The first wrong value; the other fields then hold defaults where values were wrong.
        first_url: As it was sent: http(s), ``data:`` or ``oss:``. None only with a problem.
        last_url: None where the model reads no last frame.
        film_s: Length of the film in seconds.
        seed: None lets the server draw one.
    """

    model: Model
    problem: Refusal | None
    first_url: str | None
    last_url: str | None
    prompt: str | None
    negative_prompt: str | None
    resolution: str
    film_s: int
    seed: int | None
    prompt_extend: bool
    watermark: bool

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses of its frames."""
        return tuple(url for url in (self.first_url, self.last_url) if url)


def clean_text(text: str) -> str:
    """The text with a mark for each half of a character that JSON may smuggle in and UTF-8 can't write."""
    return text.encode("utf-8", "replace").decode()


def read_envelope(body: bytes, family: str) -> tuple[Model, dict[str, Any]]:
    """The model and the body of a create.

    Raises:
        Refused: The body is no JSON object of a model that is served at this path.
    """
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(BAD_BODY) from None
    if not isinstance(raw, dict):
        raise Refused(BAD_BODY)
    name = raw.get("model")
    if not name:
        raise Refused(NO_MODEL)
    model = MODELS.get(name) if isinstance(name, str) else None
    if model is None:
        raise Refused(MODEL_UNKNOWN)
    if model.family != family:
        raise Refused(WRONG_URL)
    if not raw.get("input"):
        raise Refused(NO_INPUT)
    if not isinstance(raw["input"], dict) or not isinstance(raw.get("parameters") or {}, dict):
        raise Refused(NOT_JSON)
    return model, raw


def read_order(model: Model, raw: Mapping[str, Any]) -> Order:
    """The order in a body whose envelope is right; extra keys are ignored, as the vendor's SDKs need it.

    Raises:
        Refused: A ``data:`` URI is larger than the gateway lets through.
    """
    values = _Values(raw["input"], raw.get("parameters") or {})
    first_url, last_url = _read_media(values) if model.takes_media else _read_urls(values)
    for url in (first_url, last_url):
        if url and url.startswith("data:") and len(url) > DATA_URI_MOST:
            raise Refused(DATA_URI_TOO_LARGE)
    prompt = values.text("prompt")
    negative_prompt = values.text("negative_prompt")
    resolution = values.choice("resolution", model.resolutions, model.default_resolution)
    return Order(
        model=model,
        first_url=first_url,
        last_url=last_url,
        prompt=prompt[: model.prompt_limit] if prompt else None,
        negative_prompt=negative_prompt[: model.negative_prompt_limit] if negative_prompt else None,
        resolution=resolution,
        film_s=_read_duration(values, model),
        seed=values.number("seed", 0, SEED_MOST),
        prompt_extend=values.switch("prompt_extend", default=True),
        watermark=values.switch("watermark", default=False),
        problem=values.problem,
    )


class _Values:
    """Reads values one by one; the first wrong one is noted and the default taken."""

    def __init__(self, given: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        self._input = given
        self._parameters = parameters
        self.problem: Refusal | None = None

    def note(self, problem: Refusal) -> None:
        self.problem = self.problem or problem

    def text(self, name: str) -> str | None:
        value = self._input.get(name)
        if value is not None and not isinstance(value, str):
            self.note(not_a("string"))
            return None
        return clean_text(value) if value else None

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self._parameters.get(name)
        if value is None:
            return default
        if value not in allowed:
            self.note(not_one_of(allowed))
            return default
        return str(value)

    def number(self, name: str, least: int, most: int) -> int | None:
        value = self._parameters.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            self.note(not_a("integer"))
            return None
        if value < least:
            self.note(beyond("greater", least))
        elif value > most:
            self.note(beyond("less", most))
        return value

    def switch(self, name: str, *, default: bool) -> bool:
        value = self._parameters.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.note(not_a("boolean"))
            return default
        return value

    def media(self) -> Any:
        return self._input.get("media")

    def duration(self) -> Any:
        return self._parameters.get("duration")


def _read_urls(values: _Values) -> tuple[str | None, str | None]:
    """The frames of a kf2v model; with an effect (``template``) only the first is read (vendor page, 2.2)."""
    first_url = values.text("first_frame_url")
    if not first_url:
        values.note(field_required("input.first_frame_url"))
    if values.text("template"):
        return first_url, None
    last_url = values.text("last_frame_url")
    if not last_url:
        values.note(field_required("input.last_frame_url"))
    return first_url, last_url


def _read_media(values: _Values) -> tuple[str | None, str | None]:
    """The frames of a wan2.7 model: a list of typed addresses, each type once (vendor page, wan2.7)."""
    media = values.media()
    if not media:
        values.note(field_required("input.media"))
        return None, None
    if not isinstance(media, list):
        values.note(not_a("list"))
        return None, None
    urls: dict[str, str] = {}
    for item in media:
        kind, url = (item.get("type"), item.get("url")) if isinstance(item, dict) else (None, None)
        if kind not in ("first_frame", "last_frame") or kind in urls:
            values.note(not_one_of(("first_frame", "last_frame")))
        elif not isinstance(url, str) or not url:
            values.note(field_required("input.media.url"))
        else:
            urls[kind] = clean_text(url)
    if "first_frame" not in urls:
        values.note(field_required("input.media"))
    return urls.get("first_frame"), urls.get("last_frame")


def _read_duration(values: _Values, model: Model) -> int:
    value = values.duration()
    fixed = model.shortest_s == model.longest_s
    if value is None or (fixed and value == model.longest_s):
        return 5
    if fixed:
        values.note(FIXED_DURATION)
    elif not isinstance(value, int) or isinstance(value, bool):
        values.note(not_a("integer"))
    elif not model.shortest_s <= value <= model.longest_s:
        values.note(bad_duration(model.shortest_s, model.longest_s))
    else:
        return value
    return 5
