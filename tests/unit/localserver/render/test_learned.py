"""The learned flow: weights out of a checkpoint, a network out of the weights, motion out of the network."""

from __future__ import annotations

import struct
import zipfile

import cv2
import numpy as np
import pytest

from kf2v_pipeline.localserver.render.canvas import lay_out
from kf2v_pipeline.localserver.render.checkpoint import CheckpointError, read_checkpoint
from kf2v_pipeline.localserver.render.learned import learned_motion
from kf2v_pipeline.localserver.render.network import FlowNetwork
from kf2v_pipeline.localserver.render.path import CameraPath

WIDTH, HEIGHT = 128, 64


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def _described(key: str, tensor: np.ndarray) -> bytes:
    """A tensor as PyTorch pickles it, opcode by opcode."""
    storage = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(key) + _text("cpu")
    storage += b"J" + struct.pack("<i", tensor.size) + b"tQ"
    strides = tuple(int(np.prod(tensor.shape[axis + 1 :])) for axis in range(tensor.ndim))
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    inner = storage + b"K\x00" + _numbers(tensor.shape) + _numbers(strides) + hooks
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + inner + b"tR"


def write_checkpoint(path, tensors) -> None:
    described = b"".join(_text(name) + _described(str(key), t) for key, (name, t) in enumerate(tensors.items()))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("made/data.pkl", b"\x80\x02}(" + described + b"u.")
        for key, tensor in enumerate(tensors.values()):
            archive.writestr(f"made/data/{key}", tensor.astype("<f4").tobytes())


def tiny_tensors(drift: float) -> dict[str, np.ndarray]:
    """A network with few channels whose every block adds ``drift`` to the first flow and takes it from the second."""
    random = np.random.default_rng(1)
    tensors: dict[str, np.ndarray] = {}

    def layer(name, *shape, out):
        tensors[f"{name}.weight"] = (0.05 * random.standard_normal(shape)).astype(np.float32)
        tensors[f"{name}.bias"] = np.zeros(out, np.float32)

    layer("encode.cnn0", 4, 3, 3, 3, out=4)
    layer("encode.cnn1", 4, 4, 3, 3, out=4)
    layer("encode.cnn2", 4, 4, 3, 3, out=4)
    layer("encode.cnn3", 4, 4, 4, 4, out=4)
    for index in range(5):
        name = f"block{index}"
        layer(f"{name}.conv0.0.0", 2, 15 if index == 0 else 28, 3, 3, out=2)
        layer(f"{name}.conv0.1.0", 4, 2, 3, 3, out=4)
        for part in range(8):
            layer(f"{name}.convblock.{part}.conv", 4, 4, 3, 3, out=4)
            tensors[f"{name}.convblock.{part}.beta"] = np.ones((1, 4, 1, 1), np.float32)
        tensors[f"{name}.lastconv.0.weight"] = np.zeros((4, 52, 4, 4), np.float32)
        bias = np.zeros(52, np.float32)
        bias[0:4], bias[8:12] = drift, -drift  # four samples each of the first and of the third channel
        tensors[f"{name}.lastconv.0.bias"] = bias
    return tensors


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "made.pkl"
    write_checkpoint(path, tiny_tensors(drift=-0.125))
    return path


def test_a_checkpoint_gives_its_tensors_back(weights):
    read, made = read_checkpoint(weights), tiny_tensors(drift=-0.125)
    assert read.keys() == made.keys()
    assert all(np.array_equal(read[name], made[name]) for name in made)


def test_a_checkpoint_that_names_anything_else_is_refused(tmp_path):
    path = tmp_path / "bad.pkl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("made/data.pkl", b"cposix\nsystem\n(Vtouch\ntR.")
    with pytest.raises(CheckpointError, match=r"names posix\.system"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_file_that_is_no_checkpoint_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "broken.pkl"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"^broken\.pkl can't be read as a checkpoint"):
        read_checkpoint(path)


def test_every_block_of_the_network_adds_to_the_flow_in_pixels_of_the_pictures():
    picture = np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    answer = FlowNetwork(tiny_tensors(drift=0.25), WIDTH, HEIGHT).ask(picture, picture, 0.5)
    assert answer.to_first.shape == (HEIGHT, WIDTH, 2)
    assert answer.to_first[..., 0] == pytest.approx(0.25 * (16 + 8 + 4 + 2 + 1), abs=1e-3)
    assert answer.to_last[..., 0] == pytest.approx(-0.25 * 31, abs=1e-3)
    assert answer.share == pytest.approx(0.5)


def test_weights_that_do_not_fit_are_refused():
    tensors = tiny_tensors(drift=0)
    del tensors["block3.conv0.0.0.bias"]
    with pytest.raises(CheckpointError, match="do not fit"):
        FlowNetwork(tensors, WIDTH, HEIGHT)


def test_learned_motion_ends_where_each_picture_is(studio, weights):
    gray = cv2.cvtColor(studio.wall(7), cv2.COLOR_BGR2GRAY)
    first, last = (np.ascontiguousarray(gray[100:452, left : left + 640]) for left in (100, 130))
    canvas = lay_out(first, last, CameraPath.still(640, 352))
    assert canvas is not None
    (layer,) = learned_motion(canvas, weights).layers
    assert layer.to_first is not None
    assert layer.to_last is not None
    assert np.abs(layer.to_first[0]).max() == 0
    assert np.abs(layer.to_last[-1]).max() == 0
    middle = layer.to_first[2][88, 160]  # network pixels of 448 to a canvas of 640
    assert middle == pytest.approx([-0.125 * 31 * 640 / 448, 0], abs=0.05)


def test_broken_weights_leave_the_film_to_the_other_flow(studio, tmp_path):
    broken = tmp_path / "broken.pkl"
    broken.write_bytes(b"no archive")
    wall = studio.wall(7)
    first, last = wall[100:564, 100:932], wall[100:564, 140:972].copy()
    last[100:300, 200:500] = wall[400:600, 500:800]
    assert studio.film(first, last, weights=broken).report.frames == 30
