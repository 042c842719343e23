"""A service that comes and goes, and whose address stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scenarios import QUICK

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Scenario


class Service:
    """A local server at one address, there only where it is entered: ``with service.over(pending_s=1): ...``."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self.base_url = f"http://127.0.0.1:{port}/api/v1"

    def over(self, **scenario: Any) -> LocalServer:
        return LocalServer(self._folder, port=self._port, scenario=Scenario(**{**QUICK, **scenario}))


def no_local_server(_directory: Path) -> str:
    """What a project is given that must not start one by itself."""
    raise AssertionError("these tests start their servers themselves")
