"""The learned flow network (RIFE, Huang et al., ECCV 2022, as published in version 4.25) computed by OpenCV.

Only its weights come from elsewhere; where from, belongs to ``weights``. What is made of its answer, to ``learned``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from .checkpoint import CheckpointError, read_checkpoint
from .graph import Graph
from .picture import Bytes, Floats

SIDE = 64
"""Both sides of the pictures are multiples of this: its coarsest block works at a sixteenth and halves that twice."""

_SCALES = (16, 8, 4, 2, 1)
"""How much smaller than the pictures each of its blocks works, the coarsest first."""

Tensors = Mapping[str, Floats]


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What the network says about an instant, each ``(height, width, ...)`` of the pictures.

    Attributes:
        to_first: Pixels ``(x, y)`` from a place at that instant to where the first picture shows the same.
        to_last: The same for the last picture.
        share: Of the first picture, 0 to 1.
    """

    to_first: Floats
    to_last: Floats
    share: Floats


class FlowNetwork:
    """The network for pictures of one size."""

    def __init__(self, tensors: Tensors, width: int, height: int) -> None:
        """Build it; both sides are multiples of ``SIDE``.

        Raises:
            CheckpointError: Tensors are missing, or OpenCV can't load what was made of them.
        """
        try:
            model = np.frombuffer(network_bytes(tensors, width, height), np.uint8)
            self._net = cv2.dnn.readNetFromONNX(model)
        except (KeyError, ValueError, cv2.error) as error:
            raise CheckpointError(f"The learned flow's weights do not fit its network: {error}.") from error
        self._shape = (1, 1, height, width)

    def ask(self, first: Bytes, last: Bytes, instant: float) -> Answer:
        """Ask about an instant between two luma pictures, after 0 and before 1."""
        for name, picture in (("first", first), ("last", last)):
            channel = picture.astype(np.float32)[None, None] / 255
            self._net.setInput(np.repeat(channel, 3, axis=1), name)
        self._net.setInput(np.full(self._shape, instant, np.float32), "instant")
        flow, mask = self._net.forward(["flow", "mask"])
        planes = np.ascontiguousarray(flow[0].transpose(1, 2, 0))
        share = 1 / (1 + np.exp(-np.clip(mask[0, 0], -30, 30)))
        return Answer(to_first=planes[..., :2].copy(), to_last=planes[..., 2:].copy(), share=share)


@lru_cache(maxsize=1)
def tensors_of(path: Path) -> Tensors:
    """The weights in a file, read once in a process.

    Raises:
        CheckpointError: The file can't be read.
    """
    return read_checkpoint(path)


@lru_cache(maxsize=4)
def network_of(path: Path, width: int, height: int) -> FlowNetwork:
    """The network for pictures of a size; building one takes some tenths of a second, so a few are kept.

    Raises:
        CheckpointError: The weights can't be read, or do not fit.
    """
    return FlowNetwork(tensors_of(path), width, height)


def network_bytes(tensors: Tensors, width: int, height: int) -> bytes:
    """The network as ONNX, for pictures of a size."""
    net = _Network(tensors, width, height)
    flow, mask = net.build()
    graph = net.graph
    outputs = graph.rename(flow, "flow"), graph.rename(mask, "mask")
    return graph.to_bytes([(outputs[0], (1, 4, height, width)), (outputs[1], (1, 1, height, width))])


