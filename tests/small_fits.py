"""A classifier of four numbers into three classes, small enough to fit in milliseconds."""

import numpy as np
from striate import Input, Sequential, layers, set_random_seed

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)


def classifier(optimizer="adam", metrics=("accuracy",), **kwargs) -> Sequential:
    set_random_seed(3)
    model = Sequential(
        [Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", list(metrics), **kwargs)
    return model


def same_weights(a: Sequential, b: Sequential) -> bool:
    return all(np.array_equal(*w) for w in zip(a.get_weights(), b.get_weights(), strict=True))


def batches(size=16):
    for start in range(0, len(X), size):
        yield X[start : start + size], Y[start : start + size]


def forever(size=16):
    while True:
        yield from batches(size)
