"""The checks that Dagster shows: of the manifest, of the videos, of the videos table. What is measured lies below."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import dagster as dg

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.policy import Standing
from kf2v_pipeline.domain.price import Money, total_by_currency
from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.domain.quality import CHECKS, Flaw, Severity, flaws
from kf2v_pipeline.orchestration.events import SEVERITY, log_check
from kf2v_pipeline.orchestration.metadata import amounts, table
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.storage.tables import Row, read_videos_table
from kf2v_pipeline.words import counted
from kf2v_pipeline.workflow.plan import Plan
from kf2v_pipeline.workflow.project import Project

_SHOWN = 20
"""Lines that a check's table shows."""

_WARN, _ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR

_MANIFEST_CHECKS = {
    "rows_rejected": "No row was set aside. Bad rows never stop good ones, so this warns.",
    "duplicate_pairs": "No two rows ask for the very same video. Both would be paid for.",
    "cost_within_budget": "What is not stored yet costs no more than a run, and a day, may spend.",
}
_TABLE_CHECKS = {
    "every_clip_stored": "Every wanted clip is stored. Warns while some are under way, fails where some have failed.",
    "spend_is_the_ledgers": "The costs in the table add up to what the ledger says of the same videos.",
}


def manifest_check_specs(names: Names) -> list[dg.AssetCheckSpec]:
    """The checks that reading the manifest answers."""
    return [dg.AssetCheckSpec(name, asset=names.manifest, description=text) for name, text in _MANIFEST_CHECKS.items()]


def table_check_specs(names: Names) -> list[dg.AssetCheckSpec]:
    """The checks that writing the videos table answers."""
    return [dg.AssetCheckSpec(name, asset=names.video_table, description=text) for name, text in _TABLE_CHECKS.items()]


def video_check_specs(names: Names) -> list[dg.AssetCheckSpec]:
    """The checks of stored films: only a file that can't be used at all blocks what comes after it."""
    return [
        dg.AssetCheckSpec(
            check.name,
            asset=names.video,
            blocking=check.severity is Severity.ERROR,
            description=f"Fails where this holds for a film: {check.sentence}",
        )
        for check in CHECKS.values()
    ]


def build_video_checks(names: Names) -> dg.AssetChecksDefinition:
    """The checks of all stored films as one op, for who asks for them alone; nothing is measured anew."""

    @dg.multi_asset_check(
        name=names.of("video_checks"),
        specs=video_check_specs(names),
        can_subset=True,
        required_resource_keys={names.of("kf2v_project")},
    )
    def video_checks(context: dg.AssetCheckExecutionContext) -> Iterable[dg.AssetCheckResult]:
        chosen = {key.name for key in context.selected_asset_check_keys}
        for result in video_results(names, names.project(context)):
            if result.check_name in chosen:
                yield result

    return video_checks


def manifest_results(names: Names, project: Project, plan: Plan) -> Iterator[dg.AssetCheckResult]:
    """What reading a manifest says of its checks."""
    rejected = [problem for problem in plan.problems if problem.blocking]
    count = len({problem.row for problem in rejected})
    yield _result(
        names.manifest,
        "rows_rejected",
        passed=not rejected,
        sentence=f"{counted(count, 'row')} set aside; the others go on." if rejected else "Every row is good.",
        metadata={"rows": count, **_rows_table(rejected)},
    )
    pairs = Counter(clip.fingerprint for clip in plan.clips)
    twins = [clip for clip in plan.clips if pairs[clip.fingerprint] > 1]
    yield _result(
        names.manifest,
        "duplicate_pairs",
        passed=not twins,
        sentence=f"{len(twins)} rows ask for a video that another row asks for too; each is paid for."
        if twins
        else "No two rows ask for the same video.",
        metadata={"rows": len(twins), "clips": ", ".join(clip.clip_id for clip in twins[:_SHOWN])},
    )
    yield _budget_result(names, project, plan)


def _budget_result(names: Names, project: Project, plan: Plan) -> dg.AssetCheckResult:
    missing = project.ledger.unstored(project.manifest_name)
    cost = total_by_currency(money for clip_id, money in plan.prices.items() if money and clip_id in missing)
    budget = project.budget
    limits = {"a run": budget.per_run, "a day": budget.per_day}
    passed = not any(limit is not None and amount > limit for limit in limits.values() for amount in cost.values())
    said = ", ".join(f"{limit:f} for {scope}" for scope, limit in limits.items() if limit is not None)
    sentence = f"What is not stored yet costs {amounts(cost)}; the budget is {said or 'not limited'}."
    if not passed:
        sentence += " Clips beyond it wait for the next run or day."
    return _result(
        names.manifest,
        "cost_within_budget",
        passed=passed,
        sentence=sentence,
        metadata={f"cost_{currency}": float(amount) for currency, amount in cost.items()},
    )


