"""Trains small networks for an epoch and says what bits came out. Not a test itself.

A LeNet with dropout at several batch sizes, a residual network whose batch normalisations make the
blocks of a batch meet, a wide network, whose work is cut by weights, and two networks whose
convolutions run on Winograd's points.

Usage: train_and_hash.py THREADS... (0: as many as striate takes by itself). One JSON object on
stdout: {"isa": .., "runs": [{"case": .., "threads": .., "bits": ..}, ..]}.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from striate import _core


class Case(NamedTuple):
    network: Callable[[int], _core.Network]
    batch: int
    samples: int  # the last batch is ragged
    optimizer: tuple[str, dict[str, Any]]  # each with an option that stands around the update rule


def lenet(seed: int) -> _core.Network:
    g = _core.Graph()
    x = g.input((12, 12, 1))
    x = g.conv2d(x, name="c1", filters=6, kernel=(3, 3), padding="same")
    x = g.activation(x, name="c1_tanh", kind="tanh")
    x = g.max_pool2d(x, name="s2", window=(2, 2), strides=(2, 2))
    x = g.dropout(x, name="drop2", rate=0.2)
    x = g.conv2d(x, name="c3", filters=16, kernel=(3, 3), strides=(2, 1))
    x = g.activation(x, name="c3_gelu", kind="gelu")
    x = g.avg_pool2d(x, name="s4", window=(2, 2), strides=(1, 1), padding="same")
    x = g.dropout(g.flatten(x, name="flat"), name="drop5", rate=0.5)
    x = g.dense(x, name="f5", units=70)
    x = g.activation(x, name="f5_silu", kind="silu")
    x = g.dense(x, name="f6", units=10)
    return _core.Network(g, g.activation(x, name="softmax", kind="softmax"), seed)


def residual(seed: int) -> _core.Network:
    g = _core.Graph()

    def norm(x: int, name: str) -> int:
        x = g.conv2d(x, name=name, filters=8, kernel=(3, 3), padding="same", use_bias=False)
        return g.batch_normalization(x, name=f"{name}_norm", momentum=0.9)

    x = g.activation(norm(g.input((12, 12, 1)), "c1"), name="c1_relu", kind="relu")
    for block in ("r1", "r2"):
        a = g.activation(norm(x, f"{block}a"), name=f"{block}_relu", kind="relu")
        x = g.add([norm(a, f"{block}b"), x], name=f"{block}_add")
    x = g.dropout(g.global_avg_pool2d(x, name="pool"), name="drop", rate=0.2)
    return _core.Network(
        g, g.activation(g.dense(x, name="f", units=10), name="s", kind="softmax"), seed
    )


def wide(seed: int) -> _core.Network:
    """Over 2^21 parameters, and images of odd sizes: a block is 9 samples."""
    g = _core.Graph()
    x = g.input((12, 12, 1))
    x = g.upsampling2d(x, name="large", size=(16, 16))
    x = g.conv2d(x, name="c1", filters=5, kernel=(5, 5), strides=(3, 3))
    x = g.activation(g.batch_normalization(x, name="n1"), name="c1_relu", kind="relu")
    x = g.global_avg_pool2d(x, name="pool")
    for units in (1500, 1400):
        x = g.dense(x, name=f"f{units}", units=units)
        x = g.dropout(
            g.activation(x, name=f"f{units}_relu", kind="relu"), name=f"d{units}", rate=0.5
        )
    x = g.dense(x, name="f", units=10)
    return _core.Network(g, g.activation(x, name="softmax", kind="softmax"), seed)


def points(seed: int, heavy: bool = False) -> _core.Network:
    """3x3 convolutions with channels enough for Winograd's points.

    heavy: over 2^21 parameters, with weights that are cut by outputs.
    """
    g = _core.Graph()
    x = g.input((12, 12, 1))
    for filters in (24, 20):
        x = g.conv2d(x, name=f"c{filters}", filters=filters, kernel=(3, 3), padding="same")
        x = g.activation(x, name=f"c{filters}_relu", kind="relu")
    x = g.max_pool2d(x, name="s", window=(3, 3), strides=(3, 3))
    for filters in (160, 150) if heavy else (17,):
        x = g.conv2d(x, name=f"c{filters}", filters=filters, kernel=(3, 3), padding="same")
        x = g.batch_normalization(x, name=f"n{filters}")
    x = g.global_avg_pool2d(x, name="pool")
    for units in (1500, 1400) if heavy else ():
        x = g.dense(x, name=f"f{units}", units=units)
    x = g.dense(x, name="f", units=10)
    return _core.Network(g, g.activation(x, name="softmax", kind="softmax"), seed)


# Batches of 1 and 5 run channels in lanes, 19 and more samples in lanes, but for the wide network;
# 128 makes 8 shards, 300 shards of more than one block.
CASES = {
    "batch 1": Case(lenet, 1, 25, (
        "sgd", {"learning_rate": 0.01, "momentum": 0.9, "gradient_accumulation_steps": 4})),
    "batch 5": Case(lenet, 5, 43, (
        "adam", {"learning_rate": 0.002, "global_clipnorm": 0.3, "use_ema": True})),
    "batch 19": Case(lenet, 19, 150, (
        "adam", {"learning_rate": 0.002, "weight_decay": 0.01, "clipnorm": 0.1})),
    "batch 128": Case(lenet, 128, 200, (
        "rmsprop", {"learning_rate": 0.001, "momentum": 0.5, "centered": True})),
    "batch 300": Case(lenet, 300, 331, (
        "sgd", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "clipvalue": 0.01})),
    "residual 5": Case(residual, 5, 23, ("adam", {"learning_rate": 0.002})),
    "residual 50": Case(residual, 50, 120, ("sgd", {"learning_rate": 0.1, "momentum": 0.9})),
    "wide": Case(wide, 19, 40, (
        "sgd", {"learning_rate": 0.01, "momentum": 0.9, "global_clipnorm": 1.0})),
    "points 5": Case(points, 5, 23, ("adam", {"learning_rate": 0.002})),
    "wide points": Case(lambda seed: points(seed, heavy=True), 7, 12, (
        "sgd", {"learning_rate": 0.01, "momentum": 0.9})),
}  # fmt: skip


def epoch(case: Case) -> str:
    """All that training leaves: weights, optimizer slots, losses, gradients and outputs."""
    batch, samples = case.batch, case.samples
    rng = np.random.default_rng(batch)
    x = rng.integers(0, 256, size=(samples, 12, 12, 1), dtype=np.uint8)
    y = rng.integers(0, 10, size=samples)
    weights = rng.uniform(0.5, 2, size=samples).astype(np.float32)
    network = case.network(7)
    network.compile("sparse_categorical_crossentropy", {"label_smoothing": 0.1}, *case.optimizer)
    for kernel in range(0, len(network.parameters()), 2):
        network.set_regularizer(kernel, 1e-4, 1e-3)
    bits = hashlib.sha256()
    order = _core.shuffled(samples, 7, 0)
    for begin in range(0, samples, batch):
        result = network.train_batch(x, order[begin : begin + batch], y, weights)
        bits.update(repr(result).encode())
    bits.update(network.weights_hash().encode())
    for name, slot in sorted(network.optimizer_state().items()):
        bits.update(name.encode() + slot.tobytes())
    bits.update(network.predict(x).tobytes())
    bits.update(repr(network.test_batch(x, None, y)).encode())
    for training in (False, True):
        loss, gradients, dx = network.gradients(x[:batch], y[:batch], training=training)
        for array in (np.float64(loss), dx, *gradients):
            bits.update(array.tobytes())
    return f"{network.weights_hash()} {bits.hexdigest()[:16]}"


def main(threads: list[int]) -> None:
    runs = []
    for count in threads:
        _core.set_num_threads(count)
        for name, case in CASES.items():
            runs.append({"case": name, "threads": count, "bits": epoch(case)})
    print(json.dumps({"isa": _core.isa(), "runs": runs}))


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
