"""What a run would do and cost, without doing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.makespan import expected_makespan
from kf2v_pipeline.domain.policy import Standing, standing
from kf2v_pipeline.domain.price import total_by_currency
from kf2v_pipeline.workflow.intake import look_at_manifest, refuse_unknown_clips
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
        expected: How long the run will probably take, by quotas and learned durations; None where that is not known.
        unlearned: Lanes that have something to do, and no task of theirs has ended yet.
        over_budget: Sentences about budgets that the cost would pass.
    """

    plan: Plan
    standings: dict[str, Standing]
    failures: tuple[Attempt, ...]
    cost: dict[str, Decimal]
    unpriced: tuple[str, ...]
    expected: timedelta | None
    unlearned: tuple[str, ...]
    over_budget: tuple[str, ...]

    def count(self, wanted: Standing) -> int:
        """How many clips stand so."""
        return sum(stands is wanted for stands in self.standings.values())


def forecast(project: Project, clip_ids: tuple[str, ...] = ()) -> Forecast:
    """Looks at the manifest and the ledger; nothing is created, registered or paid.

    Args:
        clip_ids: Only these clips, also where they failed for good before; none for all.

    Raises:
        Kf2vError: Settings or manifest can't be used, or a clip is not in the manifest.
    """
    plan = look_at_manifest(project)
    refuse_unknown_clips(clip_ids, plan.clips)
    clips: list[Clip] = [clip for clip in plan.clips if not clip_ids or clip.clip_id in clip_ids]
    stored = project.ledger.stored(clips)
    newest = project.ledger.newest([clip for clip in clips if clip.clip_id not in stored])
    standings: dict[str, Standing] = {}
    for clip in clips:
        stands = Standing.STORED if clip.clip_id in stored else standing(newest.get(clip.clip_id))
        is_asked = clip.clip_id in clip_ids and stands is Standing.FAILED
        standings[clip.clip_id] = Standing.PLANNED if is_asked else stands
    missing = [clip_id for clip_id, stands in standings.items() if stands is Standing.PLANNED]
    prices = {clip_id: plan.prices[clip_id] for clip_id in missing}
    unpriced = tuple(clip_id for clip_id, money in prices.items() if money is None)
    cost = total_by_currency(money for money in prices.values() if money is not None)
    flying = [c.in_lane(newest[c.clip_id].lane) for c in clips if standings[c.clip_id] is Standing.IN_FLIGHT]
    planned = [clip for clip in clips if standings[clip.clip_id] is Standing.PLANNED]
    lanes = _lane_times(project, [*flying, *_spread(project, planned)])
    unlearned = tuple(lane for lane, time in lanes.items() if time is None)
    return Forecast(
        plan=plan,
        standings=standings,
        failures=tuple(newest[clip_id] for clip_id, stands in standings.items() if stands is Standing.FAILED),
        cost=cost,
        unpriced=unpriced,
        expected=None if unlearned else max(filter(None, lanes.values()), default=timedelta(0)),
        unlearned=unlearned,
        over_budget=tuple(_over_budget(project, cost, unpriced)),
    )


def _lane_times(project: Project, clips: Sequence[Clip]) -> dict[str, timedelta | None]:
    """How long each lane will probably take for the clips, side by side; None where nothing was learned yet."""
    times = {}
    examples = {clip.lane: clip for clip in clips}
    for lane, tasks in Counter(clip.lane for clip in clips).items():
        clip = examples[lane]
        quota = project.service(clip.service).model(clip.model).quota
        times[lane] = expected_makespan(
            tasks,
            project.ledger.durations(lane),
            tasks_in_process=quota.tasks_in_process,
            creates_per_second=quota.creates_per_second,
        )
    return times


def _spread(project: Project, clips: Sequence[Clip]) -> Iterator[Clip]:
    """The clips in the lanes that will probably take them: each lane as many as it has places."""
    places: dict[str, int] = {}
    taken: Counter[str] = Counter()
    for clip in clips:
        for lane in clip.lanes:
            if lane not in places:
                service, _, model = lane.rpartition("/")
                places[lane] = project.service(service).model(model).quota.tasks_in_process
        lane = min(clip.lanes, key=lambda name: (taken[name] + 1) / places[name], default=clip.lane)
        taken[lane] += 1
        yield clip.in_lane(lane)


def _over_budget(project: Project, cost: Mapping[str, Decimal], unpriced: Sequence[str]) -> Iterator[str]:
    today = project.clock().replace(hour=0, minute=0, second=0, microsecond=0)
    spent = {money.currency: money.amount for money in project.ledger.spend(since=today)}
    budget = project.budget
    if unpriced and budget.is_limited:
        yield "Without a known price no budget can be kept, so it stays planned: write it into a file (KF2V_CATALOG)."
    for currency, amount in cost.items():
        if budget.per_run is not None and amount > budget.per_run:
            yield f"A run may spend {budget.per_run.normalize():f} {currency}: the rest stays planned."
        left = None if budget.per_day is None else max(Decimal(0), budget.per_day - spent.get(currency, Decimal(0)))
        if left is not None and amount > left:
            yield f"{left.normalize():f} {currency} may still be spent today (UTC): the rest stays planned."
