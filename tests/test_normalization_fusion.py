"""Batch normalisation takes in a ReLU behind it, and an Add between the two, both ways. LeakyReLU
of slope 0 is the same function and is never taken in: it gives what fusion must give."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from striate import Input, Model, Sequential, layers

X = np.random.default_rng(11).normal(size=(21, 9, 8, 3)).astype(np.float32)
Y = np.arange(21) % 5


def activation(fused: bool) -> layers.Layer:
    return layers.ReLU() if fused else layers.LeakyReLU(negative_slope=0.0)


def residual(fused: bool, units: int, frozen: bool = False) -> Model:
    """Each shape of what is taken in: behind a convolution, a sum with the shortcut made before or
    after, a sum of an input of the block's, in front of a max pool."""
    given = Input((9, 8, 3))

    def normalized(x: Any) -> Any:
        return layers.BatchNormalization(trainable=not frozen, epsilon=1e-2)(x)

    x = normalized(layers.Conv2D(20, 3, padding="same", use_bias=False)(given))
    x = layers.MaxPooling2D(2)(activation(fused)(x))
    for strides in (1, 2):
        shortcut = x
        y = activation(fused)(normalized(layers.Conv2D(20, 3, strides, padding="same")(x)))
        if strides > 1:
            shortcut = normalized(layers.Conv2D(20, 1, strides)(x))
        y = normalized(layers.Conv2D(20, 1)(y))
        x = activation(fused)(layers.Add()([y, shortcut]))
    x = activation(fused)(normalized(layers.Dense(units)(layers.Flatten()(x))))
    net = Model(given, layers.Dense(5, activation="softmax")(x))
    net.seed = 4
    net.compile("adam", "sparse_categorical_crossentropy")
    return net


def results(net: Model) -> list[NDArray[np.float32]]:
    for _ in range(3):
        net.train_on_batch(X, Y)
    return [*net.get_weights(), net.predict(X, verbose=0)]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("units", [7, 20000], ids=["narrow", "wide"])
def test_it_gives_the_same_numbers_as_the_layers_one_by_one(units: int, frozen: bool) -> None:
    fused, apart = (results(residual(kind, units, frozen)) for kind in (True, False))
    for a, b in zip(fused, apart, strict=True):
        assert np.array_equal(a, b)


def methods(net: Model) -> list[str]:
    return [layer.name for layer in net.profile(X, Y).layers]


def test_a_profile_names_what_was_taken_in() -> None:
    names = methods(residual(True, 7))
    taken = [name for name in names if name.startswith("batch_normalization") and "re_lu" in name]
    assert len(taken) == 6
    assert sum(" + add" in name for name in taken) == 2
    assert not any("leaky" in name and "+" in name for name in methods(residual(False, 7)))


def test_a_sum_that_others_read_too_is_left_alone() -> None:
    given = Input((4, 4, 3))
    x = layers.BatchNormalization()(given)
    total = layers.Add()([x, given])
    both = layers.Concatenate()([layers.ReLU()(total), total])
    net = Model(given, layers.Dense(2)(layers.Flatten()(both)))
    net.compile("sgd", "mse")
    names = [layer.name for layer in net.profile(X[:, :4, :4], np.zeros((21, 2))).layers]
    assert not any("+" in name for name in names)


def test_samples_in_lanes_and_blocks_agree() -> None:
    """A batch of 21 runs in two blocks of 16 lanes, one of 3 samples with channels in lanes."""

    def net(fused: bool) -> Sequential:
        made = Sequential(
            [
                Input((6, 6, 1)),
                layers.Conv2D(4, 3, use_bias=False),
                layers.BatchNormalization(),
                activation(fused),
                layers.Flatten(),
                layers.Dense(3, activation="softmax"),
            ]
        )
        made.seed = 9
        made.compile("sgd", "sparse_categorical_crossentropy")
        return made

    for count in (21, 3):
        x, y = X[:count, :6, :6, :1], Y[:count] % 3
        pair = []
        for fused in (True, False):
            made = net(fused)
            made.train_on_batch(x, y)
            made.train_on_batch(x, y)
            pair.append([*made.get_weights(), made.predict(x, verbose=0)])
        for a, b in zip(*pair, strict=True):
            assert np.array_equal(a, b)
