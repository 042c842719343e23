"""A task: what one accepted create made, and how it is written down. How it moves belongs to the backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from .refusal import Refusal


class Status(str, Enum):
    """Status of a task in the service's words (vendor page, "Task status transition")."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    UNKNOWN = "UNKNOWN"

    @property
    def ended(self) -> bool:
        """Whether the task never changes again."""
        return self not in (Status.PENDING, Status.RUNNING)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Attributes:
        request_id: Id of the create call; ``list`` repeats it.
        api_key_id: Stands for the key in ``list``; never the key.
        film_s: Length of the film in seconds.
        first_url: The first frame's address while it was not fetched yet; None for frames that came in the body.
        first_frame: Digest that names the first frame's file; None until it was checked.
        first_size: Width and height of the first frame, upright.
        checked_at: When its values and frames were looked at; None until then.
        problem: What that look found; the task then fails without ever running.
        failure: Why it will fail after having run: scripted, or the renderer's fault.
        runs_for: Scripted least time between its start and its end.
        vanishes: Whether every look at it says UNKNOWN, by script.
        stand_in: Whether its film is a cheap cut between the frames, not a rendering.
        stand_in_px: Longest side of that cut; 0 for the size of the vendor's rule.
        scheduled_at: When it began to run.
        ready_at: When its film was there.
        downloaded: Whether its film was ever asked for.
    """

    task_id: str
    request_id: str
    api_key_id: str
    model: str
    created_at: datetime
    status: Status = Status.PENDING
    prompt: str | None = None
    negative_prompt: str | None = None
    resolution: str = "720P"
    film_s: int = 5
    seed: int = 0
    prompt_extend: bool = True
    watermark: bool = False
    first_url: str | None = None
    last_url: str | None = None
    first_frame: str | None = None
    last_frame: str | None = None
    first_size: tuple[int, int] | None = None
    checked_at: datetime | None = None
    problem: Refusal | None = None
    failure: Refusal | None = None
    runs_for: timedelta = timedelta(0)
    vanishes: bool = False
    stand_in: bool = False
    stand_in_px: int = 0
    scheduled_at: datetime | None = None
    ready_at: datetime | None = None
    ended_at: datetime | None = None
    actual_prompt: str | None = None
    downloaded: bool = False

    @property
    def billed(self) -> bool:
        """Whether it costs money: only a success does (vendor page, "Billing details")."""
        return self.status is Status.SUCCEEDED

    @property
    def reason(self) -> Refusal | None:
        """Why it failed; None unless it did."""
        return (self.problem or self.failure) if self.status is Status.FAILED else None

    @property
    def needs_frames(self) -> bool:
        """Whether its frames' files may still be read."""
        return not self.status.ended or (self.stand_in and self.billed)

    def evolve(self, **changes: Any) -> Task:
        """The same task with some fields changed."""
        return replace(self, **changes)

    def to_record(self) -> dict[str, Any]:
        """The task as a JSON object."""
        record = asdict(self)
        for name, value in record.items():
            if isinstance(value, datetime):
                record[name] = value.isoformat()
            elif isinstance(value, timedelta):
                record[name] = value.total_seconds()
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Task:
        """The task that ``to_record`` wrote; fields of other versions are left out."""
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in record.items() if name in known}
        for name, value in values.items():
            if name.endswith("_at") and value is not None:
                values[name] = datetime.fromisoformat(value)
            elif name in ("problem", "failure") and value is not None:
                values[name] = Refusal(**value)
        values["status"] = Status(values["status"])
        values["runs_for"] = timedelta(seconds=values["runs_for"])
        if values["first_size"] is not None:
            values["first_size"] = tuple(values["first_size"])
        return cls(**values)
