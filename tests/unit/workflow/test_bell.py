"""What wakes the tasks of a lane, and what must not be lost in between."""

from __future__ import annotations

import asyncio

from kf2v_pipeline.workflow.bell import Bell


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_ring_wakes_who_waits_even_if_the_ringer_waits_for_the_next_one_at_once() -> None:
    async def story() -> None:
        bell = Bell()
        waiter = asyncio.create_task(bell.wait())
        await turns(1)
        bell.ring()
        ringer = asyncio.create_task(bell.wait())
        await bell.wait(0)
        await turns()
        assert waiter.done()
        assert not ringer.done()
        ringer.cancel()

    asyncio.run(story())


def test_a_ring_wakes_all_who_wait() -> None:
    async def story() -> None:
        bell = Bell()
        waiters = [asyncio.create_task(bell.wait()) for _ in range(3)]
        await turns()
        bell.ring()
        await turns()
        assert all(waiter.done() for waiter in waiters)

    asyncio.run(story())


def test_a_ring_is_for_those_who_wait_already() -> None:
    async def story() -> None:
        bell = Bell()
        bell.ring()
        waiter = asyncio.create_task(bell.wait())
        await turns()
        assert not waiter.done()
        waiter.cancel()

    asyncio.run(story())


def test_who_waits_for_a_time_goes_on_when_it_is_over() -> None:
    asyncio.run(Bell().wait(0.01))


def test_who_is_cancelled_while_waiting_stops_and_keeps_nobody_from_waking() -> None:
    async def story() -> None:
        bell = Bell()
        canceled, waiter = asyncio.create_task(bell.wait()), asyncio.create_task(bell.wait())
        await turns()
        canceled.cancel()
        bell.ring()
        await turns()
        assert canceled.cancelled()
        assert waiter.done()

    asyncio.run(story())
