"""What ``list`` shows of one lane. What it means for an attempt is ``reconcile``'s and the lane's matter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from kf2v_pipeline.domain.attempt import TASK_LIFE, Attempt
from kf2v_pipeline.domain.reading import ListedTask, Reading
from kf2v_pipeline.errors import NotSent, ServiceError, TransportError
from kf2v_pipeline.storage.ledger import Ledger
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.workflow.reconcile import Candidate

CLOCK_SKEW = timedelta(minutes=5)
"""How far the service's clock and ours may be apart."""

LIST_SPAN = timedelta(hours=24)
"""The longest window that ``list`` takes (vendor page of asynchronous tasks)."""

LIST_PAGE = 100
"""Rows asked for in one ``list``; the largest that the service gives is not documented."""


class Listing:
    """Reads one lane's ``list``, and remembers what tasks that nobody knew said of themselves."""

    def __init__(
        self, client: WanClient, ledger: Ledger, clock: Callable[[], datetime], model_name: str, *, grace: timedelta
    ) -> None:
        """Nothing is read yet.

        Args:
            grace: How long ``list`` may take to show a task.
        """
        self._client = client
        self._ledger = ledger
        self._clock = clock
        self._model_name = model_name
        self._grace = grace
        self._readings: dict[str, Reading] = {}
        self._window_works = True
        self._hidden: frozenset[str | None] = frozenset()

    async def rows(
        self, flights: Sequence[Attempt], unconfirmed: Sequence[Attempt]
    ) -> tuple[dict[str, ListedTask], bool]:
        """What ``list`` shows of this lane, by task_id, and whether all of it could be read.

        The zone of the window that ``list`` takes is not documented, and this machine's clock may be wrong. A window
        that hides tasks costs a ``get`` for each of them, until ``note_existing`` tells of one: from then on none is
        given. It must not hide a task that an unconfirmed attempt made, so for those no window is given either.

        Where ``list`` fails and tasks are in flight, it shows nothing, and each of them is asked for itself.

        Raises:
            TransportError: The service can't be reached; or it gave no list, and there is nothing else to look at.
            ServiceError: It refuses to list, and there is nothing else to look at.
        """
        has_window = self._window_works and not unconfirmed
        since, until = self._window(flights) if has_window else (None, None)
        expected = self._expected(flights, since, self._clock()) if since else frozenset()
        self._hidden = frozenset()
        wanted = {attempt.task_id for attempt in flights}
        rows: dict[str, ListedTask] = {}
        unreadable = 0
        page_number = 1
        while True:
            try:
                page = await self._client.list(
                    since=since, until=until, model=self._model_name, page=page_number, page_size=LIST_PAGE
                )
            except (ServiceError, TransportError) as error:
                if isinstance(error, NotSent) or not flights:
                    raise
                return rows, False
            unreadable += page.unreadable
            rows.update((task.task_id, task) for task in page.tasks)
            found_all = not unconfirmed and wanted <= rows.keys()
            if found_all or not page.tasks or page_number >= (page.total_pages or page_number + 1):
                self._hidden = frozenset() if unreadable else expected - rows.keys()
                return rows, unreadable == 0
            page_number += 1

    def note_existing(self, attempt: Attempt) -> None:
        """Notes that a ``get`` knows an attempt's task: where the list should have shown it, its window is wrong."""
        if attempt.task_id in self._hidden:
            self._window_works = False

    async def strangers(self, rows: Iterable[ListedTask], unconfirmed: Sequence[Attempt]) -> list[Candidate]:
        """Tasks of this lane that no attempt is known to have made, with what they say of their prompt."""
        oldest = min(attempt.prepared_at for attempt in unconfirmed) - TASK_LIFE
        known = self._ledger.known_task_ids(since=oldest)
        candidates = []
        for row in rows:
            if row.task_id in known:
                continue
            if row.status.ended and row.task_id not in self._readings:
                self._readings[row.task_id] = await self._client.get(row.task_id)
            candidates.append(Candidate(task=row, reading=self._readings.get(row.task_id)))
        return candidates

    def _expected(self, flights: Sequence[Attempt], since: datetime, now: datetime) -> frozenset[str | None]:
        """The tasks that a right window shows for certain: made within it, and not just now."""
        return frozenset(
            attempt.task_id
            for attempt in flights
            if since <= attempt.prepared_at and (attempt.submitted_at or now) <= now - self._grace
        )

    def _window(self, flights: Sequence[Attempt]) -> tuple[datetime, datetime]:
        now = self._clock()
        oldest = min(attempt.prepared_at for attempt in flights)
        return max(oldest - CLOCK_SKEW, now - LIST_SPAN + CLOCK_SKEW), now + CLOCK_SKEW
