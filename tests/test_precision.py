"""`precision`: "strict" sums convolutions over their taps, "float32" may use Winograd's points."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from striate import Input, Sequential, layers
from striate.errors import ArgumentError

X = np.random.default_rng(5).normal(size=(6, 13, 11, 3)).astype(np.float32)
Y = np.arange(6) % 4


def model(**options: Any) -> Sequential:
    net = Sequential(
        [
            Input((13, 11, 3)),
            layers.Conv2D(20, 3, activation="relu"),
            layers.Conv2D(24, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )
    net.seed = 3
    net.compile("sgd", "sparse_categorical_crossentropy", **options)
    return net


def trained(net: Sequential) -> list[NDArray[np.float32]]:
    net.train_on_batch(X, Y)
    return net.get_weights()


def distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def test_predictions_differ_by_rounding_alone() -> None:
    net = model()
    fast = net.predict(X, verbose=0)
    net.precision = "strict"
    exact = net.predict(X, verbose=0)
    assert 0 < distance(fast, exact) < 1e-5
    net.precision = "float32"
    assert np.array_equal(net.predict(X, verbose=0), fast)


def test_so_do_gradients() -> None:
    fast, exact = trained(model()), trained(model(precision="strict"))
    assert any((a != b).any() for a, b in zip(fast, exact, strict=True))
    for a, b in zip(fast, exact, strict=True):
        assert distance(a, b) < 1e-5


def test_strict_is_the_sum_in_doubles_to_a_few_units() -> None:
    net = Sequential([Input((9, 9, 32)), layers.Conv2D(16, 3, use_bias=False)])
    x = np.random.default_rng(6).normal(size=(2, 9, 9, 32)).astype(np.float32)
    kernel = net.get_weights()[0].astype(np.float64)
    want = np.zeros((2, 7, 7, 16))
    for i in range(3):
        for j in range(3):
            want += x[:, i : i + 7, j : j + 7].astype(np.float64) @ kernel[i, j]
    errors = {}
    for precision in ("strict", "float32"):
        net.precision = precision
        difference = net.predict(x, verbose=0) - want
        errors[precision] = float(np.sqrt((difference**2).mean() / (want**2).mean()))
    assert errors["strict"] < 3e-7
    assert errors["strict"] < errors["float32"] < 5e-6


def test_compile_leaves_it_unless_it_is_named() -> None:
    net = model(precision="strict")
    net.compile("adam", "sparse_categorical_crossentropy")
    assert net.precision == net.network.precision == "strict"
    net.compile("adam", "sparse_categorical_crossentropy", precision="float32")
    assert net.precision == net.network.precision == "float32"


def test_an_unknown_precision_is_refused_and_nothing_changes() -> None:
    net = model()
    with pytest.raises(ArgumentError, match="float32.*strict.*half"):
        net.precision = "half"
    with pytest.raises(ArgumentError, match="half"):
        net.compile("adam", "sparse_categorical_crossentropy", precision="half")
    assert net.precision == "float32" and type(net.optimizer).__name__ == "SGD"
