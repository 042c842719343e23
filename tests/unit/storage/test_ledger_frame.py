"""Frames that were looked at before; the integration tests say it of PostgreSQL, too."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.storage.made_attempts import MANY, make_frame

from kf2v_pipeline.storage.ledger import Ledger


def test_a_frame_is_known_while_its_token_is_the_same(ledger: Ledger) -> None:
    a, b = make_frame("a"), make_frame("b")
    ledger.remember_frames({"/a.png": ("t1", a), "/b.png": ("t1", b)})
    assert ledger.known_frames({"/a.png": "t1", "/b.png": "t2", "/c.png": "t1"}) == {"/a.png": a}


def test_a_frame_that_changed_is_remembered_anew(ledger: Ledger) -> None:
    ledger.remember_frames({"/a.png": ("t1", make_frame("a"))})
    ledger.remember_frames({"/a.png": ("t2", make_frame("z"))})
    assert ledger.known_frames({"/a.png": "t1"}) == {}
    assert ledger.known_frames({"/a.png": "t2"}) == {"/a.png": make_frame("z")}


def test_few_frames_are_known_among_many(ledger: Ledger) -> None:
    ledger.remember_frames({f"/{n}.png": ("t", make_frame(str(n))) for n in range(MANY)})
    assert ledger.known_frames({"/7.png": "t", "/none.png": "t"}) == {"/7.png": make_frame("7")}


def test_how_a_frame_is_fixed_is_remembered(ledger: Ledger) -> None:
    fixed = replace(make_frame("a"), fix="flattened on white")
    ledger.remember_frames({"/a.png": ("t1", fixed)})
    assert ledger.known_frames({"/a.png": "t1"}) == {"/a.png": fixed}


def test_a_frame_whose_address_holds_a_secret_is_never_remembered(ledger: Ledger) -> None:
    signed = replace(make_frame("a"), location="https://host/a.png?Signature=s3cret")
    with pytest.raises(ValueError, match="can't be remembered"):
        ledger.remember_frames({signed.location: ("t1", signed)})
    assert ledger.known_frames({signed.location: "t1"}) == {}


def test_any_number_of_frames_and_any_length_of_address_is_remembered(ledger: Ledger) -> None:
    frames = {f"https://host/{'x' * 4000}/{n}": ("t", make_frame("a")) for n in range(MANY)}
    ledger.remember_frames(frames)
    assert ledger.known_frames(dict.fromkeys(frames, "t")) == {
        location: frame for location, (_, frame) in frames.items()
    }
