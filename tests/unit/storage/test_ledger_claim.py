"""Drivers, and the clips that they hold; the integration tests say it of PostgreSQL, too."""

from __future__ import annotations

import pytest
from unit.storage.made_attempts import NOON, SECOND, STALE, make_clip

from kf2v_pipeline.errors import LedgerError
from kf2v_pipeline.storage.ledger import Claim, Driver, Ledger


def test_drivers_live_as_long_as_their_heartbeat_is_fresh(ledger: Ledger) -> None:
    third = Driver(owner="three", host="elsewhere", pid=7, run_id="run-1")
    ledger.enlist(third, at=NOON + STALE)
    ledger.heartbeat("two", at=NOON + SECOND)
    living = ledger.drivers(at=NOON + STALE + SECOND, stale_after=STALE)
    assert living == (Driver(owner="two", host="host", pid=1), third)


def test_a_driver_that_enlists_again_keeps_its_claims(ledger: Ledger) -> None:
    ledger.claim("one", ["cat"], at=NOON, stale_after=STALE)
    ledger.enlist(Driver(owner="one", host="host", pid=2), at=NOON + 2 * STALE)
    assert ledger.claim("two", ["cat"], at=NOON + 2 * STALE, stale_after=STALE).held == {"cat": "one"}
    assert ledger.drivers(at=NOON + 2 * STALE, stale_after=STALE) == (Driver(owner="one", host="host", pid=2),)


@pytest.mark.parametrize("dismissed", [True, False])
def test_a_driver_that_is_not_enlisted_has_no_heartbeat_and_claims_nothing(ledger: Ledger, dismissed: bool) -> None:
    owner = "one" if dismissed else "stranger"
    ledger.dismiss(owner, at=NOON)
    with pytest.raises(LedgerError, match=f"{owner} is enlisted"):
        ledger.heartbeat(owner, at=NOON)
    with pytest.raises(LedgerError, match=f"{owner} is enlisted"):
        ledger.claim(owner, ["cat"], at=NOON, stale_after=STALE)


def test_a_clip_is_held_by_whoever_claims_it_first(ledger: Ledger) -> None:
    assert ledger.claim("one", ["a", "b"], at=NOON, stale_after=STALE) == Claim(mine=frozenset("ab"))
    assert ledger.claim("two", ["b", "c"], at=NOON, stale_after=STALE) == Claim(mine=frozenset("c"), held={"b": "one"})
    assert ledger.claim("one", ["b", "c"], at=NOON, stale_after=STALE) == Claim(mine=frozenset("b"), held={"c": "two"})


def test_the_clips_of_a_driver_without_a_fresh_heartbeat_are_taken_over(ledger: Ledger) -> None:
    ledger.claim("one", ["a"], at=NOON, stale_after=STALE)
    assert ledger.claim("two", ["a"], at=NOON + STALE, stale_after=STALE).held == {"a": "one"}
    assert ledger.claim("two", ["a"], at=NOON + STALE + SECOND, stale_after=STALE).mine == {"a"}
    ledger.heartbeat("one", at=NOON + STALE + SECOND)
    ledger.heartbeat("two", at=NOON + STALE + SECOND)
    assert ledger.claim("one", ["a"], at=NOON + STALE + SECOND, stale_after=STALE).held == {"a": "two"}


def test_a_driver_that_goes_leaves_its_clips_free(ledger: Ledger) -> None:
    ledger.claim("one", ["a"], at=NOON, stale_after=STALE)
    ledger.dismiss("one", at=NOON)
    assert ledger.claim("two", ["a"], at=NOON, stale_after=STALE).mine == {"a"}


def test_a_driver_that_was_dismissed_holds_nothing_even_when_it_comes_back(ledger: Ledger) -> None:
    ledger.claim("one", ["cat"], at=NOON, stale_after=STALE)
    ledger.dismiss("one", at=NOON)
    ledger.enlist(Driver(owner="one", host="host", pid=1), at=NOON)
    with pytest.raises(LedgerError, match="cat is not held by one"):
        ledger.prepare(make_clip(), owner="one", at=NOON)


def test_clips_are_shown_with_the_living_driver_that_holds_them(ledger: Ledger) -> None:
    ledger.claim("one", ["a", "b"], at=NOON, stale_after=STALE)
    ledger.claim("two", ["c"], at=NOON, stale_after=STALE)
    ledger.heartbeat("two", at=NOON + STALE)
    assert ledger.holders(at=NOON, stale_after=STALE) == {"a": "one", "b": "one", "c": "two"}
    assert ledger.holders(at=NOON + STALE + SECOND, stale_after=STALE) == {"c": "two"}


def test_a_driver_that_gives_up_all_of_its_clips_stays_known(ledger: Ledger) -> None:
    ledger.claim("one", ["a", "b"], at=NOON, stale_after=STALE)
    ledger.claim("two", ["c"], at=NOON, stale_after=STALE)
    ledger.release("one")
    assert ledger.holders(at=NOON, stale_after=STALE) == {"c": "two"}
    assert {driver.owner for driver in ledger.drivers(at=NOON, stale_after=STALE)} == {"one", "two"}


def test_only_the_holder_can_release_a_clip(ledger: Ledger) -> None:
    ledger.claim("one", ["a", "b"], at=NOON, stale_after=STALE)
    ledger.release("two", ["a"])
    ledger.release("one", ["b"])
    assert ledger.claim("two", ["a", "b"], at=NOON, stale_after=STALE) == Claim(mine=frozenset("b"), held={"a": "one"})
