"""The order of a training step beside Keras 3's own: ten batches of each option.

Kernels, biases and what Keras reports as the loss, regularizers included. Not the average under
gradient accumulation: Keras takes it after every batch, striate after every update.
"""

import os
from typing import Any

import numpy as np
import pytest
import striate
from striate import layers, optimizers, regularizers

# Keras's variables, when they become arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
keras: Any = None


def setup_module() -> None:
    """Imports Keras where its tests run, not where tests are collected: it takes seconds."""
    global keras
    pytest.importorskip("torch", reason="Keras runs on PyTorch here, which is not installed")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="parity is with Keras 3, which is not installed")


STEPS = 10
RNG = np.random.default_rng(6)
X = RNG.normal(size=(STEPS, 8, 5)).astype(np.float32)
Y = RNG.integers(0, 3, size=(STEPS, 8))
START = [(RNG.normal(size=shape) / 2).astype(np.float32) for shape in ((5, 6), (6,), (6, 3), (3,))]

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"clipnorm": 0.1, "momentum": 0.9}),
    ("SGD", {"clipvalue": 0.05, "weight_decay": 0.1}),
    ("SGD", {"global_clipnorm": 0.2, "nesterov": True, "momentum": 0.5}),
    ("SGD", {"use_ema": True, "ema_momentum": 0.8}),
    ("SGD", {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3}),
    ("SGD", {"gradient_accumulation_steps": 2, "clipnorm": 0.1, "weight_decay": 0.1}),
    ("Adam", {"gradient_accumulation_steps": 3}),
    ("Adam", {"global_clipnorm": 0.2, "weight_decay": 0.1, "use_ema": True, "ema_momentum": 0.7}),
    ("RMSprop", {"clipvalue": 0.05, "weight_decay": 0.1, "centered": True}),
]


def pair(name: str, options: dict[str, Any]) -> tuple[Any, Any]:
    """The same model, here and in Keras."""
    built = []
    for library, regularizer in ((striate, regularizers), (keras, keras.regularizers)):
        first = library.layers.Dense(
            6, "tanh", kernel_regularizer=regularizer.L1L2(0.01, 0.02), bias_regularizer="l2"
        )
        last = library.layers.Dense(3, "softmax", kernel_regularizer=regularizer.L2(0.05))
        model = library.Sequential([library.Input((5,)), first, last])
        optimizer = getattr(library.optimizers, name)(learning_rate=0.1, **options)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        model.compile(optimizer, "sparse_categorical_crossentropy")
        model.set_weights(START)
        built.append(model)
    return built[0], built[1]


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=lambda o: str(o))
def test_steps(name: str, options: dict[str, Any]) -> None:
    ours, theirs = pair(name, options)
    for x, y in zip(X, Y, strict=True):
        assert ours.train_on_batch(x, y) == pytest.approx(float(theirs.train_on_batch(x, y)), 1e-4)
    assert ours.optimizer.iterations == int(theirs.optimizer.iterations)
    if options.get("use_ema"):
        for model in (ours, theirs):
            model.optimizer.finalize_variable_values(model.trainable_weights)
    for start, got, want in zip(START, ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(got - start, want - start, rtol=2e-3, atol=2e-5)
    loss = float(theirs.evaluate(X[0], Y[0], verbose=0))
    assert ours.evaluate(X[0], Y[0], verbose=0) == pytest.approx(loss, rel=1e-4)


LOSSES: list[tuple[str, dict[str, Any]]] = [
    ("CategoricalCrossentropy", {"label_smoothing": 0.2}),
    ("CategoricalCrossentropy", {"label_smoothing": 0.2, "from_logits": True}),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}),
    ("BinaryCrossentropy", {"label_smoothing": 0.2, "from_logits": True}),
    ("MeanAbsoluteError", {}),
    ("Huber", {"delta": 0.3}),
    ("Hinge", {}),
    ("KLDivergence", {}),
]


@pytest.mark.parametrize(("name", "options"), LOSSES, ids=lambda o: str(o))
@pytest.mark.parametrize("shape", [(4,), (2, 3, 4)])
def test_losses(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    p = RNG.uniform(0.05, 1, size=(5, *shape)).astype(np.float32)
    p /= p.sum(axis=-1, keepdims=True)
    y = np.eye(4, dtype=np.float32)[RNG.integers(0, 4, size=p.shape[:-1])]
    model = striate.Sequential([striate.Input(shape), layers.Activation("relu")])
    model.compile(optimizers.SGD(), getattr(striate.losses, name)(**options))
    want = float(getattr(keras.losses, name)(**options)(y, p))
    assert model.test_on_batch(p, y) == pytest.approx(want, rel=1e-5)
