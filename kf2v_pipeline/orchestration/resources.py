"""Service, storage and ledger as Dagster resources, for the assets that a person writes beside ours.

What may hold a secret is marked as one, so that the UI masks it. A key belongs in an environment variable all the same,
since Dagster keeps configuration: ``ServiceResource(service="singapore", api_key=dg.EnvVar("DASHSCOPE_API_KEY"))``.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from kf2v_pipeline.domain.address import has_secret
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.opening import open_project
from kf2v_pipeline.settings import API_KEY_NAME, Settings
from kf2v_pipeline.storage.ledger import Ledger
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.wan.client import WanClient

_SECRET: dict[str, Any] = {"dagster__is_secret": True}


class ServiceResource(dg.ConfigurableResource["ServiceResource"]):
    """Wan's service, or the local server that speaks its protocol."""

    service: str = Field(default="local", description="local, singapore, beijing, or a base URL.")
    api_key: str | None = Field(
        default=None, description="The API key; the local service needs none.", json_schema_extra=_SECRET
    )
    workspace: str | None = Field(default=None, description="Sub-workspace of the account; none for the key's own.")
    catalog: str | None = Field(default=None, description="A TOML file over the catalog of services and prices.")
    home: str = Field(default=".kf2v", description="Folder of the local server's state.")

    def connect(self) -> WanClient:
        """A client, to be entered and left by who asks for it: ``async with service.connect() as client``.

        Raises:
            SettingsError: There is no such service, or it needs a key and there is none.
        """
        settings = Settings(
            service=self.service,
            api_key=self.api_key,
            workspace=self.workspace,
            catalog=Path(self.catalog) if self.catalog else None,
            home=Path(self.home).expanduser().absolute(),
        )
        with open_project(settings) as project:
            return project.connect(self.service)


class StorageResource(dg.ConfigurableResource["StorageResource"]):
    """Where videos and tables lie."""

    url: str = Field(default="output", description="A path or any fsspec URL.", json_schema_extra=_SECRET)

    def open(self) -> Store:
        """The store: paths below it are those of the videos table.

        Raises:
            StorageError: The URL's protocol is unknown, or its package is not installed.
        """
        return Store.open(self.url)


class LedgerResource(dg.ConfigurableResource["LedgerResource"]):
    """What is wanted, what was paid, what is in flight."""

    url: str = Field(description="SQLAlchemy URL of the ledger.", json_schema_extra=_SECRET)

    def open(self) -> AbstractContextManager[Ledger]:
        """The ledger, to be entered and left by who asks for it.

        Raises:
            LedgerError: It can't be opened.
        """
        return Ledger.open(self.url)


def build_resources(settings: Settings, names: Names) -> dict[str, Any]:
    """The resources of a batch: ``kf2v_service``, ``kf2v_storage`` and ``kf2v_ledger``, under its prefix.

    What holds a secret comes out of the variable that it was set by, when a run needs it.
    """
    return {
        names.of("kf2v_service"): ServiceResource(
            service=settings.service,
            api_key=dg.EnvVar(API_KEY_NAME) if settings.api_key else None,
            workspace=settings.workspace,
            catalog=str(settings.catalog) if settings.catalog else None,
            home=str(settings.home),
        ),
        names.of("kf2v_storage"): StorageResource(url=_sealed("KF2V_STORAGE", settings.storage)),
        names.of("kf2v_ledger"): LedgerResource(url=_sealed("KF2V_LEDGER", settings.ledger_url)),
    }


def _sealed(name: str, address: str) -> str:
    return dg.EnvVar(name) if has_secret(address) else address
