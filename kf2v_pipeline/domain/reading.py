"""What the service said: of a create, of one task, of many. Parsing its bodies belongs to ``wan.wire``."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


class TaskStatus(str, Enum):
    """Status of a task, in the service's words (vendor page, "Task status transition")."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    UNKNOWN = "UNKNOWN"

    @property
    def ended(self) -> bool:
        """Whether the task will never change again. UNKNOWN is the end too: an expired task never comes back."""
        return self not in (TaskStatus.PENDING, TaskStatus.RUNNING)


@dataclass(frozen=True, kw_only=True)
class Created:
    """An accepted create.

    Attributes:
        request_id: Id of the create call; ``list`` repeats it in the task's row.
    """

    task_id: str
    request_id: str | None


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a succeeded task is billed for.

    Attributes:
        duration_s: Seconds of video that are billed; all of them together.
        resolution: Short side in lines (480, 720, 1080); None where the model does not say.
    """

    video_count: int
    duration_s: float
    resolution: int | None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one look at one task said.

    Attributes:
        read_at: When we read it. Aware UTC, as are all instants here.
        video_url: Signed, good for 24 hours; a secret, so it is left out of ``repr`` and never stored.
        code: Why the task failed, in the service's words; None unless FAILED.
    """

    task_id: str
    status: TaskStatus
    read_at: datetime
    request_id: str | None = None
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    video_url: str | None = field(default=None, repr=False)
    orig_prompt: str | None = None
    actual_prompt: str | None = None
    usage: Usage | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class ListedTask:
    """One row of ``list``: no prompt, no URL, no reason.

    Attributes:
        request_id: The id that the create call returned.
    """

    task_id: str
    status: TaskStatus
    model: str | None
    created_at: datetime | None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskPage:
    """One page of ``list``.

    Attributes:
        total: Tasks on all pages together; None where the service does not say.
        unreadable: Rows of the reply that could not be read, left out of ``tasks``.
    """

    tasks: tuple[ListedTask, ...]
    page: int
    total: int | None
    total_pages: int | None
    unreadable: int = 0
