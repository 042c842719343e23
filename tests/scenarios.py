"""What the service does in tests that are not about it."""

from __future__ import annotations

from typing import Any

QUICK: dict[str, Any] = {"stand_in": True, "stand_in_px": 64, "submit_rps": 1000}
"""No waits, and films so small that making, looking at and measuring one takes a tenth of what the vendor's size takes
(0.1 s of processor): a test that is about a film's size asks for ``stand_in_px=0``."""
