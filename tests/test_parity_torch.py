"""LeNet-5 in striate and in PyTorch: logits, loss, every gradient, and ten steps of each optimizer.

Against a golden file always, and live where PyTorch can be imported. The tolerance is 1e-5 relative
L2 a tensor and a step. What ten steps add to the weights is compared, not the weights themselves:
the sum would hide an error of a hundredth of a step.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import striate
from numpy.typing import NDArray
from striate import layers

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))
from lenet5_case import (  # noqa: E402
    OPTIMIZERS,
    PARAMETERS,
    STEPS,
    batch,
    relative_l2,
    sketch,
    start_weights,
)

TOLERANCE = 1e-5
NAMES = [name for name, _, _ in PARAMETERS]

Golden = dict[str, NDArray[Any]]
Batches = list[tuple[NDArray[np.float32], NDArray[np.int64]]]


def lenet5_logits(activation: str = "relu", pooling: str = "max") -> striate.Sequential:
    """The LeNet-5 of applications, ending before the softmax."""
    pool = layers.MaxPooling2D if pooling == "max" else layers.AveragePooling2D
    return striate.Sequential(
        [
            layers.Input(shape=(28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation=activation),
            pool(2),
            layers.Conv2D(16, 5, activation=activation),
            pool(2),
            layers.Flatten(),
            layers.Dense(120, activation=activation),
            layers.Dense(84, activation=activation),
            layers.Dense(10),
        ]
    )


def compiled(
    model: striate.Sequential, weights: list[NDArray[np.float32]], optimizer: str = "sgd"
) -> striate.Sequential:
    case = OPTIMIZERS[optimizer]
    model.compile(
        optimizer=getattr(striate.optimizers, case.rule)(**case.options),
        loss=striate.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.set_weights(weights)
    return model


def assert_close(name: str, got: Any, want: Any, tolerance: float = TOLERANCE) -> None:
    distance = relative_l2(np.asarray(got), np.asarray(want))
    assert distance <= tolerance, f"{name}: relative L2 {distance:.2e}, allowed {tolerance:.0e}"


def assert_same_training(
    model: striate.Sequential, batches: Batches, losses: Any, updates: list[NDArray[Any]]
) -> None:
    """Trains a step a batch; `losses` and the sketched weight `updates` are the oracle's."""
    start = model.get_weights()
    for step, (x, y) in enumerate(batches):
        loss = float(model.train_on_batch(x, y))
        allowed = (step + 1) * TOLERANCE
        assert loss == pytest.approx(float(losses[step]), rel=allowed), f"loss of step {step}"
    moved = [sketch(end - begin) for begin, end in zip(start, model.get_weights(), strict=True)]
    for name, got, want in zip(NAMES, moved, updates, strict=True):
        assert_close(f"update of {name}", got, want, len(batches) * TOLERANCE)


@pytest.fixture(scope="module")
def golden() -> Iterator[Golden]:
    with np.load(GOLDEN / "lenet5_torch.npz") as file:
        yield {name: file[name] for name in file.files}


@pytest.fixture
def start(golden: Golden) -> list[NDArray[np.float32]]:
    return [golden[f"start/{name}"] for name in NAMES]


def test_golden_case_is_the_formulas(golden: Golden, start: list[NDArray[np.float32]]) -> None:
    for kept, made in zip(start, start_weights(seed=1998), strict=True):
        np.testing.assert_array_equal(kept, made)


@pytest.mark.parametrize("key", ["a", "b"])
def test_golden_logits(golden: Golden, start: list[NDArray[np.float32]], key: str) -> None:
    model = compiled(lenet5_logits(), start)
    assert_close("logits", model.predict(golden[f"{key}/x"], verbose=0), golden[f"{key}/logits"])


@pytest.mark.parametrize("key", ["a", "b"])
@pytest.mark.parametrize("ending", ["logits", "softmax"])
def test_golden_gradients(
    golden: Golden, start: list[NDArray[np.float32]], key: str, ending: str
) -> None:
    if ending == "logits":
        model = compiled(lenet5_logits(), start)
    else:
        model = striate.applications.LeNet5()
        model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
        model.set_weights(start)
    loss, gradients, dx = model.gradients(golden[f"{key}/x"], golden[f"{key}/y"])
    assert float(loss) == pytest.approx(float(golden[f"{key}/loss"]), rel=TOLERANCE)
    for name, gradient in zip(NAMES, gradients, strict=True):
        kept = gradient if key == "a" else sketch(gradient)
        assert_close(f"gradient of {name}", kept, golden[f"{key}/gradient/{name}"])
    assert_close("input gradient", dx, golden[f"{key}/dx"])


def test_golden_probabilities(golden: Golden, start: list[NDArray[np.float32]]) -> None:
    model = striate.applications.LeNet5()
    model.set_weights(start)
    logits = golden["a/logits"].astype(np.float64)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    want = odds / odds.sum(axis=1, keepdims=True)
    assert_close("probabilities", model.predict(golden["a/x"], verbose=0), want)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_golden_training(golden: Golden, start: list[NDArray[np.float32]], optimizer: str) -> None:
    pair = [(golden[f"{key}/x"], golden[f"{key}/y"]) for key in "ab"]
    updates = [golden[f"{optimizer}/update/{name}"] for name in NAMES]
    model = compiled(lenet5_logits(), start, optimizer)
    batches = [pair[step % 2] for step in range(STEPS)]
    assert_same_training(model, batches, golden[f"{optimizer}/losses"], updates)


VARIANTS = [("relu", "max"), ("tanh", "average")]


@pytest.mark.parametrize(("activation", "pooling"), VARIANTS)
def test_live_gradients(activation: str, pooling: str) -> None:
    pytest.importorskip("torch")
    oracle = importlib.import_module("torch_lenet5").TorchLeNet5(activation, pooling)
    weights = start_weights(seed=7)
    x, y = batch(11, seed=8)
    want = oracle.gradients(weights, x, y)
    model = compiled(lenet5_logits(activation, pooling), weights)
    assert_close("logits", model.predict(x, verbose=0), want.logits)
    loss, gradients, dx = model.gradients(x, y)
    assert float(loss) == pytest.approx(want.loss, rel=TOLERANCE)
    for name, got, expected in zip(NAMES, gradients, want.weights, strict=True):
        assert_close(f"gradient of {name}", got, expected)
    assert_close("input gradient", dx, want.input)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("activation", "pooling"), VARIANTS)
def test_live_training(activation: str, pooling: str, optimizer: str) -> None:
    pytest.importorskip("torch")
    oracle = importlib.import_module("torch_lenet5").TorchLeNet5(activation, pooling)
    weights = start_weights(seed=7)
    batches = [batch(samples, seed=9 + samples) for samples in (16, 3, 16, 1, 21)] * 2
    losses, trained = oracle.train(weights, batches, OPTIMIZERS[optimizer])
    updates = [sketch(end - begin) for begin, end in zip(weights, trained, strict=True)]
    model = compiled(lenet5_logits(activation, pooling), weights, optimizer)
    assert_same_training(model, batches, losses, updates)
