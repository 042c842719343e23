"""Opens what settings describe, with the local server at hand where that is the service."""

from pathlib import Path

from kf2v_pipeline.errors import Kf2vError
from kf2v_pipeline.localserver.place import ServerError
from kf2v_pipeline.localserver.process import ensure_server
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.workflow.project import Project


def open_project(settings: Settings) -> Project:
    """The project of these settings, with the local server at hand. Whoever opens it, closes it."""
    return Project(settings, local_address=_local_address)


def _local_address(directory: Path) -> str:
    """Base URL of the project's local server, which is started if it does not run.

    Raises:
        Kf2vError: It can't be started.
    """
    try:
        return ensure_server(directory)
    except ServerError as error:
        raise Kf2vError(str(error)) from None
