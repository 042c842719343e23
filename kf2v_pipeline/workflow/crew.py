"""Ends the tasks of an event loop that work for one drive. What they do is the engine's and the lanes' matter."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta


async def end_all(tasks: Collection[asyncio.Task[None]], *, patience: timedelta) -> None:
    """Ends every task, and waits until it has; who is stopped a second time meanwhile waits for no last reply.

    Args:
        patience: How long a task may take to end; after that it is told again, since a library on its way may have
            swallowed the first cancel.
    """
    is_hurried = False
    running = set(tasks)
    for task in running:
        task.cancel()
    while running:
        try:
            _, running = await asyncio.wait(running, timeout=patience.total_seconds())
            for task in running:
                task.cancel()
        except asyncio.CancelledError:
            is_hurried = True
            for task in running:
                task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            task.result()
    if is_hurried:
        raise asyncio.CancelledError
