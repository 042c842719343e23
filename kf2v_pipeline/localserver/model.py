"""The models that the server serves, as data: path, values, quotas. Facts of the vendor's pages, see each comment.

Prices do not belong here: the service never tells them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

IMAGE_TO_VIDEO = "image2video"
VIDEO_GENERATION = "video-generation"


class UsageShape(Enum):
    """How ``usage`` of a succeeded task tells the resolution."""

    RATIO = "video_ratio"
    """``"video_ratio": "standard"``, and no resolution (2.1 models)."""
    SR = "SR"
    """``"SR": 720`` (2.2 models)."""
    SR_TEXT = "SR as text"
    """``"SR": "720"``, with the durations of what came in and went out (2.7 models, sample of the vendor's SDK)."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model.

    Attributes:
        family: Part of the create path that the model is bound to.
        submit_rps: Creates that an account may send in a second.
        in_process: Tasks of an account that run at the same time.
        shortest_s: Least length of a film; equal to ``longest_s`` where it is fixed.
        frame_max_bytes: Largest file of one frame.
        max_aspect: Longest side over shortest side of a frame; None where no limit is stated.
        takes_media: Frames come as ``input.media``, not as ``first_frame_url`` and ``last_frame_url``.
    """

    name: str
    family: str = IMAGE_TO_VIDEO
    resolutions: tuple[str, ...] = ("720P",)
    default_resolution: str = "720P"
    submit_rps: int = 2
    in_process: int = 2
    shortest_s: int = 5
    longest_s: int = 5
    prompt_limit: int = 800
    negative_prompt_limit: int = 500
    frame_max_bytes: int = 10 * 1024 * 1024
    max_aspect: int | None = None
    takes_media: bool = False
    usage: UsageShape = UsageShape.RATIO


_WAN_27 = Model(  # page "image-to-video (wan2.7)": media protocol, 720P and 1080P, 2 to 15 s, frames to 20 MB
    name="wan2.7-i2v",
    family=VIDEO_GENERATION,
    resolutions=("1080P", "720P"),
    default_resolution="1080P",
    submit_rps=5,
    in_process=5,
    shortest_s=2,
    longest_s=15,
    prompt_limit=5000,
    frame_max_bytes=20 * 1024 * 1024,
    max_aspect=8,
    takes_media=True,
    usage=UsageShape.SR_TEXT,
)

MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        Model(  # page "first and last frame to video (2.2)" and the rate table: 2 creates a second, 2 in process
            name="wan2.2-kf2v-flash", resolutions=("480P", "720P", "1080P"), usage=UsageShape.SR
        ),
        Model(name="wanx2.1-kf2v-plus"),
        Model(name="wan2.1-kf2v-plus"),  # 2 creates a second in the rate table of 2025-06, 1 in a later one
        _WAN_27,
        replace(_WAN_27, name="wan2.7-i2v-2026-04-25"),
    )
}
"""Every model by its name."""
