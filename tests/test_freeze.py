"""`Model.freeze`: inference goes on as before, training's memory is given back, training raises."""

from typing import Any

import numpy as np
import pytest
from striate import Input, Sequential, layers, load_model
from striate.errors import ArgumentError
from striate.optimizers import Adam

X = np.random.default_rng(2).normal(size=(12, 8, 8, 2)).astype(np.float32)
Y = np.arange(12) % 3


def model(units: int = 3, **options: Any) -> Sequential:
    net = Sequential(
        [
            Input((8, 8, 2)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(units),
            layers.Dense(3, activation="softmax"),
        ]
    )
    net.seed = 1
    net.compile(Adam(0.01, **options), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return net


@pytest.mark.parametrize("units", [3, 15000], ids=["narrow", "wide"])
def test_inference_goes_on_with_the_same_numbers(units: int) -> None:
    net = model(units)
    net.fit(X, Y, epochs=2, batch_size=5, verbose=0)
    before = net.predict(X), net.predict(X[:1]), net.evaluate(X, Y, verbose=0)
    assert not net.frozen
    assert net.freeze() is net
    assert net.frozen
    after = net.predict(X), net.predict(X[:1]), net.evaluate(X, Y, verbose=0)
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a, b)


def test_what_trains_raises_and_changes_nothing() -> None:
    net = model()
    net.train_on_batch(X, Y)
    net.freeze()
    weights = net.get_weights()
    for call in (
        lambda: net.train_on_batch(X, Y),
        lambda: net.fit(X, Y, verbose=0),
        lambda: net.gradients(X, Y),
        lambda: net.profile(X, Y),
        lambda: net.network.set_optimizer_state({}),
    ):
        with pytest.raises(ValueError, match="frozen"):
            call()
    with pytest.raises(ArgumentError, match="frozen"):
        net.compile("sgd", "mse")
    for a, b in zip(weights, net.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_weights_may_still_be_set_and_saved(tmp_path: Any) -> None:
    net, other = model().freeze(), model()
    other.train_on_batch(X, Y)
    net.set_weights(other.get_weights())
    assert np.array_equal(net.predict(X), other.predict(X))
    net.save(tmp_path / "net.safetensors")
    assert np.array_equal(load_model(tmp_path / "net.safetensors").predict(X), net.predict(X))


def test_a_model_without_compile_can_be_frozen() -> None:
    net = Sequential([Input((4,)), layers.Dense(2)])
    x = np.ones((3, 4), np.float32)
    y = net.predict(x)
    assert np.array_equal(net.freeze().predict(x), y)
    with pytest.raises(ArgumentError, match="compile"):
        net.evaluate(x, y, verbose=0)


def test_averages_in_place_stay_as_the_weights() -> None:
    net = model(use_ema=True, ema_momentum=0.5)
    net.fit(X, Y, epochs=3, verbose=0)
    net.network.use_average(True)
    averaged = net.predict(X)
    net.freeze()
    assert np.array_equal(net.predict(X), averaged)
    assert not net.network.average_in_use
