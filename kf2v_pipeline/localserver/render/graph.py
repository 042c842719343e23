"""A network as ONNX bytes, which OpenCV loads: the few parts of that format that a flow network needs.

Fields and numbers are those of onnx.proto3. What the network computes belongs to ``network``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np

from .picture import Floats

Attribute = float | int | str | Sequence[int]
_VARINT, _BYTES, _FLOAT = 0, 2, 5  # wire types
_OPSET = 16  # the first with GridSample


class Graph:
    """Nodes in the order in which they are computed; each one's output is known by the name that adding it returns."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []
        self._inputs: list[bytes] = []

    def take(self, name: str, shape: Sequence[int]) -> str:
        """An input of the network, of floats."""
        self._inputs.append(_value(name, shape))
        return name

    def hold(self, values: Floats) -> str:
        """A constant: single precision, or 64 bit whole numbers."""
        name = f"c{len(self._constants)}"
        whole = values.dtype == np.int64
        raw = np.ascontiguousarray(values, np.int64 if whole else np.float32).tobytes()
        dims = b"".join(_number(1, side) for side in values.shape)
        self._constants.append(dims + _number(2, 7 if whole else 1) + _text(8, name) + _field(9, raw))
        return name

    def add(self, kind: str, inputs: Iterable[str], **attributes: Attribute) -> str:
        """A node of an ONNX operator with one output."""
        name = f"n{len(self._nodes)}"
        node = b"".join(_text(1, source) for source in inputs) + _text(2, name) + _text(3, name) + _text(4, kind)
        self._nodes.append(node + b"".join(_field(5, _attribute(*pair)) for pair in attributes.items()))
        return name

    def rename(self, source: str, name: str) -> str:
        """The same under a name of one's own, for an output."""
        self._nodes.append(_text(1, source) + _text(2, name) + _text(3, name) + _text(4, "Identity"))
        return name

    def to_bytes(self, outputs: Iterable[tuple[str, Sequence[int]]]) -> bytes:
        """The whole model, with these outputs and their shapes."""
        graph = b"".join(_field(1, node) for node in self._nodes) + _text(2, "flow")
        graph += b"".join(_field(5, constant) for constant in self._constants)
        graph += b"".join(_field(11, value) for value in self._inputs)
        graph += b"".join(_field(12, _value(name, shape)) for name, shape in outputs)
        return _number(1, 8) + _field(7, graph) + _field(8, _number(2, _OPSET))


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, str):
        return _text(1, name) + _text(4, value) + _number(20, 3)
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    if isinstance(value, float):
        return _text(1, name) + _key(2, _FLOAT) + struct.pack("<f", value) + _number(20, 1)
    return _text(1, name) + b"".join(_number(8, part) for part in value) + _number(20, 7)


def _value(name: str, shape: Sequence[int]) -> bytes:
    dims = b"".join(_field(1, _number(1, side)) for side in shape)
    return _text(1, name) + _field(2, _field(1, _number(1, 1) + _field(2, dims)))


def _text(field: int, text: str) -> bytes:
    return _field(field, text.encode())


def _field(field: int, payload: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(payload)) + payload


def _number(field: int, value: int) -> bytes:
    return _key(field, _VARINT) + _varint(value)


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
