"""Trains on two threads, forks, and trains and predicts in the child. Not a test itself.

Prints "same" when parent and child end with the same bits, "hung" when the child does not end.
"""

import multiprocessing
import sys

import numpy as np
from striate import _core
from train_and_hash import lenet

PATIENCE = 30.0  # seconds; the child needs a fraction of one


def train_and_predict(network: _core.Network) -> tuple[str, bytes]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(64, 12, 12, 1)).astype(np.float32)
    y = rng.integers(0, 10, size=64)
    for _ in range(3):
        network.train_batch(x, None, y)
    return network.weights_hash(), network.predict(x).tobytes()


def ready(seed: int) -> _core.Network:
    network = lenet(seed)
    network.compile("sparse_categorical_crossentropy", {}, "sgd", {"learning_rate": 0.1})
    return network


def main() -> int:
    _core.set_num_threads(2)
    train_and_predict(ready(1))  # the team of threads exists now
    network = ready(2)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=lambda: results.put(train_and_predict(network)))
    child.start()
    child.join(PATIENCE)
    if child.is_alive():
        child.kill()
        child.join()
        print("hung")
        return 1
    if child.exitcode != 0:
        print(f"child ended with {child.exitcode}")
        return 1
    same = results.get() == train_and_predict(network)
    print("same" if same else "different")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
