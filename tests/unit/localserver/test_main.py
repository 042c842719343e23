"""The server as a program: what it says, and how it ends when a person must mend something."""

from __future__ import annotations

from pathlib import Path

import pytest

from kf2v_pipeline.localserver.__main__ import main
from kf2v_pipeline.localserver.lock import FileLock
from kf2v_pipeline.localserver.server import Server


def test_help_tells_what_is_not_imitated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "What it does not imitate:" in capsys.readouterr().out


def test_a_wrong_scenario_is_one_sentence_and_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"sped": 2}')
    assert main(["--dir", str(tmp_path), "--scenario", str(script)]) == 2
    assert capsys.readouterr().err == "A scenario has no 'sped'; did you mean speed?\n"


def test_a_directory_that_is_served_already_is_one_sentence_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "takeover_s", 0.0)
    life = FileLock(tmp_path / "server.lock")
    life.take(timeout_s=0)
    assert main(["--dir", str(tmp_path)]) == 2
    life.release()
    assert "is served by another local server already" in capsys.readouterr().err


def test_an_address_that_can_not_be_used_is_one_sentence_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--dir", str(tmp_path), "--host", "192.0.2.1", "--port", "9"]) == 2
    assert "The address 192.0.2.1:9 can't be used" in capsys.readouterr().err
