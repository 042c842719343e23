"""A clip: one wanted video, with all that changes its bill or its picture. Reading frames does not belong here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from kf2v_pipeline.domain.address import has_secret, redact

CLIP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What a clip may be called: it names a partition, a folder and a table row."""

AUTO = "auto"
"""The word for the service of a clip that any of several lanes may make."""

_FINGERPRINT_VERSION = 1

_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"))

_FIX_VERSION = 1
"""Counted on where the same file would be fixed into another picture: fixed frames are then paid for once more."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One still picture of a clip, as it was inspected.

    Size and format are those of the picture that is sent. Where only the service can read the file, they are 0 and
    empty, and the digest is that of its location.

    Attributes:
        location: Where it is read: an absolute local path, an fsspec URL, or an http(s) URL.
        sha256: Digest of the file's bytes, 64 hex digits.
        format: What the bytes are: ``JPEG``, ``PNG``, ``BMP`` or ``WEBP``.
        fix: How the file is made into a picture that the service takes, in words; None where it goes as it is.
        sealed: Whether ``location`` is only what may be shown of the address; the manifest has the whole of it.
    """

    location: str
    sha256: str
    width: int
    height: int
    size_bytes: int
    format: str
    fix: str | None = None
    sealed: bool = False

    @property
    def digest(self) -> str:
        """What changes with the picture that is sent: the file's digest, and whether it is fixed.

        The bytes of a fixed picture would not do: they change with the version of the encoder.
        """
        return self.sha256 if self.fix is None else f"{self.sha256} fixed {_FIX_VERSION}"

    @property
    def is_seen(self) -> bool:
        """Whether the picture could be looked at here."""
        return self.size_bytes > 0

    def seal(self) -> Frame:
        """The frame as it may be kept: without what its address hides from people."""
        if not has_secret(self.location):
            return self
        return replace(self, location=redact(self.location), sealed=True)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One wanted video, ready to be asked for: every option has its final value.

    Attributes:
        clip_id: The author's name for it, unique in its manifest; the Dagster partition key.
        row: Its row in the manifest, counted from 1 without the header.
        service: Name of the service (``local``, ``singapore``, ``beijing``) or its base URL; ``auto`` until one of
            ``lanes`` has taken the clip.
        model: As that service spells it; ``auto`` likewise.
        last_frame: None only where ``template`` is set, since the service reads no last frame then.
        seed: None lets the service draw one.
        duration_s: Length of the video; the kf2v models know only 5 (vendor page, "Video duration").
        aspect: The shape that a cut of the video is wanted in, such as ``9:16`` (``domain.aspect``); it changes neither
            the bill nor the video itself, so it is no part of the fingerprint.
        fit: How it is brought there; None without an aspect.
        carried: The manifest's other columns, by name, as JSON values.
        lanes: The lanes that may make it, where its author leaves that open; empty where service and model are given.
            They change neither the fingerprint nor what was paid.
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
    duration_s: int = 5
    aspect: str | None = None
    fit: str | None = None
    carried: Mapping[str, Any] = field(default_factory=dict)
    lanes: tuple[str, ...] = ()

    @property
    def lane(self) -> str:
        """Name of the quota that this clip uses, such as ``singapore/wan2.2-kf2v-flash``."""
        return f"{self.service}/{self.model}"

    @property
    def possible_lanes(self) -> tuple[str, ...]:
        """The lanes that may make it: one, unless its author leaves that open."""
        return self.lanes or (self.lane,)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of everything that changes the bill or the picture, 64 hex digits.

        Where the frames lie, the clip's name, its row, its cut and the carried columns do not count; nor does the lane
        that takes a clip that any may take.
        """
        parts = {
            "version": _FINGERPRINT_VERSION,
            "service": AUTO if self.lanes else self.service,
            "model": AUTO if self.lanes else self.model,
            "resolution": self.resolution,
            "first_frame": self.first_frame.digest,
            "last_frame": self.last_frame.digest if self.last_frame else None,
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "seed": self.seed,
            "prompt_extend": self.prompt_extend,
            "watermark": self.watermark,
            "template": self.template,
            **({"duration_s": self.duration_s} if self.duration_s != Clip.duration_s else {}),
        }
        return hashlib.sha256(_CANONICAL.encode(parts).encode()).hexdigest()

    def evolve(self, **changes: Any) -> Clip:
        """The same clip with some fields changed."""
        return replace(self, **changes)

    def in_lane(self, lane: str) -> Clip:
        """The same clip as a lane makes it; a clip whose author chose service and model stays as it is."""
        if not self.lanes:
            return self
        service, _, model = lane.rpartition("/")
        clip = self.evolve(service=service, model=model)
        vars(clip)["fingerprint"] = self.fingerprint  # the very same, also one that was kept by an earlier release
        return clip

    def to_record(self) -> dict[str, Any]:
        """The clip as a JSON object, which ``from_record`` reads back."""
        record = dict(vars(self))  # in the order of its fields; ``asdict`` copies deeply, ten times slower
        record.pop("fingerprint", None)
        record["first_frame"] = dict(vars(self.first_frame))
        record["last_frame"] = dict(vars(self.last_frame)) if self.last_frame else None
        record["carried"] = dict(self.carried)
        if not self.lanes:
            del record["lanes"]
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any], *, fingerprint: str | None = None) -> Clip:
        """The clip that ``to_record`` wrote.

        Args:
            fingerprint: The clip's own, where it was kept beside the record, so that it need not be found again.
        """
        values = dict(record)
        last = values["last_frame"]
        values["first_frame"] = Frame(**values["first_frame"])
        values["last_frame"] = Frame(**last) if last else None
        values["lanes"] = tuple(values.get("lanes", ()))
        clip = cls(**values)
        if fingerprint is not None:
            vars(clip)["fingerprint"] = fingerprint  # where ``cached_property`` keeps what it found
        return clip


def digest_of(clips: Iterable[Clip]) -> str:
    """Digest of a whole list of wanted clips, 64 hex digits; it changes with any name, fingerprint or the order."""
    lines = "\n".join(f"{clip.clip_id} {clip.fingerprint}" for clip in clips)
    return hashlib.sha256(lines.encode()).hexdigest()
