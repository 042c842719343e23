"""A clip: one wanted video, with all that changes its bill or its picture. Reading frames does not belong here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

CLIP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What a clip may be called: it names a partition, a folder and a table row."""

_FINGERPRINT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One still picture of a clip, as it was inspected.

    Attributes:
        location: Where it is read: an absolute local path, an fsspec URL, or an http(s) URL.
        sha256: Digest of the file's bytes, 64 hex digits.
        format: What the bytes are: ``JPEG``, ``PNG``, ``BMP`` or ``WEBP``.
    """

    location: str
    sha256: str
    width: int
    height: int
    size_bytes: int
    format: str


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One wanted video, ready to be asked for: every option has its final value.

    Attributes:
        clip_id: The author's name for it, unique in its manifest; the Dagster partition key.
        row: Its row in the manifest, counted from 1 without the header.
        service: Name of the service (``local``, ``singapore``, ``beijing``) or its base URL.
        model: As that service spells it.
        last_frame: None only where ``template`` is set, since the service reads no last frame then.
        seed: None lets the service draw one.
        carried: The manifest's other columns, by name, as JSON values.
    """

    clip_id: str
    row: int
    service: str
    model: str
    resolution: str
    first_frame: Frame
    last_frame: Frame | None
    prompt: str | None = None
    negative_prompt: str | None = None
    seed: int | None = None
    prompt_extend: bool = True
    watermark: bool = False
    template: str | None = None
    carried: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lane(self) -> str:
        """Name of the quota that this clip uses, such as ``singapore/wan2.2-kf2v-flash``."""
        return f"{self.service}/{self.model}"

    @property
    def fingerprint(self) -> str:
        """Digest of everything that changes the bill or the picture, 64 hex digits.

        Where the frames lie, the clip's name, its row and the carried columns do not count.
        """
        parts = {
            "version": _FINGERPRINT_VERSION,
            "service": self.service,
            "model": self.model,
            "resolution": self.resolution,
            "first_frame": self.first_frame.sha256,
            "last_frame": self.last_frame.sha256 if self.last_frame else None,
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "seed": self.seed,
            "prompt_extend": self.prompt_extend,
            "watermark": self.watermark,
            "template": self.template,
        }
        text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def evolve(self, **changes: Any) -> Clip:
        """The same clip with some fields changed."""
        return replace(self, **changes)

    def to_record(self) -> dict[str, Any]:
        """The clip as a JSON object, which ``from_record`` reads back."""
        record = asdict(self)
        record["carried"] = dict(self.carried)
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Clip:
        """The clip that ``to_record`` wrote."""
        fields = dict(record)
        last = fields["last_frame"]
        fields["first_frame"] = Frame(**fields["first_frame"])
        fields["last_frame"] = Frame(**last) if last else None
        return cls(**fields)


def digest_of(clips: Iterable[Clip]) -> str:
    """Digest of a whole list of wanted clips, 64 hex digits; it changes with any name, fingerprint or the order."""
    lines = "\n".join(f"{clip.clip_id} {clip.fingerprint}" for clip in clips)
    return hashlib.sha256(lines.encode()).hexdigest()
