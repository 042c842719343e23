"""Which lanes may make the clip of a row that leaves the choice to us (service: auto). Who takes it is the pool's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from kf2v_pipeline.domain.clip import AUTO
from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.settings import PromptMode
from kf2v_pipeline.storage.manifest import Row
from kf2v_pipeline.wan.service import Model, Service
from kf2v_pipeline.workflow.flaw import Flaw

_EXAMPLE = "singapore/wan2.2-kf2v-flash,singapore/wan2.1-kf2v-plus"


class Offer(NamedTuple):
    """What a row's service and model are."""

    service: Service
    model: Model

    @property
    def lane(self) -> str:
        """Name of the quota."""
        return f"{self.service.name}/{self.model.name}"


Judge = Callable[[Model, PromptMode], Iterable[Flaw]]
"""What a model minds in a row."""


def leaves_choice(row: Row) -> bool:
    """Whether the row asks for ``service: auto``."""
    return row.service is not None and row.service.lower() == AUTO


def able_offers(
    row: Row, offers: Mapping[str, Offer | Flaw], judge: Judge, long_prompts: PromptMode
) -> tuple[Offer, ...] | Flaw:
    """The lanes that may make the row's clip, or why there are none.

    What is not written in the row must not depend on the lane, or another choice of lanes would be another video.

    Args:
        offers: What each configured lane is, by the name that a person gave it.
    """
    unusable = {name: offer for name, offer in offers.items() if isinstance(offer, Flaw)}
    if row.model is not None:
        return Flaw("model", "with service auto the lane says the model", "leave it empty, or name the service")
    if not offers:
        what = "auto means any of the lanes in KF2V_LANES, and it names none"
        return Flaw("service", what, f"set it, for example to {_EXAMPLE}, or name the service")
    for name, flaw in unusable.items():
        return Flaw("service", f"the lane {name} in KF2V_LANES can't be used, since {flaw.what}", flaw.fix)
    usable = [offer for offer in offers.values() if isinstance(offer, Offer)]
    able = _able(usable, judge, long_prompts)
    if able:
        return _difference(row, able) or tuple(able)
    flaws = [_blocking(judge(offer.model, long_prompts))[0] for offer in usable]
    whats = "; ".join(dict.fromkeys(flaw.what for flaw in flaws))
    return Flaw(flaws[0].column, f"no lane in KF2V_LANES can make it: {whats}", flaws[0].fix)


def _able(usable: Sequence[Offer], judge: Judge, long_prompts: PromptMode) -> list[Offer]:
    """Lanes that read all of a prompt; where there are none and it may be cut, those that cut least."""
    able = [offer for offer in usable if not _blocking(judge(offer.model, "refuse"))]
    if able or long_prompts == "refuse":
        return able
    able = [offer for offer in usable if not _blocking(judge(offer.model, long_prompts))]
    most = max((offer.model.prompt_max_chars for offer in able), default=0)
    return [offer for offer in able if offer.model.prompt_max_chars == most]


def _difference(row: Row, able: Sequence[Offer]) -> Flaw | None:
    """What the row leaves empty and its lanes would fill in differently."""
    resolutions = dict.fromkeys(offer.model.default_resolution for offer in able)
    if row.resolution is None and len(resolutions) > 1:
        return Flaw("resolution", f"its lanes choose {' or '.join(resolutions)} where it is empty", "write one")
    lengths = dict.fromkeys(str(offer.model.default_duration_s) for offer in able)
    if row.duration_s is None and len(lengths) > 1:
        return Flaw("duration", f"its lanes choose {' or '.join(lengths)} s where it is empty", "write one")
    return None


def dearest(prices: Sequence[Money | None]) -> Money | None:
    """The most that a clip may cost, whichever lane takes it; None where that is not known."""
    known = [price for price in prices if price is not None]
    if len(known) < len(prices) or len({price.currency for price in known}) != 1:
        return None
    return max(known, key=lambda price: price.amount)


def _blocking(flaws: Iterable[Flaw]) -> list[Flaw]:
    return [flaw for flaw in flaws if flaw.blocking]
