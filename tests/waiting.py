"""Waits for what other processes do, where no clock of ours moves it: polls, and says what it waited for in vain."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(what: str, condition: Callable[[], T | None], *, within_s: float = 240.0) -> T:
    """What the condition gives once it is true; the test fails if that takes too long."""
    ends_at = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < ends_at, f"waited {within_s:g} s in vain until {what}"
        time.sleep(0.05)
    return found
