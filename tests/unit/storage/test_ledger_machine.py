"""Anything that drivers can do to a ledger, in any order, against a model that is small enough to be read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import reduce
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kf2v_pipeline.domain.attempt import IN_PROCESS_STATES, MOVES, Attempt, Fact, FactKind, State, fold
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.domain.price import Money, total_by_currency
from kf2v_pipeline.errors import BudgetReached, IllegalMove, LedgerError, NoPlace
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.ledger import Driver, Ledger, Places

START = datetime(2025, 6, 1, 23, 58, tzinfo=timezone.utc)  # two minutes before another day begins
STALE = timedelta(seconds=60)
SPACING = timedelta(seconds=0.5)
UNSEEN_LIFE = timedelta(minutes=10)

FRAME = Frame(location="/a.png", sha256="a" * 64, width=640, height=360, size_bytes=5, format="PNG")
CLIPS = [
    Clip(
        clip_id=clip_id,
        row=1,
        service="local",
        model="kf2v",
        resolution="480P",
        first_frame=FRAME,
        last_frame=FRAME,
        prompt=prompt,
    )
    for clip_id in ("a", "b")
    for prompt in ("Take 1", "Take 2")
]
LANE = CLIPS[0].lane

owners = st.sampled_from(["one", "two"])
clips = st.sampled_from(CLIPS)
names = st.sets(st.sampled_from(["a", "b"]))
amounts = st.sampled_from([Decimal("0.1"), Decimal("0.25"), Decimal(1)])
recollections = st.sampled_from(["nothing", "its present", "its past"])
"""What whoever records a fact knows of its attempt."""
prices = st.none() | st.builds(Money, amount=amounts, currency=st.sampled_from(["CNY", "USD"]))
quotas = st.none() | st.integers(0, 3)
budgets = st.none() | st.sampled_from([Decimal("0.35"), Decimal(2)])


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where no ledger is yet: its stories begin with making one."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def committed(attempts: Iterable[Attempt]) -> dict[str, Decimal]:
    """What attempts take from a budget, told once more in other words than the ledger's."""
    free = (State.REFUSED, State.FAILED, State.CANCELED)
    amounts = []
    for attempt in attempts:
        amount = attempt.cost if attempt.cost is not None else None if attempt.state in free else attempt.reserved
        if amount is not None and attempt.currency is not None:
            amounts.append(Money(amount=amount, currency=attempt.currency))
    return total_by_currency(amounts)


def is_alive(attempt: Attempt) -> bool:
    return attempt.is_open or attempt.state is State.STORED


