"""Videos from a table of frame pairs and prompts, with Wan, on Dagster.

The public names are imported when they are first asked for: ``kf2v --help`` needs none of what they need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kf2v_pipeline.errors import Kf2vError
    from kf2v_pipeline.orchestration.component import FrameClipBatch
    from kf2v_pipeline.orchestration.definitions import build_definitions
    from kf2v_pipeline.orchestration.resources import LedgerResource, ServiceResource, StorageResource
    from kf2v_pipeline.settings import Settings

__all__ = [
    "FrameClipBatch",
    "Kf2vError",
    "LedgerResource",
    "ServiceResource",
    "Settings",
    "StorageResource",
    "build_definitions",
]

_HOMES = {
    "FrameClipBatch": "orchestration.component",
    "Kf2vError": "errors",
    "LedgerResource": "orchestration.resources",
    "ServiceResource": "orchestration.resources",
    "Settings": "settings",
    "StorageResource": "orchestration.resources",
    "build_definitions": "orchestration.definitions",
}
"""The module of each public name."""


def __getattr__(name: str) -> Any:
    """A public name, the first time that it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    """The public names; Dagster's ``dg`` looks here for components."""
    return sorted({*globals(), *__all__})
