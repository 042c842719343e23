"""One drive's lanes and their services' clients, each opened when it is first needed. What a lane does is its own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.workflow.desk import Desk
from kf2v_pipeline.workflow.lane import Lane


class Fleet:
    """The lanes of one drive.

    Args:
        connect: Makes the client of a service, by the service's name.
        start: Begins a lane's work; the drive ends it.
        stack: Closes the clients.
    """

    def __init__(
        self,
        desk: Desk,
        connect: Callable[[str], WanClient],
        start: Callable[[Coroutine[None, None, None]], None],
        stack: AsyncExitStack,
    ) -> None:
        self._desk = desk
        self._connect = connect
        self._start = start
        self._stack = stack
        self._clients: dict[str, WanClient] = {}
        self._lanes: dict[str, Lane] = {}
        self._unusable: set[str] = set()

    async def lane(self, clip: Clip) -> Lane:
        """The lane that makes a clip.

        Raises:
            SettingsError: Its service can't be used.
        """
        lane = self._lanes.get(clip.lane)
        if lane is None:
            try:
                lane = self._lanes[clip.lane] = await self._open(clip)
            except SettingsError as error:
                self._desk.pool.stop(clip.lane, "ServiceUnusable", str(error), is_left=True)
                raise
            self._start(lane.submit())
            self._start(lane.look())
        return lane

    async def _open(self, clip: Clip) -> Lane:
        client = self._clients.get(clip.service)
        if client is None:
            client = await self._stack.enter_async_context(self._connect(clip.service))
            self._clients[clip.service] = client
        return Lane(self._desk, client, clip.lane, client.service.model(clip.model))

    async def open_shared(self, clip: Clip) -> list[Lane]:
        """The lanes that may take a clip that leaves its lane open; one that can't be used holds up no other."""
        lanes = []
        for name in clip.lanes:
            if name in self._unusable:
                continue
            try:
                lanes.append(await self.lane(clip.in_lane(name)))
            except SettingsError as error:
                self._unusable.add(name)
                self._desk.notice(f"Lane {name} can't be used: {error}")
        return lanes
