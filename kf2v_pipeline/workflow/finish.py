"""Finishes stored videos: measures each one once, and makes the cut that its row asks for. It never fails a clip.

What is missing is made up for whenever the tables are written; the raw film is never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from kf2v_pipeline.domain.aspect import DEFAULT_FIT, FITS, Fit, cut_size
from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.quality import Quality
from kf2v_pipeline.errors import Kf2vError, SettingsError, VideoError
from kf2v_pipeline.media.fit import SOURCE_TAG, film_size, fit_film, read_tags
from kf2v_pipeline.media.quality import Promise, measure_film
from kf2v_pipeline.storage.layout import cut_path
from kf2v_pipeline.storage.ledger import Cut, Ledger
from kf2v_pipeline.storage.store import Store, scratch_film
from kf2v_pipeline.wan.service import Service
from kf2v_pipeline.workflow.frames import Column, FrameSender
from kf2v_pipeline.workflow.seal import SealedAddresses

WORKERS = 2
"""Films that are finished side by side: each takes all of a processor."""

PATIENCE = timedelta(seconds=60)
"""How long missing films are made up for at one time; those that are left wait for the next."""

KF2V_FPS = 30.0
"""Pictures a second of the kf2v models (vendor page, "Output video"); other models' pages do not say."""


@dataclass(frozen=True, kw_only=True)
class Finisher:
    """Finishes the videos of one project.

    Attributes:
        sealed: Knows the addresses of frames that the ledger does not keep.
        service_for: The service of a clip by its name.
        folder: Where films wait that are not on this machine.
        measures: Whether films are measured; cuts are made all the same.
    """

    store: Store
    ledger: Ledger
    sealed: SealedAddresses
    service_for: Callable[[str], Service]
    clock: Callable[[], datetime]
    folder: Path
    measures: bool = True

    def has_work_with(self, clip: Clip) -> bool:
        """Whether the clip's video is to be measured or cut, once it is stored."""
        return self.measures or bool(clip.aspect)

    def finish(self, clip: Clip, attempt: Attempt, film: Path | None = None) -> tuple[str, ...]:
        """Does what is missing for one stored video; gives what a person should read of it.

        Args:
            attempt: A stored one.
            film: The video, where it is still on this machine.
        """
        clip = clip.in_lane(attempt.lane)
        try:
            measure = self.measures and not self.ledger.qualities([attempt.attempt_id])
            cut = cut_of(clip, self.ledger.cuts([attempt.attempt_id]), attempt) is None if clip.aspect else False
            if not (measure or cut):
                return ()
            here = film if film is not None and film.exists() else None
            with nullcontext(here) if here else self.store.at_hand(attempt.video_path or "", self.folder) as path:
                told = self._measure(clip, attempt, path) if measure else ()
                return (*told, *(self._make_cut(clip, attempt, path) if cut else ()))
        except Kf2vError as error:
            return (f"Clip {clip.clip_id}: its video is stored, and could not be finished: {error}",)
        except Exception as error:  # noqa: BLE001  # an odd film leads libraries to any error; the video is stored
            return (f"Clip {clip.clip_id}: its video is stored, and could not be measured or cut ({error}).",)

    def finish_missing(self, clips: Sequence[Clip], newest: Mapping[str, Attempt]) -> tuple[str, ...]:
        """Does what is missing for many videos, a few side by side, for a minute at most; gives what to read of it.

        Args:
            newest: The newest attempt of each clip's fingerprint, by clip_id.
        """
        found = list(self._missing(clips, newest))
        if not found:
            return ()
        until = self.clock() + PATIENCE

        def finish(clip: Clip, attempt: Attempt) -> tuple[str, ...]:
            return self.finish(clip, attempt) if self.clock() < until else ()

        with ThreadPoolExecutor(WORKERS, thread_name_prefix="finish") as pool:
            told = list(pool.map(finish, *zip(*found, strict=True)))
        return tuple(sentence for sentences in told for sentence in sentences)

    def _missing(self, clips: Sequence[Clip], newest: Mapping[str, Attempt]) -> Iterator[tuple[Clip, Attempt]]:
        stored = {name: attempt for name, attempt in newest.items() if attempt.state is State.STORED}
        ids = [attempt.attempt_id for attempt in stored.values()]
        measured = self.ledger.qualities(ids) if self.measures else dict.fromkeys(ids)
        cuts = self.ledger.cuts(ids) if any(clip.aspect for clip in clips) else {}
        for clip in clips:
            attempt = stored.get(clip.clip_id)
            if attempt is None:
                continue
            if attempt.attempt_id not in measured or (clip.aspect and cut_of(clip, cuts, attempt) is None):
                yield clip, attempt

    def _measure(self, clip: Clip, attempt: Attempt, path: Path) -> tuple[str, ...]:
        measured = measure_film(
            path,
            promise=self._promise(clip),
            first_frame=self._frame(clip, "first_frame"),
            last_frame=self._frame(clip, "last_frame"),
        )
        self.ledger.write_quality(attempt.attempt_id, measured.quality, at=self.clock())
        if not measured.broken_promises:
            return ()
        return (f"Clip {clip.clip_id}: its video is stored, and odd: {', '.join(measured.broken_promises)}.",)

    def _promise(self, clip: Clip) -> Promise:
        frame = clip.first_frame
        promise = Promise(duration_s=clip.duration_s, ratio=frame.width / frame.height if frame.is_seen else None)
        try:
            model = self.service_for(clip.service).model(clip.model)
        except SettingsError:  # the catalog does not know it any more
            return promise
        return replace(promise, fps=KF2V_FPS, silent=True) if model.protocol == "kf2v" else promise

    def _frame(self, clip: Clip, column: Column) -> bytes | None:
        return FrameSender(self.sealed).picture(clip, column)

    def _make_cut(self, clip: Clip, attempt: Attempt, path: Path) -> tuple[str, ...]:
        aspect, fit = clip.aspect or "", fit_of(clip)
        try:
            cut = self._cut(clip, attempt, path, aspect, fit)
        except VideoError as error:
            cut = Cut(aspect=aspect, fit=fit, cut_path=None, width=None, height=None, flaw=str(error))
        self.ledger.write_cut(attempt.attempt_id, cut, at=self.clock())
        return () if cut.flaw is None else (f"Clip {clip.clip_id}: no cut to {aspect} ({fit}): {cut.flaw}.",)

    def _cut(self, clip: Clip, attempt: Attempt, path: Path, aspect: str, fit: Fit) -> Cut:
        size = film_size(path)
        goal = cut_size(size, aspect, fit, first_frame=(clip.first_frame.width, clip.first_frame.height))
        if goal is None:
            raise VideoError(f"a film of {size[0]}x{size[1]} has no such cut; choose another aspect or fit")
        if goal == size:
            return Cut(aspect=aspect, fit=fit, cut_path=attempt.video_path, width=goal[0], height=goal[1])
        place = cut_path(clip.clip_id, clip.fingerprint, aspect, fit)
        if not self._has_cut(place, attempt, goal):
            with scratch_film(self.folder) as target:
                fit_film(path, target, size=goal, fit=fit, tags={SOURCE_TAG: attempt.sha256 or ""})
                self.store.put_file(target, place)
        return Cut(aspect=aspect, fit=fit, cut_path=place, width=goal[0], height=goal[1])

    def _has_cut(self, place: str, attempt: Attempt, goal: tuple[int, int]) -> bool:
        """Whether the cut is there from another ledger's time, made of this very film."""
        if not self.store.exists(place):
            return False
        with self.store.at_hand(place, self.folder) as path:
            try:
                return read_tags(path).get(SOURCE_TAG) == attempt.sha256 and film_size(path) == goal
            except VideoError:
                return False


def fit_of(clip: Clip) -> Fit:
    """How a clip's film is brought to its aspect."""
    return next((fit for fit in FITS if fit == clip.fit), DEFAULT_FIT)


def cut_of(clip: Clip, cuts: Mapping[tuple[str, str, str], Cut], attempt: Attempt) -> Cut | None:
    """The cut that a clip asks for, of those that are known; None where it was not tried yet, or none is asked for."""
    return cuts.get((attempt.attempt_id, clip.aspect, fit_of(clip))) if clip.aspect else None


def measured_of(ledger: Ledger, attempts: Mapping[str, Attempt]) -> dict[str, Quality]:
    """What the stored ones of these attempts measure, by clip_id."""
    stored = {name: attempt.attempt_id for name, attempt in attempts.items() if attempt.state is State.STORED}
    known = ledger.qualities(list(stored.values()))
    return {name: known[attempt_id] for name, attempt_id in stored.items() if attempt_id in known}