def video_results(names: Names, project: Project) -> Iterator[dg.AssetCheckResult]:
    """What the films of the wanted clips say of each check, by what was measured when they were stored."""
    newest = project.ledger.newest(project.wanted())
    stored = {attempt.attempt_id: clip_id for clip_id, attempt in newest.items() if attempt.video_path}
    measured = project.ledger.qualities(stored)
    asked: Counter[str] = Counter()
    found: dict[str, list[tuple[str, Flaw]]] = defaultdict(list)
    for attempt_id, quality in measured.items():
        asked.update(check.name for check in CHECKS.values() if check.measure(quality) is not None)
        for flaw in flaws(quality):
            found[flaw.check].append((stored[attempt_id], flaw))
    for check in CHECKS.values():
        flawed = sorted(found[check.name], key=lambda each: each[0])
        rows = [{"clip": clip_id, "value": flaw.value, "threshold": flaw.threshold} for clip_id, flaw in flawed]
        sentence = f"{asked[check.name] - len(rows)} of {asked[check.name]} films pass."
        if not asked[check.name]:
            sentence = f"No film was measured for this yet; {len(stored)} are stored."
        metadata: dict[str, Any] = {"flawed": len(rows), "asked": asked[check.name], "stored": len(stored)}
        if rows:
            sentence = f"{check.sentence} So it is with {len(rows)} of {asked[check.name]} films."
            metadata["clips"] = table(rows[:_SHOWN], ("clip", "value", "threshold"))
        yield _result(
            names.video,
            check.name,
            passed=not rows,
            sentence=sentence,
            metadata=metadata,
            severity=SEVERITY[check.severity],
        )


def report_video_checks(context: dg.OpExecutionContext, names: Names, project: Project) -> None:
    """Tells Dagster what the films say, from within a run: an event per check, however many clips there are."""
    results = video_results(names, project)
    report(context, (result for result in results if result.metadata["asked"].value))


def bills_of(attempts: Iterable[Attempt]) -> list[tuple[str, Money]]:
    """What attempts cost, each with its model; those that have no bill are left out."""
    return [(attempt.model, bill) for attempt in attempts if (bill := attempt.bill) is not None]


def table_results(
    names: Names, project: Project, rows: Sequence[Row], bills: Iterable[Money]
) -> Iterator[dg.AssetCheckResult]:
    """What the videos table, as it lies in the storage, says of its checks.

    Args:
        rows: As they were written.
        bills: What the ledger said of the same videos when the rows were made.
    """
    counts = Counter(str(row["status"]) for row in rows)
    failed = [row for row in rows if row["status"] == Standing.FAILED.value]
    missing = len(rows) - counts[Standing.STORED.value]
    yield _result(
        names.video_table,
        "every_clip_stored",
        passed=not missing,
        sentence=f"{missing} of {len(rows)} clips are not stored: {len(failed)} failed, the others are under way."
        if missing
        else f"All {len(rows)} clips are stored.",
        metadata={**counts, **_failed_table(failed)},
        severity=_ERROR if failed else _WARN,
    )
    written = total_by_currency(
        Money(amount=Decimal(str(row["cost"])), currency=row["currency"])
        for row in read_videos_table(project.store)
        if row["cost"] is not None and row["currency"]
    )
    billed = total_by_currency(bills)
    if written != billed:  # another run may have written its own table in the last seconds
        billed = total_by_currency(money for _, money in bills_of(project.ledger.newest(project.wanted()).values()))
    everything = {money.currency: money.amount for money in project.ledger.spend()}
    yield _result(
        names.video_table,
        "spend_is_the_ledgers",
        passed=written == billed,
        sentence=f"The table says {amounts(written)}, the ledger {amounts(billed)} for these videos and "
        f"{amounts(everything)} for all that was ever paid, older versions of rows among it.",
        metadata={f"cost_{currency}": float(amount) for currency, amount in billed.items()},
        severity=_ERROR,
    )


def report(context: dg.OpExecutionContext, results: Iterable[dg.AssetCheckResult]) -> None:
    """Tells Dagster the results from within an op of a job, which has no outputs for them."""
    for result in results:
        evaluation = dg.AssetCheckEvaluation(
            asset_key=_key(result),
            check_name=str(result.check_name),
            passed=result.passed,
            severity=result.severity,
            description=result.description,
            metadata=result.metadata,
        )
        log_check(context, evaluation)


def _key(result: dg.AssetCheckResult) -> dg.AssetKey:
    assert isinstance(result.asset_key, dg.AssetKey)  # noqa: S101  # each of ours names its asset
    return result.asset_key


def _result(
    key: dg.AssetKey,
    name: str,
    *,
    passed: bool,
    sentence: str,
    metadata: Mapping[str, Any],
    severity: dg.AssetCheckSeverity = _WARN,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key, check_name=name, passed=passed, severity=severity, description=sentence, metadata=metadata
    )


def _rows_table(problems: Sequence[Problem]) -> dict[str, Any]:
    if not problems:
        return {}
    return {"rejected": table((vars(each) for each in problems[:_SHOWN]), ("row", "clip_id", "column", "what", "fix"))}


def _failed_table(failed: Sequence[Row]) -> dict[str, Any]:
    if not failed:
        return {}
    return {"failed_clips": table(failed[:_SHOWN], ("clip_id", "error_code", "error_message"))}
