"""Weights out of a PyTorch checkpoint, without PyTorch and without running anything that the file says."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from .picture import Floats

_TYPES = {"FloatStorage": np.float32, "HalfStorage": np.float16, "DoubleStorage": np.float64, "LongStorage": np.int64}


class CheckpointError(ValueError):
    """A file is no checkpoint that can be read. Its text is one sentence for a person."""


def read_checkpoint(path: Path) -> dict[str, Floats]:
    """The tensors of a checkpoint by name, in single precision.

    Since version 1.6 PyTorch writes a ZIP archive: a pickle that describes the tensors, and a file of raw numbers for
    each. The pickle is read by an unpickler that knows five names and refuses all others.

    Raises:
        CheckpointError: The file is something else, or names what no plain checkpoint names.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (index,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            tensors = _Reader(archive, index.removesuffix("data.pkl")).load()
    except (OSError, zipfile.BadZipFile, pickle.UnpicklingError, ValueError, KeyError, EOFError) as error:
        raise CheckpointError(f"{path.name} can't be read as a checkpoint: {error}.") from error
    if not isinstance(tensors, dict) or not all(isinstance(tensor, np.ndarray) for tensor in tensors.values()):
        raise CheckpointError(f"{path.name} holds something other than named tensors.")
    return {str(name): np.asarray(tensor, np.float32) for name, tensor in tensors.items()}


class _Reader(pickle.Unpickler):
    """Knows what a table of tensors is made of, and nothing else."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}data.pkl")))
        self._archive, self._folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        """What a name of the pickle stands for."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise pickle.UnpicklingError(f"it names {module}.{name}, which no plain checkpoint does")

    def persistent_load(self, pid: Any) -> Any:
        """The numbers of one storage."""
        _, kind, key, _, count = pid
        if not str(key).isdigit():
            raise pickle.UnpicklingError(f"it keeps numbers under the odd name {key!r}")
        return np.frombuffer(self._archive.read(f"{self._folder}data/{key}"), kind, count)


def _tensor(storage: Floats, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Floats:
    """A tensor of consecutive numbers; no other layout occurs in checkpoints."""
    size = int(np.prod(shape))
    if offset + size > len(storage) or stride != tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))):
        raise pickle.UnpicklingError("it describes a tensor that does not fit its numbers")
    return np.array(storage[offset : offset + size]).reshape(shape)
