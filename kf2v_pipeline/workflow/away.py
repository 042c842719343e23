"""Videos that are paid for and not in the storage any more are put back there, while other clips are driven."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.errors import ServiceError, SettingsError, StorageError, TransportError, VideoError
from kf2v_pipeline.workflow.desk import Desk
from kf2v_pipeline.workflow.outcome import VIDEO_UNREACHABLE

MOST_MISSES = 3
"""After so many clips in a row of which a lane's service gave no answer, the others are left without asking: each may
take half a minute."""


async def fetch_back(
    desk: Desk, missing: Iterable[tuple[Clip, Attempt]], keep: Callable[[Clip, Attempt], Awaitable[None]]
) -> None:
    """Has videos put back, one after the other. What can't be had now is left to the next drive, with the reason.

    Args:
        missing: Clips whose videos are stored, says the ledger, and are not there.
        keep: Ends one of them, or raises where it can't be had at the moment.
    """
    misses: Counter[str] = Counter()
    for clip, attempt in missing:
        if misses[attempt.lane] >= MOST_MISSES:
            _leave_unreachable(desk, clip, "others of its lane got no answer")
            continue
        try:
            await keep(clip, attempt)
        except TransportError as error:
            misses[attempt.lane] += 1
            _leave_unreachable(desk, clip, str(error))
            continue
        except (ServiceError, VideoError) as error:
            _leave_unreachable(desk, clip, str(error))
        except StorageError as error:
            _leave(desk, clip, "StorageRefused", f"be put back: {error}")
        except SettingsError as error:
            desk.leave(clip, "ServiceUnusable", str(error))
        misses[attempt.lane] = 0


def _leave_unreachable(desk: Desk, clip: Clip, why: str) -> None:
    what = f"be fetched again at the moment ({why}); run again while the service keeps it, for 24 hours."
    _leave(desk, clip, VIDEO_UNREACHABLE, what)


def _leave(desk: Desk, clip: Clip, code: str, what: str) -> None:
    message = f"Its video left the storage and can't {what}"
    desk.notice(f"Clip {clip.clip_id}: {message}")
    desk.leave(clip, code, message)
