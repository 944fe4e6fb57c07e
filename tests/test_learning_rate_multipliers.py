"""Rates by weight: what they multiply, and that they change and are saved with the optimizer."""

import json
import re

import numpy as np
import pytest
from small_fits import X as SAMPLES
from small_fits import Y as CLASSES
from small_fits import classifier
from striate import Input, Sequential, layers, load_model, set_random_seed
from striate.errors import ArgumentError
from striate.optimizers import SGD, AdamW, RMSprop


def linear(optimizer: SGD) -> Sequential:
    set_random_seed(1)
    model = Sequential([Input((3,)), layers.Dense(2, bias_initializer="ones")])
    model.compile(optimizer, "mse")
    return model


def test_multipliers_of_the_rate_change_and_are_saved(tmp_path) -> None:
    x, y = np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)

    def moves(model: Sequential) -> list[np.ndarray]:
        model.set_weights([np.zeros((3, 2)), np.zeros(2)])
        model.train_on_batch(x, y)
        return [weight.ravel()[0] for weight in model.get_weights()]

    optimizer = SGD(0.01)
    optimizer.set_learning_rate_multipliers({"bias": 3, "^dense": 0.5, ".": 2})  # before compile
    model = linear(optimizer)
    assert re.fullmatch(r"dense(_\d+)?/kernel", model.weights[0].path)
    kernel, bias = moves(linear(SGD(0.01)))
    assert moves(model) == pytest.approx([0.5 * kernel, 3 * bias])
    json.dumps(optimizer.get_config())
    model.save(tmp_path / "model")
    assert moves(load_model(tmp_path / "model")) == pytest.approx([0.5 * kernel, 3 * bias])
    optimizer.set_learning_rate_multipliers({"kernel": 0})
    assert moves(model) == pytest.approx([0, bias])
    model.compile(SGD(0.01), "mse")
    assert moves(model) == pytest.approx([kernel, bias])


@pytest.mark.parametrize("make", [lambda: SGD(0.1, 0.9, True), RMSprop, AdamW])
def test_a_multiplier_is_a_rate_of_its_own(make) -> None:
    """For every rule: as if the optimizer had that rate, but for its weight decay."""
    optimizer, scaled = make(), make()
    scaled.learning_rate = 0.25 * optimizer.learning_rate
    scaled.weight_decay = 4 * optimizer.weight_decay
    optimizer.set_learning_rate_multipliers({".": 0.25})
    one, other = classifier(optimizer), classifier(scaled)
    for model in (one, other):
        model.fit(SAMPLES, CLASSES, epochs=3, verbose=0)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("multipliers", "message"),
    [
        ({"(": 1.0}, "set_learning_rate_multipliers: '\\(' is not a regular expression"),
        ({1: 1.0}, "1 is not a regular expression"),
        ({"bias": -1.0}, "the multiplier of 'bias' must be at least 0"),
        ({"bias": float("inf")}, "the multiplier of 'bias' must be at least 0"),
        ({"bias": "much"}, "the multiplier of 'bias' must be a number"),
    ],
)
def test_bad_multipliers(multipliers, message) -> None:
    model = linear(SGD(0.1))
    with pytest.raises(ArgumentError, match=message):
        model.optimizer.set_learning_rate_multipliers(multipliers)
    assert "learning_rate_multipliers" not in model.optimizer.get_config()
    for factor in (-1.0, float("nan")):
        with pytest.raises(ArgumentError, match="multiplier must be finite and at least 0"):
            model.network.set_learning_rate_multiplier(0, factor)
