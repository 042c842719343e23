"""What a drive has work with, asked of the ledger once; which lanes it waits for is then told without asking again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.policy import is_held_up
from kf2v_pipeline.storage.backlog import Unsettled, Untried


class Followed(NamedTuple):
    """An attempt under way that no row asks for any more.

    Attributes:
        owner: The driver that holds its clip; None for nobody.
    """

    attempt: Attempt
    owner: str | None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Wanted clips that are neither stored nor failed for good, and attempts that are still followed.

    Attributes:
        untried: Clips that have no attempt yet, counted by driver and lanes.
        unsettled: The newest attempts of the others.
        followed: Attempts under way that no row asks for any more.
    """

    untried: tuple[Untried, ...]
    unsettled: tuple[Unsettled, ...]
    followed: tuple[Followed, ...]

    @property
    def count(self) -> int:
        """Clips, and attempts that no row asks for any more."""
        return sum(each.clips for each in self.untried) + len(self.unsettled) + len(self.followed)

    @property
    def owners(self) -> frozenset[str | None]:
        """The drivers that hold the clips; None among them where nobody holds one."""
        owners = {each.owner for each in self.untried} | {each.owner for each in self.unsettled}
        return frozenset(owners | {each.owner for each in self.followed})

    @property
    def lanes(self) -> frozenset[str]:
        """The lanes that could go on with any of it."""
        groups = [each.lanes for each in self.untried] + [each.lanes for each in self.unsettled]
        begun = [*self.attempts, *(each.attempt for each in self.followed)]
        return frozenset({lane for lanes in groups for lane in lanes} | {attempt.lane for attempt in begun})

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The newest attempts of those clips that had one."""
        return tuple(each.attempt for each in self.unsettled)

    def without(self, lanes: Collection[str], *, left: Collection[str] = ()) -> Waiting:
        """What a drive can go on with where these lanes take no clips; tasks under way there are followed all the same.

        Args:
            lanes: Those that take no clips.
            left: Those whose service tells nothing of their tasks either.
        """

        def can_go_on(possible_lanes: Collection[str], attempt: Attempt | None) -> bool:
            return not is_held_up(possible_lanes, attempt, without=lanes, left=left)

        return replace(
            self,
            untried=tuple(each for each in self.untried if can_go_on(each.lanes, None)),
            unsettled=tuple(each for each in self.unsettled if can_go_on(each.lanes, each.attempt)),
            followed=tuple(each for each in self.followed if each.attempt.lane not in left),
        )
