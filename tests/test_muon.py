"""Muon against its definition in float64, and what it is for and what not."""

from typing import Any

import numpy as np
import pytest
from striate import Input, Sequential, layers, load_model, optimizers, set_random_seed
from striate.errors import ArgumentError
from striate.optimizers import SGD, Muon
from striate.schedules import PiecewiseLinear

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5)).astype(np.float32)


def orthonormal(g: np.ndarray, rounds: int) -> np.ndarray:
    """Newton and Schulz's iteration on the shorter side, as Jordan et al. write it."""
    x = g / max(np.linalg.norm(g), 1e-30)
    x = x.T if len(g) > len(g.T) else x
    for _ in range(rounds):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if len(g) > len(g.T) else x


def linear(optimizer: Any, units: int) -> Sequential:
    set_random_seed(1)
    model = Sequential([Input((5,)), layers.Dense(units, bias_initializer="ones", name="d")])
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize("units", [1, 3, 5, 33])
@pytest.mark.parametrize(
    "options",
    [{}, {"nesterov": False, "ns_steps": 3}, {"normalize": True, "weight_decay": 0.1},
     {"momentum": 0.0}, {"clipnorm": 0.05}],
    ids=repr,
)  # fmt: skip
def test_steps_are_as_defined(units: int, options: dict[str, Any]) -> None:
    rate, y = 0.1, RNG.normal(size=(40, units)).astype(np.float32)
    optimizer = Muon(rate, **{"momentum": 0.9, **options})
    optimizer.set_learning_rate_multipliers({"bias": 0.25})
    model = linear(optimizer, units)
    w, b = (weight.astype(np.float64) for weight in model.get_weights())
    sums, mu = [np.zeros_like(w), np.zeros_like(b)], optimizer.momentum
    for _ in range(4):
        slope = 2 * (X @ w + b - y) / y.size
        gradients = [X.T @ slope, slope.sum(axis=0)]
        if limit := options.get("clipnorm"):
            gradients = [g * min(1, limit / np.linalg.norm(g)) for g in gradients]
        sums = [mu * s + g for s, g in zip(sums, gradients, strict=True)]
        kernel, bias = (
            g + mu * s if optimizer.nesterov else s for g, s in zip(gradients, sums, strict=True)
        )
        decay = 1 - rate * options.get("weight_decay", 0.0)
        if optimizer.normalize:
            w *= np.sqrt(units) / np.linalg.norm(w)
        step = orthonormal(kernel, optimizer.ns_steps)
        w = decay * w - rate * max(1, units / 5) ** 0.5 * step
        b = decay * b - 0.25 * rate * bias
        model.train_on_batch(X, y)
        np.testing.assert_allclose(model.get_weights()[0], w, rtol=2e-4, atol=2e-6)
        np.testing.assert_allclose(model.get_weights()[1], b, rtol=2e-4, atol=2e-6)


