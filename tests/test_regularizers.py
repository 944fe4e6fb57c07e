"""Regularizers: what they are, what they add to the loss, and what they do to the weights."""

import json

import numpy as np
import pytest
from striate import Input, Sequential, layers, load_model, regularizers, set_random_seed
from striate.errors import ArgumentError
from striate.optimizers import SDLM, SGD
from striate.regularizers import L1, L1L2, L2

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3)).astype(np.float32)
Y = RNG.normal(size=(20, 2)).astype(np.float32)


def linear(kernel=None, bias=None, optimizer="sgd") -> Sequential:
    set_random_seed(1)
    dense = layers.Dense(2, kernel_regularizer=kernel, bias_regularizer=bias)
    model = Sequential([Input((3,)), dense])
    model.compile(optimizer, "mse")
    model.set_weights([np.array([[1, -2], [0, 3], [-0.5, 0.25]]), np.array([0.5, -1])])
    return model


def squared_error(model) -> float:
    w, b = model.get_weights()
    return float(np.square(X @ w + b - Y).mean())


def test_penalties_by_hand() -> None:
    w = np.array([[1, -2], [0, 3]])
    assert L1(0.5)(w) == 3.0
    assert L2(0.5)(w) == 7.0
    assert L1L2(0.5, 0.25)(w) == 6.5
    assert L1()(w) == pytest.approx(0.06) and L2()(w) == pytest.approx(0.14)
    assert L1L2()(w) == 0.0


@pytest.mark.parametrize(
    ("kernel", "bias", "penalty"),
    [
        (L1(0.5), None, 0.5 * 6.75),
        (L2(0.5), None, 0.5 * 14.3125),
        (L1L2(0.5, 0.25), L2(0.1), 0.5 * 6.75 + 0.25 * 14.3125 + 0.1 * 1.25),
        ("l2", None, 0.01 * 14.3125),
        ("l1_l2", "l1", 0.01 * 6.75 + 0.01 * 14.3125 + 0.01 * 1.5),
    ],
)
def test_the_loss_has_the_penalty(kernel, bias, penalty) -> None:
    model = linear(kernel, bias)
    expected = squared_error(model) + penalty
    assert model.evaluate(X, Y, batch_size=7, verbose=0) == pytest.approx(expected, rel=1e-6)
    assert model.test_on_batch(X, Y) == pytest.approx(expected, rel=1e-6)
    assert model.gradients(X, Y)[0] == pytest.approx(expected, rel=1e-6)
    assert model.train_on_batch(X, Y) == pytest.approx(expected, rel=1e-6)
    assert model.evaluate(X, Y, verbose=0) < expected


def test_a_step_by_hand() -> None:
    """w -= rate * (gradient + l1 * sign(w) + 2 * l2 * w); sign(0) is 0."""
    regularized, plain = linear(L1L2(0.3, 0.2), L1(0.1)), linear()
    for model in (regularized, plain):
        model.compile(SGD(0.1), "mse")
        model.train_on_batch(X, Y)
    w, b = linear().get_weights()
    got, want = regularized.get_weights(), plain.get_weights()
    np.testing.assert_allclose(got[0], want[0] - 0.1 * (0.3 * np.sign(w) + 0.4 * w), atol=1e-6)
    np.testing.assert_allclose(got[1], want[1] - 0.1 * 0.1 * np.sign(b), atol=1e-6)


def test_frozen_weights_have_no_penalty() -> None:
    """As in Keras, where the penalties are of the trainable weights."""
    model = linear(L2(0.5))
    model.layers[0].trainable = False
    assert model.test_on_batch(X, Y) == pytest.approx(squared_error(model), rel=1e-6)
    model.layers[0].trainable = True
    expected = squared_error(model) + 0.5 * 14.3125
    assert model.test_on_batch(X, Y) == pytest.approx(expected, rel=1e-6)


def test_curvature_has_the_penaltys() -> None:
    """SDLM divides by the second derivative of the whole loss, of which l2 * w^2 has 2 * l2."""
    plain, regularized = linear(None, None, SDLM()), linear(L2(0.25), None, SDLM())
    for model in (plain, regularized):
        model.network.estimate_curvature(X, None, Y)
    for index, more in ((0, 0.5), (1, 0.0)):
        want = plain.network.curvature(index) + more
        np.testing.assert_allclose(regularized.network.curvature(index), want, rtol=1e-6)


def test_on_a_convolution() -> None:
    model = Sequential([Input((4, 4, 1)), layers.Conv2D(2, 3, kernel_regularizer=L2(0.1))])
    model.compile("sgd", "mse")
    x, y = np.zeros((2, 4, 4, 1)), np.zeros((2, 2, 2, 2))
    kernel = model.get_weights()[0]
    assert model.test_on_batch(x, y) == pytest.approx(0.1 * np.square(kernel).sum(), rel=1e-5)


def test_saved_and_loaded(tmp_path) -> None:
    model = linear(L1L2(0.5, 0.25), "l1")
    config = model.layers[0].get_config()
    assert json.loads(json.dumps(config))["kernel_regularizer"] == {
        "class": "L1L2", "config": {"l1": 0.5, "l2": 0.25},
    }  # fmt: skip
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.test_on_batch(X, Y) == model.test_on_batch(X, Y) > squared_error(model) + 1


def test_names() -> None:
    assert regularizers.get(None) is None
    assert regularizers.get("l1") == regularizers.get("L1") == regularizers.l1() == L1(0.01)
    assert regularizers.get(L2) == regularizers.l2() == L2(0.01)
    assert regularizers.get("l1_l2") == regularizers.l1_l2(0.01, 0.01)
    assert regularizers.get("L1L2") == L1L2(0.0, 0.0)
    for made in (L1(0.3), L2(0.2), L1L2(0.1, 0.2)):
        assert regularizers.get(regularizers.serialize(made)) == made
        assert len({made, regularizers.get(made)}) == 1
    assert repr(L1L2(0.1, 0.2)) == "L1L2(l1=0.1, l2=0.2)"


@pytest.mark.parametrize(
    "make",
    [
        lambda: L1(-0.1),
        lambda: L2(float("nan")),
        lambda: L1L2(l2=float("inf")),
        lambda: L2("small"),
        lambda: L1(None),
        lambda: regularizers.get("l3"),
        lambda: regularizers.get(0.1),
        lambda: layers.Dense(2, kernel_regularizer="l3"),
        lambda: layers.Conv2D(2, 3, bias_regularizer=3),
    ],
)
def test_bad_arguments(make) -> None:
    with pytest.raises(ArgumentError):
        make()


def test_the_core_checks_too() -> None:
    network = linear().network
    for factors in ((-1.0, 0.0), (0.0, float("inf")), (float("nan"), 0.0)):
        with pytest.raises(ArgumentError, match="factors must be finite and at least 0"):
            network.set_regularizer(0, *factors)
    with pytest.raises(ArgumentError, match="no number 2"):
        network.set_regularizer(2, 0.1, 0.1)