class LedgerMachine(RuleBasedStateMachine):
    """Two drivers, two clips with two prompts each, one lane, and a clock that only goes on."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.ledger = Ledger.open(url)
        with self.ledger._write() as connection:
            for table in reversed(schema.metadata.sorted_tables):
                connection.execute(sa.delete(table))
        self.now = START
        self.beats: dict[str, datetime] = {}
        self.claims: dict[str, str] = {}
        self.prepared: dict[str, Attempt] = {}
        self.attempts: dict[str, Attempt] = {}

    @initialize()
    def share_the_clips(self) -> None:
        for owner, name in (("one", "a"), ("two", "b")):
            self.enlist(owner)
            self.claim(owner, {name})

    def teardown(self) -> None:
        for attempt_id, attempt in self.attempts.items():
            assert reduce(fold, self.ledger.facts(attempt_id), self.prepared[attempt_id]) == attempt
        self.ledger.close()

    @rule(seconds=st.sampled_from([0.3, 1, 9, 70, 601]))
    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.ledger = Ledger.open(self.url)

    @rule(owner=owners)
    def enlist(self, owner: str) -> None:
        self.ledger.enlist(Driver(owner=owner, host="host", pid=1), at=self.now)
        self.beats[owner] = self.now

    @rule(owner=owners)
    def heartbeat(self, owner: str) -> None:
        if owner in self.beats:
            self.ledger.heartbeat(owner, at=self.now)
            self.beats[owner] = self.now
        else:
            with pytest.raises(LedgerError):
                self.ledger.heartbeat(owner, at=self.now)

    @precondition(lambda self: len(self.beats) == 2)
    @rule(owner=owners)
    def dismiss(self, owner: str) -> None:
        self.ledger.dismiss(owner, at=self.now)
        self.beats.pop(owner, None)
        self.claims = {name: holder for name, holder in self.claims.items() if holder != owner}

    @rule(owner=owners, wanted=names)
    def claim(self, owner: str, wanted: set[str]) -> None:
        if owner not in self.beats:
            with pytest.raises(LedgerError):
                self.ledger.claim(owner, wanted, at=self.now, stale_after=STALE)
            return
        claim = self.ledger.claim(owner, wanted, at=self.now, stale_after=STALE)
        for name in wanted:
            holder = self.claims.get(name, owner)
            if holder == owner or self.beats[holder] < self.now - STALE:
                self.claims[name] = owner
        assert claim.mine == {name for name in wanted if self.claims[name] == owner}
        assert claim.held == {name: self.claims[name] for name in wanted if self.claims[name] != owner}

    @rule(owner=owners, names=names)
    def release(self, owner: str, names: set[str]) -> None:
        self.ledger.release(owner, names)
        self.claims = {name: who for name, who in self.claims.items() if who != owner or name not in names}

    def free_at(self, most: int | None) -> datetime | None:
        """When a lane with so many places lets a create through; None for at once."""
        if most is None:
            return None
        in_process = sum(
            attempt.state in IN_PROCESS_STATES
            and (attempt.clip_id in self.claims or attempt.prepared_at > self.now - UNSEEN_LIFE)
            for attempt in self.attempts.values()
        )
        if in_process >= most:
            return self.now + timedelta(seconds=1)
        next_at = max((attempt.prepared_at + SPACING for attempt in self.attempts.values()), default=self.now)
        return next_at if self.now < next_at else None

    @rule(clip=clips, price=prices, budget=budgets, daily=budgets, most=quotas)
    def prepare_as_holder(
        self, clip: Clip, price: Money | None, budget: Decimal | None, daily: Decimal | None, most: int | None
    ) -> None:
        if clip.clip_id not in self.claims:
            self.enlist("one")
            self.claim("one", {clip.clip_id})
        self.prepare(self.claims[clip.clip_id], clip, price=price, budget=budget, daily=daily, most=most)

    @rule(owner=owners, clip=clips, price=prices, budget=budgets, daily=budgets, most=quotas)
    def prepare(
        self,
        owner: str,
        clip: Clip,
        *,
        price: Money | None,
        budget: Decimal | None,
        daily: Decimal | None,
        most: int | None,
    ) -> None:
        currency = price.currency if price else "CNY"
        limits = {"budget": budget, "daily_budget": daily}
        money = {name: Money(amount=limit, currency=currency) if limit else None for name, limit in limits.items()}
        places = None if most is None else Places(creates_per_second=2, tasks_in_process=most)
        before = self.of(clip)
        refusal = None
        if self.claims.get(clip.clip_id) != owner or any(map(is_alive, before)):
            refusal = LedgerError
        elif self.free_at(most) is not None:
            refusal = NoPlace
        elif self.passes(budget, price, [a for a in self.attempts.values() if a.owner == owner]) or self.passes(
            daily, price, [a for a in self.attempts.values() if a.prepared_at.date() == self.now.date()]
        ):
            refusal = BudgetReached
        if refusal is not None:
            with pytest.raises(refusal) as caught:
                self.ledger.prepare(clip, owner=owner, at=self.now, places=places, reserve=price, **money)
            assert type(caught.value) is refusal
            assert not isinstance(caught.value, NoPlace) or caught.value.free_at == self.free_at(most)
            return
        attempt = self.ledger.prepare(clip, owner=owner, at=self.now, places=places, reserve=price, **money)
        assert (attempt.number, attempt.state, attempt.owner) == (len(before) + 1, State.PREPARED, owner)
        self.prepared[attempt.attempt_id] = self.attempts[attempt.attempt_id] = attempt

    def of(self, clip: Clip) -> list[Attempt]:
        return [a for a in self.attempts.values() if (a.clip_id, a.fingerprint) == (clip.clip_id, clip.fingerprint)]

    def passes(self, limit: Decimal | None, price: Money | None, attempts: list[Attempt]) -> bool:
        wanted = price.amount if price else Decimal(0)
        return limit is not None and committed(attempts).get(price.currency if price else "CNY", 0) + wanted > limit

    @precondition(lambda self: self.attempts)
    @rule(pick=st.integers(0), kind=st.sampled_from(FactKind), cost=st.none() | amounts, knows=recollections)
    def record_anything(self, pick: int, kind: FactKind, cost: Decimal | None, knows: str) -> None:
        attempt = list(self.attempts.values())[pick % len(self.attempts)]
        self.record(attempt, kind, cost, knows)

    @precondition(lambda self: any(attempt.is_open for attempt in self.attempts.values()))
    @rule(
        pick=st.integers(0),
        moves=st.lists(st.integers(0), min_size=1, max_size=3),
        cost=st.none() | amounts,
        knows=recollections,
    )
    def record_legal_facts(self, pick: int, moves: list[int], cost: Decimal | None, knows: str) -> None:
        open_attempts = [attempt for attempt in self.attempts.values() if attempt.is_open]
        attempt_id = open_attempts[pick % len(open_attempts)].attempt_id
        for move in moves:
            kinds = list(MOVES[self.attempts[attempt_id].state])
            if kinds:
                self.record(self.attempts[attempt_id], kinds[move % len(kinds)], cost, knows)

    def record(self, attempt: Attempt, kind: FactKind, cost: Decimal | None, knows: str) -> None:
        detail = {} if cost is None else {"cost": cost, "currency": "CNY", "ended_at": self.now}
        fact = Fact(attempt_id=attempt.attempt_id, kind=kind, at=self.now, detail=detail)
        known = {"nothing": None, "its present": attempt, "its past": self.prepared[attempt.attempt_id]}[knows]
        if kind not in MOVES[attempt.state]:
            with pytest.raises(IllegalMove):
                self.ledger.record(fact, known=known)
            return
        after = self.ledger.record(fact, known=known)
        assert after == fold(attempt, fact)
        self.attempts[attempt.attempt_id] = after

    @invariant()
    def the_rows_are_those_of_the_model(self) -> None:
        rows = {attempt.attempt_id: attempt for attempt in self.ledger.attempts()}
        assert rows == self.attempts

    @invariant()
    def a_clip_is_made_once_at_a_time_and_stored_once(self) -> None:
        for clip in CLIPS:
            assert sum(map(is_alive, self.of(clip))) <= 1

    @invariant()
    def the_money_is_that_of_the_model(self) -> None:
        for owner in ("one", "two"):
            own = [attempt for attempt in self.attempts.values() if attempt.owner == owner]
            bills = [Money(amount=a.cost, currency=a.currency or "") for a in own if a.cost is not None]
            spent = {money.currency: money.amount for money in self.ledger.spend(owner=owner)}
            assert spent == total_by_currency(bills)

    @invariant()
    def living_drivers_are_those_of_the_model(self) -> None:
        living = {driver.owner for driver in self.ledger.drivers(at=self.now, stale_after=STALE)}
        assert living == {owner for owner, beat_at in self.beats.items() if beat_at >= self.now - STALE}


@pytest.mark.parametrize("stories", [12, pytest.param(250, marks=pytest.mark.chaos)])
def test_the_ledger_agrees_with_its_model_whatever_happens(stories: int, url: str) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis leaves it without types
        lambda: LedgerMachine(url),
        settings=settings(
            max_examples=stories,
            stateful_step_count=50,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