class _Network:
    """The network's parts; every method adds nodes and returns the name of what they compute."""

    def __init__(self, tensors: Tensors, width: int, height: int) -> None:
        self.graph = Graph()
        self._tensors, self._width, self._height = tensors, width, height
        across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
        self._home = self.graph.hold(np.stack([across, down], axis=2)[None].astype(np.float32))
        self._to_grid = self.graph.hold(np.array([2 / (width - 1), 2 / (height - 1)], np.float32).reshape(1, 2, 1, 1))

    def build(self) -> tuple[str, str]:
        """Flow to both pictures, and what speaks for the first one (before the sigmoid)."""
        graph = self.graph
        size = (self._height, self._width)
        first, last = (graph.take(name, (1, 3, *size)) for name in ("first", "last"))
        instant = graph.take("instant", (1, 1, *size))
        seen = self._features(first), self._features(last)
        flow, mask, rest = self._block(0, graph.add("Concat", [first, last, *seen, instant], axis=1), None)
        for index in range(1, len(_SCALES)):
            ways = self._slice(flow, 0, 2), self._slice(flow, 2, 4)
            met = [self._moved(what, way) for what, way in zip((first, last, *seen), ways * 2, strict=True)]
            change, mask, rest = self._block(index, graph.add("Concat", [*met, instant, mask, rest], axis=1), flow)
            flow = graph.add("Add", [flow, change])
        return flow, mask

    def _features(self, picture: str) -> str:
        hidden = self._bent(self._conv(picture, "encode.cnn0", stride=2))
        for layer in ("encode.cnn1", "encode.cnn2"):
            hidden = self._bent(self._conv(hidden, layer))
        return self._unconv(hidden, "encode.cnn3")

    def _block(self, index: int, seen: str, flow: str | None) -> tuple[str, str, str]:
        """One block: the change of flow that it finds, the mask, and what it hands on."""
        graph, name, scale = self.graph, f"block{index}", _SCALES[index]
        seen = self._scaled(seen, 1 / scale)
        if flow is not None:
            seen = graph.add("Concat", [seen, self._times(self._scaled(flow, 1 / scale), 1 / scale)], axis=1)
        for part in range(2):
            seen = self._bent(self._conv(seen, f"{name}.conv0.{part}.0", stride=2))
        for part in range(8):
            seen = self._bent(graph.add("Add", [self._conv(seen, f"{name}.convblock.{part}.conv", scaled=True), seen]))
        found = graph.add("DepthToSpace", [self._unconv(seen, f"{name}.lastconv.0")], blocksize=2, mode="CRD")
        found = self._scaled(found, scale)
        return self._times(self._slice(found, 0, 4), scale), self._slice(found, 4, 5), self._slice(found, 5, 13)

    def _conv(self, source: str, layer: str, *, stride: int = 1, scaled: bool = False) -> str:
        weight, bias = self._tensors[f"{layer}.weight"], self._tensors[f"{layer}.bias"]
        if scaled:  # a learned factor for each channel, multiplied in
            factor = self._tensors[f"{layer.removesuffix('.conv')}.beta"].reshape(-1)
            weight, bias = weight * factor[:, None, None, None], bias * factor
        inputs = [source, self.graph.hold(weight), self.graph.hold(bias)]
        return self.graph.add("Conv", inputs, kernel_shape=weight.shape[2:], strides=[stride] * 2, pads=[1] * 4)

    def _unconv(self, source: str, layer: str) -> str:
        weight, bias = self._tensors[f"{layer}.weight"], self._tensors[f"{layer}.bias"]
        inputs = [source, self.graph.hold(weight), self.graph.hold(bias)]
        return self.graph.add("ConvTranspose", inputs, kernel_shape=weight.shape[2:], strides=[2, 2], pads=[1] * 4)

    def _bent(self, source: str) -> str:
        return self.graph.add("LeakyRelu", [source], alpha=0.2)

    def _times(self, source: str, factor: float) -> str:
        return source if factor == 1 else self.graph.add("Mul", [source, self.graph.hold(np.array(factor, np.float32))])

    def _scaled(self, source: str, factor: float) -> str:
        if factor == 1:
            return source
        scales = self.graph.hold(np.array([1, 1, factor, factor], np.float32))
        inputs = [source, "", scales]
        return self.graph.add("Resize", inputs, mode="linear", coordinate_transformation_mode="half_pixel")

    def _slice(self, source: str, start: int, stop: int) -> str:
        marks = (self.graph.hold(np.array([mark], np.int64)) for mark in (start, stop, 1))
        return self.graph.add("Slice", [source, *marks])

    def _moved(self, source: str, flow: str) -> str:
        """What is seen where the flow leads."""
        offset = self.graph.add("Transpose", [self.graph.add("Mul", [flow, self._to_grid])], perm=[0, 2, 3, 1])
        places = self.graph.add("Add", [self._home, offset])
        inputs = [source, places]
        return self.graph.add("GridSample", inputs, mode="bilinear", padding_mode="border", align_corners=1)
