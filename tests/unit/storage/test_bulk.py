"""What becomes of Python's hunt for cycles around bulk work."""

from __future__ import annotations

import gc

import pytest

from kf2v_pipeline.storage.bulk import in_bulk


def test_cycles_are_looked_for_again_after_the_work_also_where_it_failed() -> None:
    with pytest.raises(ZeroDivisionError), in_bulk():
        1 / gc.isenabled()
    assert gc.isenabled()


def test_bulk_work_within_bulk_work_leaves_it_to_the_outer_one() -> None:
    with in_bulk():
        with in_bulk():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_who_turned_it_off_before_finds_it_off_after() -> None:
    gc.disable()
    try:
        with in_bulk():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
