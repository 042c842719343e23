"""The few words of a prompt that this renderer can honestly follow: camera, timing, grain. It reads nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar

from .camera import Easing, Move

_CAMERA = r"(?:camera|shot|lens|view)\b[^.;,!?]{0,40}?\b"
_JINGTOU = r"镜头[^，。；！？]{0,12}?"

_Choice = TypeVar("_Choice")

_MOVES = {
    Move.ZOOM_IN: rf"\b(?:zoom|push|dolly|move|track)(?:s|es|ing)?[ -]?in\b|{_CAMERA}(?:closer|forwards?|approach\w*)"
    rf"|推近|推进|推镜|拉近|变焦放大|{_JINGTOU}(?:靠近|前进|前移)",
    Move.ZOOM_OUT: rf"\b(?:zoom|dolly)(?:s|ing)?[ -]?out\b|\bpull(?:s|ing)?[ -]?(?:out|back|away)\b"
    rf"|{_CAMERA}(?:backwards?|retreat\w*|recede\w*)|拉远|拉镜|变焦缩小|{_JINGTOU}(?:后退|后移|远离)",
    Move.PAN_LEFT: rf"\b(?:pan|truck|slide)(?:s|n?ing)? (?:to the )?left\b|{_CAMERA}(?:to the left|leftwards?|left)\b"
    rf"|左摇|{_JINGTOU}(?:左移|向左|往左)",
    Move.PAN_RIGHT: rf"\b(?:pan|truck|slide)(?:s|n?ing)? (?:to the )?right\b"
    rf"|{_CAMERA}(?:to the right|rightwards?|right)\b|右摇|{_JINGTOU}(?:右移|向右|往右)",
    Move.TILT_UP: rf"\b(?:tilt|crane|pedestal|boom)(?:s|ing)? up\b|{_CAMERA}(?:rise|rises|rising|upwards?|ascend\w*)\b"
    rf"|上摇|升镜|{_JINGTOU}(?:上升|上移|向上|升起|抬升)",
    Move.TILT_DOWN: rf"\b(?:tilt|crane|pedestal|boom)(?:s|ing)? down\b"
    rf"|{_CAMERA}(?:descend\w*|downwards?|lower(?:s|ing))\b|下摇|降镜|{_JINGTOU}(?:下降|下移|向下|降落)",
    Move.ROLL: rf"\b(?:orbit|roll)(?:s|ing)?\b(?= (?:around|shot|camera))|{_CAMERA}(?:orbit|circle|rotate|roll|spin)\w*"
    rf"|环绕|{_JINGTOU}旋转",
    Move.STILL: r"\b(?:static|locked(?:[ -]off)?|fixed|stationary|motionless) (?:camera|shot|view)\b"
    r"|\b(?:camera|shot) (?:is|stays|remains) (?:static|still|fixed|locked)|固定镜头|镜头固定|镜头静止|机位固定",
}

_EASINGS = {
    Easing.STEADY: r"\b(?:constant|steady|uniform|linear) (?:speed|pace|motion|movement)\b|匀速",
    Easing.START_FAST: r"\b(?:fast|quick|sudden) start\b|\bslow(?:s|ing) down\b|\bdecelerat\w+|减速",
    Easing.START_SLOW: r"\bslow start\b|\bspeed(?:s|ing) up\b|\baccelerat\w+|加速",
    Easing.HOLD: r"\b(?:hold|pause|rest)s? (?:at|on) (?:the|both) (?:start|end|ends|beginning)\b|停顿",
    Easing.SMOOTH: r"\b(?:slow(?:ly)?|gentl[ey]|gradual(?:ly)?|smooth(?:ly)?)\b|缓慢|缓缓|慢慢|逐渐",
}

_HANDHELD = r"\bhand-?held\b|\bshaky cam\w*|手持"
_GRAIN = r"\bfilm grain\b|\bgrainy\b|胶片颗粒|颗粒感"
_DISSOLVE = r"\b(?:cross-?)?dissolv\w+|\bcross-?fad\w+|\bfad(?:e|es|ing) (?:in)?to\b|叠化|淡入淡出"

_NO_MOVE = r"\bcamera (?:movement|motion|move)s?\b|\bmoving camera\b|镜头移动|镜头运动|运镜"
_NO_ZOOM = r"\bzoom\w*|变焦|推拉"
_NO_PAN = r"\bpan(?:s|ning)?\b|\btilt\w*|摇镜"
_NO_HANDHELD = r"\bshak\w+|\bjitter\w*|\bhand-?held\b|抖动|晃动|手持"
_NO_GRAIN = r"\bgrain\w*|\bnois[ey]\w*|颗粒|噪点"
_NO_FLOW = r"\bmorph\w*|\bwarping\b|变形过渡"


@dataclass(frozen=True, kw_only=True)
class Direction:
    """What a prompt asks of this renderer.

    Attributes:
        move: The camera's; None where the prompt leaves it open.
        easing: How time passes.
        handheld: The camera trembles a little.
        grain: Film grain is added.
        flow: False where the pictures are to be dissolved, though motion between them may be known.
        unwanted: Moves that may not be chosen where the prompt leaves it open.
    """

    move: Move | None
    easing: Easing
    handheld: bool
    grain: bool
    flow: bool
    unwanted: frozenset[Move]


def read_direction(prompt: str | None, negative_prompt: str | None) -> Direction:
    """Read English and Chinese camera words; of several moves, the first named counts.

    The negative prompt takes away what this renderer would add, and nothing else.
    """
    wanted, refused = (prompt or "").lower(), (negative_prompt or "").lower()
    unwanted = _unwanted(refused)
    move = _first_named(_MOVES, wanted)
    return Direction(
        move=Move.STILL if move in unwanted else move,
        easing=_first_named(_EASINGS, wanted) or Easing.SMOOTH,
        handheld=_names(_HANDHELD, wanted) and not _names(_NO_HANDHELD, refused),
        grain=_names(_GRAIN, wanted) and not _names(_NO_GRAIN, refused),
        flow=not (_names(_DISSOLVE, wanted) or _names(_NO_FLOW, refused)),
        unwanted=unwanted,
    )


def _unwanted(refused: str) -> frozenset[Move]:
    moving = set(Move) - {Move.STILL}
    if _names(_NO_MOVE, refused):
        return frozenset(moving)
    zooms = {Move.ZOOM_IN, Move.ZOOM_OUT}
    unwanted: set[Move] = set()
    if _names(_NO_ZOOM, refused):
        unwanted |= zooms
    if _names(_NO_PAN, refused):
        unwanted |= moving - zooms - {Move.ROLL}
    return frozenset(unwanted)


def _names(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def _first_named(patterns: dict[_Choice, str], text: str) -> _Choice | None:
    found = ((match.start(), choice) for choice, pattern in patterns.items() if (match := re.search(pattern, text)))
    return min(found, key=lambda pair: pair[0], default=(0, None))[1]