def test_a_convolutions_kernel_is_a_matrix_by_its_last_axis() -> None:
    """Of 3*3*4 rows and 6 outputs; with a momentum of 0 the step shows by itself."""
    set_random_seed(0)
    model = Sequential(
        [Input((6, 6, 4)), layers.Conv2D(6, 3, name="c"), layers.Flatten(),
         layers.Dense(3, "softmax", name="top")]
    )  # fmt: skip
    model.compile(Muon(0.1, momentum=0.0), "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.train_on_batch(RNG.normal(size=(8, 6, 6, 4)).astype(np.float32), np.arange(8) % 3)
    for place, outputs in ((0, 6), (2, 3)):
        step = (before[place] - model.get_weights()[place]).reshape(-1, outputs) / 0.1
        values = np.linalg.svd(step, compute_uv=False)
        assert 0.6 < values[:-1].min() and values.max() < 1.3


def test_layers_that_are_left_out_are_trained_by_sgd() -> None:
    y = RNG.normal(size=(40, 3)).astype(np.float32)
    one = linear(Muon(0.1, 0.9, exclude_layers=["^d$"]), 3)
    other = linear(SGD(0.1, 0.9, True), 3)
    for model in (one, other):
        model.fit(X, y, epochs=2, verbose=0)
    assert one.weights_hash() == other.weights_hash()
    # Another optimizer is not left with what Muon said.
    one.compile(SGD(0.1, 0.9, True), "mse")
    other.compile(SGD(0.1, 0.9, True), "mse")
    for model in (one, other):
        model.fit(X, y, epochs=2, verbose=0)
    assert one.weights_hash() == other.weights_hash()


def deep(optimizer: Any) -> Sequential:
    set_random_seed(2)
    model = Sequential(
        [Input((6, 6, 3)), layers.Conv2D(40, 3, use_bias=False), layers.BatchNormalization(),
         layers.ReLU(), layers.Flatten(), layers.Dense(70, "relu"),
         layers.Dense(3, "softmax", name="top")]
    )  # fmt: skip
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def everything() -> Muon:
    made = Muon(
        PiecewiseLinear([0, 9], [0.2, 0.0]), 0.6, ns_steps=3, normalize=True, weight_decay=0.1,
        exclude_layers=["top"], use_ema=True, ema_overwrite_frequency=2, ema_momentum=0.5,
        gradient_accumulation_steps=2, global_clipnorm=0.5,
    )  # fmt: skip
    made.set_learning_rate_multipliers({"/beta$": 4.0})
    return made


IMAGES = RNG.normal(size=(50, 6, 6, 3)).astype(np.float32)
LABELS = np.arange(50) % 3


def step(model: Sequential, number: int) -> None:
    rows = slice(number % 5 * 10, number % 5 * 10 + 10)
    model.train_on_batch(IMAGES[rows], LABELS[rows])


def test_resumed_training_has_the_same_bits() -> None:
    through, first = deep(everything()), deep(everything())
    second = deep(optimizers.get(optimizers.serialize(everything())))
    for number in range(9):
        step(through, number)
    for number in range(5):
        step(first, number)
    second.set_weights(first.get_weights())
    second.network.set_optimizer_state(first.network.optimizer_state())
    second.network.iterations = first.network.iterations
    for number in range(5, 9):
        step(second, number)
    assert second.weights_hash() == through.weights_hash()


def test_any_number_of_threads_gives_the_same_bits() -> None:
    from striate import _core

    hashes = set()
    try:
        for threads in (1, 2, 3, 7):
            _core.set_num_threads(threads)
            model = deep(everything())
            for number in range(6):
                step(model, number)
            hashes.add(model.weights_hash())
    finally:
        _core.set_num_threads(0)
    assert len(hashes) == 1


def test_config(tmp_path) -> None:
    optimizer = everything()
    again = optimizers.get(optimizers.serialize(optimizer))
    assert again.as_core() == optimizer.as_core()
    assert again.get_config() == optimizer.get_config()
    assert isinstance(optimizers.get("muon"), Muon)
    model = deep(optimizer)
    model.save(tmp_path / "m")
    assert load_model(tmp_path / "m").optimizer.get_config() == optimizer.get_config()


def test_no_gradient_moves_nothing_and_a_bad_one_shows() -> None:
    model = linear(Muon(0.1), 3)
    kernel = model.get_weights()[0]
    model.train_on_batch(np.zeros_like(X), np.zeros((40, 3), np.float32))
    np.testing.assert_array_equal(model.get_weights()[0], kernel)
    model.train_on_batch(X, np.full((40, 3), np.nan, np.float32))
    assert np.isnan(model.get_weights()[0]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": 1.5}, "Muon: momentum must be from 0 to 1"),
        ({"ns_steps": 0}, "Muon: ns_steps must be an integer of at least 1"),
        ({"exclude_layers": ["("]}, "Muon: exclude_layers: '\\(' is not a regular expression"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Muon(**options)


def test_a_table_of_connections_is_no_matrix() -> None:
    table = np.array([[1, 0, 1], [0, 1, 1]], dtype=bool)
    model = Sequential([Input((4, 4, 2)), layers.Conv2D(3, 2, connections=table, name="c")])
    with pytest.raises(ArgumentError, match="c/kernel: .* is no matrix"):
        model.compile(Muon(0.1), "mse")
    model.compile(Muon(0.1, exclude_layers=["^c$"]), "mse")
    with pytest.raises(ArgumentError, match="c/bias"):
        model.network.set_orthogonal(1, True)
