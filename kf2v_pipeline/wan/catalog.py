"""The catalog: which service a setting means, and what that service offers. The figures are in ``catalog.toml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.wan.base_url import WORKSPACE_HOST, normalise_base_url
from kf2v_pipeline.wan.catalog_file import overlay, read_content, read_document
from kf2v_pipeline.wan.host import is_loopback
from kf2v_pipeline.wan.service import Model, Quota, Service

__all__ = ["PLACEHOLDER_KEY", "Catalog", "Model", "Quota", "Service", "load_catalog"]

PLACEHOLDER_KEY = "sk-local"
"""The key that is sent to a service that needs none."""

_SETTING = "KF2V_SERVICE"


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """Every service that has a name, and what holds for addresses that have none.

    Attributes:
        as_of: The day up to which the sources of the figures were read.
        workspace_regions: Region of a workspace host to the service whose models and quotas hold there.
    """

    as_of: date
    services: Mapping[str, Service]
    workspace_regions: Mapping[str, str]

    def service(self, setting: str) -> Service:
        """The service that a person means.

        Args:
            setting: A service's name, the host of a workspace (``{WorkspaceId}.{region}.maas.aliyuncs.com``), or a base
                URL such as ``http://127.0.0.1:9000/api/v1``; without a scheme it is https, and http on loopback.

        Returns:
            A named service where the address is that service's own. Else a service whose name is the normalised base
            URL, with the models of the workspace's region or, anywhere else, those of Beijing.

        Raises:
            SettingsError: No service has that name, or the address can't be a base URL.
        """
        wanted = setting.strip()
        named = self.services.get(wanted) or self.services.get(wanted.lower())
        if named is not None:
            return named
        if not re.search(r"[.:/]", wanted) and wanted != "localhost":
            raise self._unknown(wanted)
        base_url = normalise_base_url(wanted, _SETTING)
        for known in self.services.values():
            if known.base_url == base_url:
                return known
        host = urlsplit(base_url).hostname or ""
        workspace = WORKSPACE_HOST.fullmatch(host)
        if workspace and workspace["region"] in self.workspace_regions:
            return self._workspace(base_url, workspace["region"])
        return self.services["beijing"].evolve(
            name=base_url, base_url=base_url, region=None, needs_key=not is_loopback(host)
        )

    def _workspace(self, base_url: str, region: str) -> Service:
        like = self.services[self.workspace_regions[region]]
        models = like.models
        if like.region != region:
            models = {name: replace(model, prices_per_second={}) for name, model in models.items()}
        return like.evolve(name=base_url, base_url=base_url, region=region, models=models)

    def _unknown(self, wanted: str) -> SettingsError:
        near = get_close_matches(wanted.lower(), self.services, n=1, cutoff=0.5)
        hint = f" (nearest: {near[0]})" if near else ""
        names = ", ".join(sorted(self.services))
        return SettingsError(_SETTING, f"no service is called {wanted!r}", f"use {names}, or a base URL{hint}")


def load_catalog(override: Path | None = None) -> Catalog:
    """The catalog that comes with this package.

    Args:
        override: A user's own TOML file, laid over ours key by key; None for ours alone.

    Raises:
        SettingsError: The user's file can't be read, or says something that has no meaning.
    """
    document = read_document(Path(__file__).with_name("catalog.toml"))
    if override is not None:
        document = overlay(document, read_document(override))
    content = read_content(document, str(override or "catalog.toml"))
    return Catalog(as_of=content.as_of, services=content.services, workspace_regions=content.workspace_regions)
