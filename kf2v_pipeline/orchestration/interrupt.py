"""Ends runs in good order when their process is interrupted: Ctrl-C, SIGTERM, "Terminate" in Dagster's UI.

Dagster's own handler, in place while it runs something, raises wherever the interpreter happens to be (1.13,
``dagster._utils.interrupts``): in the middle of an event loop, or in a callback of the garbage collector, where what is
raised is lost and everything goes on.
"""

import asyncio
import signal
import sys
import threading
from _thread import interrupt_main
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import dagster as dg

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_INTERRUPTS = (KeyboardInterrupt, dg.DagsterExecutionInterruptedError)


def run_interruptibly(work: Coroutine[Any, Any, T]) -> T:
    """Runs the work in an event loop of its own; an interrupt cancels it, so that it can leave all in order.

    Raises:
        KeyboardInterrupt: The work was interrupted: once, and it has ended; or a second time, and it was torn up.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread hears signals
        return asyncio.run(work)
    interrupted = threading.Event()
    try:
        return asyncio.run(_cancelled_by_signals(work, interrupted))
    except asyncio.CancelledError:
        if interrupted.is_set():
            raise KeyboardInterrupt from None
        raise


async def _cancelled_by_signals(work: Coroutine[Any, Any, T], interrupted: threading.Event) -> T:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        loop.call_soon_threadsafe(task.cancel)

    handlers = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        return await task
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def hearing_interrupts() -> Iterator[None]:
    """Whatever is run here, an interrupt ends it as a ``KeyboardInterrupt``, also one that was lost at first."""
    show = sys.unraisablehook

    def hear(lost: Any) -> None:
        is_lost = issubclass(lost.exc_type, _INTERRUPTS)
        while True:
            try:
                if is_lost:
                    threading.Timer(0.01, interrupt_main).start()  # a hook can't raise: it comes again later
                else:
                    show(lost)
                break
            except _INTERRUPTS:  # it came before this was over, as on a busy machine: lost here like the one before
                is_lost = True

    sys.unraisablehook = hear
    try:
        yield
    except dg.DagsterExecutionInterruptedError:
        raise KeyboardInterrupt from None
    finally:
        sys.unraisablehook = show
