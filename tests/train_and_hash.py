"""Trains small networks with dropout for an epoch and says what bits came out. Not a test itself.

Usage: train_and_hash.py THREADS... (0: as many as striate takes by itself). One JSON object on
stdout: {"isa": .., "runs": [{"case": .., "threads": .., "bits": ..}, ..]}.
"""

import hashlib
import json
import sys

import numpy as np
from striate import _core

# Batch: samples, of which the last batch is ragged. 1 and 5 run channels in lanes, 19 and more
# samples in lanes; 128 makes 8 shards, 300 shards of more than one block.
EPOCHS = {1: 25, 5: 43, 19: 150, 128: 200, 300: 331}
# Each with an option of those that stand around the update rule.
OPTIMIZERS = {
    1: ("sgd", {"learning_rate": 0.01, "momentum": 0.9, "gradient_accumulation_steps": 4}),
    5: ("adam", {"learning_rate": 0.002, "global_clipnorm": 0.3, "use_ema": True}),
    19: ("adam", {"learning_rate": 0.002, "weight_decay": 0.01, "clipnorm": 0.1}),
    128: ("rmsprop", {"learning_rate": 0.001, "momentum": 0.5, "centered": True}),
    300: ("sgd", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "clipvalue": 0.01}),
}


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


def epoch(batch: int) -> str:
    """All that training leaves: weights, optimizer slots, losses and outputs."""
    rng = np.random.default_rng(batch)
    samples = EPOCHS[batch]
    x = rng.integers(0, 256, size=(samples, 12, 12, 1), dtype=np.uint8)
    y = rng.integers(0, 10, size=samples)
    weights = rng.uniform(0.5, 2, size=samples).astype(np.float32)
    network = lenet(seed=7)
    network.compile("sparse_categorical_crossentropy", {"label_smoothing": 0.1}, *OPTIMIZERS[batch])
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
    return f"{network.weights_hash()} {bits.hexdigest()[:16]}"


def main(threads: list[int]) -> None:
    runs = []
    for count in threads:
        _core.set_num_threads(count)
        for batch in EPOCHS:
            runs.append({"case": f"batch {batch}", "threads": count, "bits": epoch(batch)})
    print(json.dumps({"isa": _core.isa(), "runs": runs}))


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
