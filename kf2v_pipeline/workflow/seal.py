"""Addresses of sealed frames: the ledger has only what may be shown of them, since they hold secrets."""

from __future__ import annotations

from kf2v_pipeline.domain.address import redact
from kf2v_pipeline.domain.clip import Frame
from kf2v_pipeline.errors import FrameError, ManifestError, StorageError
from kf2v_pipeline.storage.manifest import Manifest, Row, read_manifest
from kf2v_pipeline.storage.source import locate, token


class SealedAddresses:
    """Finds them in a manifest, which is read anew whenever it may have changed.

    Args:
        manifest: Its address, which may hold secrets itself.
    """

    def __init__(self, manifest: str) -> None:
        self._url = manifest
        self._manifest: Manifest | None = None
        self._token: str | None = None
        self._rows: dict[str, Row] = {}

    def address(self, clip_id: str, column: str, frame: Frame) -> str:
        """The whole address of a clip's sealed frame.

        Args:
            column: ``first_frame`` or ``last_frame``.

        Raises:
            FrameError: The manifest can't be read, or does not name that frame; either may pass, since people edit it.
        """
        try:
            manifest = self._read()
            reference = getattr(self._rows[clip_id], column)
            location = locate(reference or "", manifest.base)
        except (ManifestError, StorageError) as error:
            what = f"only the manifest has its whole address, and can't be used ({error.what})"
            raise FrameError(frame.location, what, error.fix, is_away=True) from None
        except KeyError:
            location = ""
        if redact(location) != frame.location:
            what = "only the manifest has its whole address, and does not name it any more for this clip"
            raise FrameError(frame.location, what, "run again", is_away=True)
        return location

    def _read(self) -> Manifest:
        manifest = self._manifest
        if manifest is None or self._token is None or token(manifest.base) != self._token:
            manifest = read_manifest(self._url)
            self._token = token(manifest.base)
            self._rows = {row.clip_id: row for row in manifest.rows}
            self._manifest = manifest
        return manifest
