"""Manifests that a test writes down and reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.errors import ManifestError
from kf2v_pipeline.storage.manifest import Manifest, read_manifest

HEADER = "clip_id,first_frame,last_frame"


def read(folder: Path, content: str | bytes, name: str = "m.csv") -> Manifest:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_manifest(str(path))


def refusal(folder: Path, content: str | bytes, name: str = "m.csv") -> str:
    with pytest.raises(ManifestError) as refused:
        read(folder, content, name)
    assert "\n" not in str(refused.value)
    assert str(folder) in str(refused.value)
    return str(refused.value)


def sole_problem(manifest: Manifest) -> Problem:
    (problem,) = manifest.problems
    return problem
