"""Interrupts of a drive: signals that this process sends itself."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from threading import Thread
from types import FrameType
from typing import Any

import dagster as dg
import pytest

from kf2v_pipeline.orchestration.interrupt import hearing_interrupts, run_interruptibly

LONG_S = 20
"""Never waited for, unless an interrupt was lost."""


@pytest.fixture(autouse=True)
def _as_in_a_terminal() -> Iterator[None]:
    """Hears interrupts, also where the tests were started in the background of a script, which ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Interrupting:
    """Interrupts this process when it is collected, where Python can only report what its handler raises."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


async def answer() -> int:
    return 42


def test_work_that_nobody_interrupts_gives_its_result() -> None:
    assert run_interruptibly(answer()) == 42


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_work_may_clean_up_before_it_ends(number: signal.Signals) -> None:
    steps = []

    async def work() -> None:
        try:
            signal.raise_signal(number)
            await asyncio.sleep(LONG_S)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            steps.append("cleaned up")
            raise

    with pytest.raises(KeyboardInterrupt):
        run_interruptibly(work())

    assert steps == ["cleaned up"]


def test_an_interrupt_that_comes_in_a_callback_of_the_garbage_collector_is_not_lost() -> None:
    async def work() -> None:
        Interrupting()
        await asyncio.sleep(LONG_S)

    with pytest.raises(KeyboardInterrupt):
        run_interruptibly(work())


def test_a_second_interrupt_does_not_wait_for_the_cleaning_up() -> None:
    async def work() -> None:
        signal.raise_signal(signal.SIGINT)
        try:
            await asyncio.sleep(LONG_S)
        finally:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(LONG_S)

    with pytest.raises(KeyboardInterrupt):
        run_interruptibly(work())


def test_the_handlers_that_were_there_are_there_again() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run_interruptibly(answer())
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_work_that_cancels_itself_was_not_interrupted() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_interruptibly(work())


def test_in_a_thread_the_work_just_runs() -> None:
    results: list[int] = []
    thread = Thread(target=lambda: results.append(run_interruptibly(answer())))
    thread.start()
    thread.join()
    assert results == [42]


def test_an_interrupt_that_was_lost_comes_again() -> None:
    def wait() -> None:
        Interrupting()
        ends = time.monotonic() + LONG_S
        while time.monotonic() < ends:
            pass

    with pytest.raises(KeyboardInterrupt), hearing_interrupts():
        wait()


def test_an_interrupt_that_comes_again_too_early_and_is_lost_once_more_comes_a_third_time() -> None:
    """As on a busy machine, which may take long from the start of the thread that sends it to the next line."""

    def await_thread(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "return" and frame.f_code is Thread.start.__code__:
            frame.f_locals["self"].join()  # what it sends comes here; then nothing is profiled any more

    def wait() -> None:
        sys.setprofile(await_thread)
        Interrupting()
        ends = time.monotonic() + LONG_S
        while time.monotonic() < ends:
            pass

    before = sys.getprofile()
    try:
        with pytest.raises(KeyboardInterrupt), hearing_interrupts():
            wait()
    finally:
        sys.setprofile(before)


def test_dagsters_own_interrupt_is_an_ordinary_one() -> None:
    with pytest.raises(KeyboardInterrupt), hearing_interrupts():
        raise dg.DagsterExecutionInterruptedError
