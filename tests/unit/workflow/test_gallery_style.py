"""The page's colours: what is read stands out enough from what it stands on, in the dark too (WCAG 2.2, AA)."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

STYLE = (files("kf2v_pipeline.workflow") / "page" / "style.css").read_text(encoding="utf-8")

READ = ("ink", "soft", "good", "bad", "busy", "idle")
DARK, DARK_BY_SYSTEM = ':root[data-theme="dark"] {', ':root:not([data-theme="light"]) {'


def colours(selector: str) -> dict[str, str]:
    block = STYLE[STYLE.index(selector) :]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block[: block.index("}")]))


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("selector", [":root {", DARK])
@pytest.mark.parametrize("ground", ["paper", "mat", "hover"])
def test_every_colour_of_text_can_be_read_on_every_ground(selector: str, ground: str) -> None:
    found = colours(selector)
    pale = {name: contrast(found[name], found[ground]) for name in READ if contrast(found[name], found[ground]) < 4.5}
    assert pale == {}


@pytest.mark.parametrize("selector", [":root {", DARK])
def test_the_edges_of_what_can_be_used_can_be_seen(selector: str) -> None:
    found = colours(selector)
    assert contrast(found["edge-ink"], found["paper"]) >= 3


def test_it_is_as_dark_by_the_button_as_by_the_system() -> None:
    assert colours(DARK) == colours(DARK_BY_SYSTEM)
