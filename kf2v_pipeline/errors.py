"""Every error that this package raises on purpose, as one tree; no other module defines one.

Kf2vError
├── SettingsError            a setting is missing, unknown or has no meaning
├── ManifestError            the manifest as a whole can't be used
├── FrameError               one frame can't be used
├── StorageError             the storage refuses to read or to write
├── LedgerError              the ledger can't be opened, or a rule of it would be broken
│   ├── IllegalMove          a fact that the attempt's state does not allow
│   ├── BudgetReached        the reservation would pass what may be spent
│   └── NoPlace              the lane's quota is used up for the moment
├── ServiceError             the service answered, and the answer is an error
├── TransportError           we did not get an answer that can be read
│   ├── NotSent              nothing reached the service: sending again is safe
│   └── ReplyLost            the service may have acted: sending again may pay twice
└── VideoError               a downloaded file is not the video that was promised

Each error takes its culprits as fields, and its text says what is wrong, where, and what mends it.
A failed task is no error but data (``domain.reading``).
"""

from __future__ import annotations

from datetime import datetime


class Kf2vError(Exception):
    """Base of the family. Its text is one sentence that a person can act on."""


class SettingsError(Kf2vError):
    """A setting can't be used.

    Attributes:
        name: The setting, as the person wrote it (``KF2V_STORAGE`` or ``--storage``).
        what: What is wrong with it.
        fix: What mends it.
    """

    def __init__(self, name: str, what: str, fix: str) -> None:
        super().__init__(f"{name}: {what}; {fix}.")
        self.name = name
        self.what = what
        self.fix = fix


class ManifestError(Kf2vError):
    """The manifest as a whole can't be used; single bad rows are problems, not errors.

    Attributes:
        manifest: Its address, without secrets.
        what: What is wrong with it.
        fix: What mends it.
    """

    def __init__(self, manifest: str, what: str, fix: str) -> None:
        super().__init__(f"Manifest {manifest}: {what}; {fix}.")
        self.manifest = manifest
        self.what = what
        self.fix = fix


class FrameError(Kf2vError):
    """One frame can't be used.

    Attributes:
        location: The frame's address, without secrets.
        what: What is wrong with it.
        fix: What mends it.
        is_away: Whether it can't be read, which may pass; else it was read, and is of no use.
    """

    def __init__(self, location: str, what: str, fix: str, *, is_away: bool = False) -> None:
        super().__init__(f"Frame {location}: {what}; {fix}.")
        self.location = location
        self.what = what
        self.fix = fix
        self.is_away = is_away


class StorageError(Kf2vError):
    """The storage refuses to read or to write.

    Attributes:
        path: What was to be read or written, without secrets.
        what: The storage's own words.
        fix: What mends it.
    """

    def __init__(self, path: str, what: str, fix: str) -> None:
        super().__init__(f"Storage {path}: {what}; {fix}.")
        self.path = path
        self.what = what
        self.fix = fix


class LedgerError(Kf2vError):
    """The ledger can't be opened, or one of its rules would be broken."""


class IllegalMove(LedgerError):
    """A fact that the attempt's state does not allow; nothing was changed.

    Attributes:
        attempt_id: Whose history it is.
        state: The state that the attempt is in.
        fact: The kind of the fact that was refused.
    """

    def __init__(self, attempt_id: str, state: str, fact: str) -> None:
        super().__init__(f"Attempt {attempt_id} is {state}: the fact {fact} can't follow.")
        self.attempt_id = attempt_id
        self.state = state
        self.fact = fact


class BudgetReached(LedgerError):
    """A reservation would pass what may be spent; nothing was reserved.

    Attributes:
        limit: The most that may be spent, in ``currency``.
        committed: What is spent or reserved already.
        wanted: What was asked for on top.
        currency: ISO 4217 code.
        per_day: Whether it is the budget of a UTC day; else that of a run.
    """

    def __init__(self, *, limit: str, committed: str, wanted: str, currency: str, per_day: bool = False) -> None:
        fix = "raise --max-spend (KF2V_MAX_SPEND) to go on"
        if per_day:
            fix = "it begins anew at 00:00 UTC; raise --max-spend-per-day (KF2V_MAX_SPEND_PER_DAY) to go on now"
        super().__init__(
            f"The budget of {limit} {currency}{' a day' if per_day else ''} is reached: {committed} is spent or "
            f"reserved, and the next clip costs {wanted}; {fix}."
        )
        self.limit = limit
        self.committed = committed
        self.wanted = wanted
        self.currency = currency
        self.per_day = per_day


class NoPlace(LedgerError):
    """A lane's quota is used up for the moment; nothing was prepared.

    Attributes:
        free_at: When to ask again.
    """

    def __init__(self, lane: str, free_at: datetime) -> None:
        super().__init__(f"Lane {lane} takes no create at present; ask again at {free_at.isoformat()}.")
        self.free_at = free_at


class ServiceError(Kf2vError):
    """The service answered, and the answer is an error.

    Attributes:
        code: The service's own code, such as ``InvalidApiKey``.
        message: The service's own words.
        http_status: Status of the reply; None where the code came out of a task.
        request_id: The service's id of the call, for its support; None if it sent none.
    """

    def __init__(
        self, code: str, message: str, *, http_status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status
        self.request_id = request_id


class TransportError(Kf2vError):
    """No answer that can be read came back.

    Attributes:
        doing: The operation, such as ``create``.
        what: What happened, without addresses or secrets.
    """

    def __init__(self, doing: str, what: str) -> None:
        super().__init__(f"{doing}: {what}")
        self.doing = doing
        self.what = what


class NotSent(TransportError):
    """Nothing reached the service (no connection was made): sending again is safe."""


class ReplyLost(TransportError):
    """The request may have been carried out: sending a create again may pay twice."""


class VideoError(Kf2vError):
    """A downloaded file is not the video that was promised.

    Attributes:
        what: What is wrong with it.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
