"""Training options beside PyTorch's: a perceptron of two layers, ten steps of each option.

What the steps add to the weights is compared, at 1e-5 relative L2 a step. clip_grad_norm_ divides
by norm + 1e-6, striate and Keras by the norm: that difference is within the tolerance.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from striate import Input, Sequential, layers, losses, optimizers
from striate.regularizers import L2

torch: Any = None


def setup_module() -> None:
    """Imports PyTorch where its tests run, not where tests are collected."""
    global torch
    torch = pytest.importorskip("torch", reason="parity is with PyTorch, which is not installed")


STEPS, TOLERANCE = 10, 1e-5
RNG = np.random.default_rng(5)
X = RNG.normal(size=(STEPS, 16, 6)).astype(np.float32)
Y = RNG.integers(0, 4, size=(STEPS, 16))
START = [(RNG.normal(size=shape) / 2).astype(np.float32) for shape in ((6, 8), (8,), (8, 4), (4,))]


def perceptron(optimizer: Any, loss: Any = None, regularizer: Any = None) -> Sequential:
    def dense(units: int, activation: str | None) -> layers.Dense:
        return layers.Dense(
            units, activation, kernel_regularizer=regularizer, bias_regularizer=regularizer
        )

    model = Sequential([Input((6,)), dense(8, "tanh"), dense(4, None)])
    model.compile(optimizer, loss or losses.SparseCategoricalCrossentropy(from_logits=True))
    model.set_weights(START)
    return model


def torch_perceptron() -> Any:
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4))
    with torch.no_grad():
        for parameter, start in zip(model.parameters(), START, strict=True):
            parameter.copy_(torch.from_numpy(start.T.copy()))
    return model


def train_torch(
    make: Callable[[Any], Any],
    clip: Callable[[Any], Any] | None = None,
    every: int = 1,
    after: Callable[[Any], Any] | None = None,
    **loss_options: float,
) -> Any:
    model = torch_perceptron()
    optimizer = make(model.parameters())
    criterion = torch.nn.CrossEntropyLoss(**loss_options)
    for step in range(STEPS):
        loss = criterion(model(torch.from_numpy(X[step])), torch.from_numpy(Y[step])) / every
        loss.backward()
        if (step + 1) % every:
            continue
        if clip is not None:
            clip(model.parameters())
        optimizer.step()
        optimizer.zero_grad()
        if after is not None:
            after(model)
    return model


def assert_same_updates(model: Sequential, expected: Any) -> None:
    for x, y in zip(X, Y, strict=True):
        model.train_on_batch(x, y)
    assert_same_weights(model, expected)


def assert_same_weights(model: Sequential, expected: Any) -> None:
    wanted = [parameter.detach().numpy().T for parameter in expected.parameters()]
    for start, got, want in zip(START, model.get_weights(), wanted, strict=True):
        moved = np.linalg.norm(want - start)
        assert moved > 1e-2, "nothing to compare"
        assert np.linalg.norm(got - want) <= STEPS * TOLERANCE * moved


def sgd(parameters: Any, **options: float) -> Any:
    return torch.optim.SGD(parameters, lr=0.5, momentum=0.9, **options)


@pytest.mark.parametrize("limit", [0.1, 0.5, 100.0])
def test_clip_grad_norm(limit: float) -> None:
    expected = train_torch(sgd, lambda p: torch.nn.utils.clip_grad_norm_(p, limit))
    assert_same_updates(perceptron(optimizers.SGD(0.5, 0.9, global_clipnorm=limit)), expected)


def test_clip_grad_value() -> None:
    expected = train_torch(sgd, lambda p: torch.nn.utils.clip_grad_value_(p, 0.02))
    assert_same_updates(perceptron(optimizers.SGD(0.5, 0.9, clipvalue=0.02)), expected)


def test_clip_grad_norm_of_each_parameter() -> None:
    def clip(parameters: Any) -> None:
        for parameter in parameters:
            torch.nn.utils.clip_grad_norm_([parameter], 0.05)

    assert_same_updates(perceptron(optimizers.SGD(0.5, 0.9, clipnorm=0.05)), train_torch(sgd, clip))


def test_weight_decay_of_pytorchs_sgd_is_l2_of_half() -> None:
    expected = train_torch(lambda p: sgd(p, weight_decay=0.02))
    model = perceptron(optimizers.SGD(0.5, 0.9), regularizer=L2(0.01))
    assert_same_updates(model, expected)


def test_adamw() -> None:
    expected = train_torch(
        lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1, eps=1e-7, betas=(0.9, 0.99))
    )
    model = perceptron(optimizers.AdamW(0.01, weight_decay=0.1, beta_2=0.99))
    assert_same_updates(model, expected)


@pytest.mark.parametrize("sparse", [True, False])
def test_label_smoothing(sparse: bool) -> None:
    expected = train_torch(sgd, label_smoothing=0.2)
    if sparse:
        loss = losses.SparseCategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
        return assert_same_updates(perceptron(optimizers.SGD(0.5, 0.9), loss), expected)
    model = perceptron(optimizers.SGD(0.5, 0.9), losses.CategoricalCrossentropy(True, 0.2))
    for x, y in zip(X, np.eye(4)[Y], strict=True):
        model.train_on_batch(x, y)
    return assert_same_weights(model, expected)


def test_gradient_accumulation() -> None:
    expected = train_torch(sgd, every=2)
    model = perceptron(optimizers.SGD(0.5, 0.9, gradient_accumulation_steps=2))
    assert_same_updates(model, expected)


def test_moving_average() -> None:
    averaged = torch.optim.swa_utils.AveragedModel(
        torch_perceptron(), multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.8)
    )
    train_torch(sgd, after=averaged.update_parameters)
    model = perceptron(optimizers.SGD(0.5, 0.9, use_ema=True, ema_momentum=0.8))
    for x, y in zip(X, Y, strict=True):
        model.train_on_batch(x, y)
    model.optimizer.finalize_variable_values()
    assert_same_weights(model, averaged.module)


LOSSES = {
    "mae": lambda y, t: torch.nn.functional.l1_loss(y, t),
    "huber": lambda y, t: torch.nn.functional.huber_loss(y, t),
    "mse": lambda y, t: torch.nn.functional.mse_loss(y, t),
}


@pytest.mark.parametrize("name", LOSSES)
def test_regression_losses(name: str) -> None:
    model = Sequential([Input((3, 4)), layers.Activation("tanh")])
    model.compile("sgd", name)
    x = RNG.normal(size=(7, 3, 4)).astype(np.float32)
    target = (2 * RNG.normal(size=x.shape)).astype(np.float32)
    loss, _, dx = model.gradients(x, target)
    at = torch.from_numpy(x).requires_grad_()
    want = LOSSES[name](torch.tanh(at), torch.from_numpy(target))
    want.backward()
    assert loss == pytest.approx(want.item(), rel=1e-6)
    np.testing.assert_allclose(dx, at.grad.numpy(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_crossentropy_of_an_image_of_classes(label_smoothing: float) -> None:
    """PyTorch's classes are the second axis, the loss the same mean over samples and pixels."""
    model = Sequential([Input((4, 5, 3)), layers.Activation("linear")])
    model.compile(
        "sgd",
        losses.SparseCategoricalCrossentropy(True, label_smoothing=label_smoothing),
    )
    x = RNG.normal(size=(9, 4, 5, 3)).astype(np.float32)
    y = RNG.integers(0, 3, size=(9, 4, 5))
    loss, _, dx = model.gradients(x, y)
    at = torch.from_numpy(x).requires_grad_()
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=label_smoothing)
    want = criterion(at.movedim(-1, 1), torch.from_numpy(y))
    want.backward()
    assert loss == pytest.approx(want.item(), rel=1e-6)
    np.testing.assert_allclose(dx, at.grad.numpy(), rtol=1e-4, atol=1e-8)
