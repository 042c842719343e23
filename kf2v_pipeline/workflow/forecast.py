"""What a run would do and cost, without doing it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.policy import Standing, standing
from kf2v_pipeline.domain.price import total_by_currency
from kf2v_pipeline.workflow.intake import look_at_manifest
from kf2v_pipeline.workflow.plan import Plan
from kf2v_pipeline.workflow.project import Project


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run would do.

    Attributes:
        standings: Where each clip stands now, by clip_id, in manifest order.
        failures: The newest attempts of clips that failed for good and would not be tried again.
        cost: What the missing videos cost, by currency; clips without a known price are left out.
        unpriced: Missing clips whose price is not known.
    """

    plan: Plan
    standings: dict[str, Standing]
    failures: tuple[Attempt, ...]
    cost: dict[str, Decimal]
    unpriced: tuple[str, ...]

    def count(self, wanted: Standing) -> int:
        """How many clips stand so."""
        return sum(stands is wanted for stands in self.standings.values())


def forecast(project: Project, clip_ids: tuple[str, ...] = ()) -> Forecast:
    """Looks at the manifest and the ledger; nothing is created, registered or paid.

    Args:
        clip_ids: Only these clips, also where they failed for good before; none for all.

    Raises:
        Kf2vError: Settings or manifest can't be used.
    """
    plan = look_at_manifest(project)
    clips: list[Clip] = [clip for clip in plan.clips if not clip_ids or clip.clip_id in clip_ids]
    newest = project.ledger.newest(clips)
    standings: dict[str, Standing] = {}
    for clip in clips:
        stands = standing(newest.get(clip.clip_id))
        is_asked = clip.clip_id in clip_ids and stands is Standing.FAILED
        standings[clip.clip_id] = Standing.PLANNED if is_asked else stands
    missing = [clip_id for clip_id, stands in standings.items() if stands is Standing.PLANNED]
    prices = {clip_id: plan.prices[clip_id] for clip_id in missing}
    return Forecast(
        plan=plan,
        standings=standings,
        failures=tuple(newest[clip_id] for clip_id, stands in standings.items() if stands is Standing.FAILED),
        cost=total_by_currency(money for money in prices.values() if money is not None),
        unpriced=tuple(clip_id for clip_id, money in prices.items() if money is None),
    )
