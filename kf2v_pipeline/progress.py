"""Shows in the terminal how a drive goes: a live bar, or plain lines where there is no terminal."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.domain.price import Money, total_by_currency
from kf2v_pipeline.workflow.outcome import Outcome, Verdict

_WORDS = {
    State.PREPARED: "sending",
    State.UNCONFIRMED: "unconfirmed",
    State.SUBMITTED: "rendering",
    State.SUCCEEDED: "downloading",
}
_MARKS = {
    Verdict.STORED: ("✓", "green"),
    Verdict.ALREADY_STORED: ("✓", "dim"),
    Verdict.FAILED: ("✗", "red"),
    Verdict.LEFT: ("…", "yellow"),
}
_ACTIVE_SHOWN = 8


class ProgressListener:
    """A listener for people. Use it as a context manager.

    Args:
        console: Where to write; plain lines where it is no terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: dict[str, State] = {}
        self._counts: Counter[Verdict] = Counter()
        self._spend: list[Money] = []
        self._progress = Progress(
            TextColumn("[bold]clips"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[spend]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self._bar = self._progress.add_task("clips", total=None, spend="")
        self._live = Live(get_renderable=self._picture, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> ProgressListener:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def begun(self, clips: int) -> None:
        """A drive over so many clips begins."""
        self._progress.update(self._bar, total=clips)

    def moved(self, clip_id: str, state: State) -> None:
        """A clip's newest attempt came into this state."""
        if state in _WORDS:
            self._states[clip_id] = state
        else:
            self._states.pop(clip_id, None)

    def ended(self, outcome: Outcome) -> None:
        """A clip is decided, or left for the next drive."""
        self._states.pop(outcome.clip.clip_id, None)
        self._counts[outcome.verdict] += 1
        attempt = outcome.attempt
        if outcome.verdict is Verdict.STORED and attempt and attempt.cost and attempt.currency:
            self._spend.append(Money(amount=attempt.cost, currency=attempt.currency))
        self._progress.update(self._bar, completed=self._counts.total(), spend=_amounts(self._spend))
        if outcome.verdict is not Verdict.ALREADY_STORED:
            self._console.print(self._line(outcome))

    def noticed(self, sentence: str) -> None:
        """Something that a person should read once."""
        self._console.print(Text(f"! {sentence}", style="yellow"))

    def stopped(self, lane: str, code: str, *, is_left: bool) -> None:
        """A sentence has said so."""

    def _line(self, outcome: Outcome) -> Text:
        mark, style = _MARKS[outcome.verdict]
        count = f"{self._counts.total()}/{int(self._progress.tasks[0].total or 0) or '?'}"
        line = Text.assemble((f"{mark} ", style), (f"{count}  ", "dim"), outcome.clip.clip_id)
        attempt = outcome.attempt
        if outcome.verdict is Verdict.STORED and attempt:
            line.append(f"  {attempt.width}x{attempt.height}  {attempt.video_path}", style="dim")
        elif outcome.message:
            line.append(f"  {outcome.code}: {outcome.message}", style=style)
        return line

    def _picture(self) -> RenderableType:
        active = [
            Text(f"  {_WORDS[state]:<12} {clip_id}", style="cyan")
            for clip_id, state in list(self._states.items())[:_ACTIVE_SHOWN]
        ]
        hidden = len(self._states) - len(active)
        if hidden > 0:
            active.append(Text(f"  and {hidden} more in flight", style="dim"))
        return Group(*active, self._progress)


def _amounts(spend: list[Money]) -> str:
    totals: dict[str, Decimal] = total_by_currency(spend)
    return "  ".join(f"{amount:.2f} {currency}" for currency, amount in totals.items())
