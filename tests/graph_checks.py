"""What a `_core.Network` gives for a plan of random_graphs.py, against the same in float64."""

from typing import Any

import autodiff64 as ad
import numpy as np
import pytest
import random_graphs as graphs
from numerics import Doubles
from numpy.typing import NDArray
from random_graphs import Batch, Plan, Run
from striate import _core


def near(got: NDArray[Any], want: Doubles, scale: float, what: str, tolerance: float) -> None:
    assert np.all(np.isfinite(got)), what
    error = float(np.abs(got.reshape(want.shape) - want).max(initial=0.0))
    largest = max(float(np.abs(want).max(initial=0.0)), scale)
    assert error <= tolerance * largest, f"{what}: off by {error}, largest {largest}"


def check_gradients(
    plan: Plan, network: _core.Network, batch: Batch, training: bool, first_sample: int = 0
) -> None:
    """Gradients that are zero but for cancellation are measured by the graph's others."""
    run = Run(plan, graphs.parameters(network), batch.x, training, first_sample)
    total, _ = run.losses(batch)
    ad.backward(total)
    loss, gradients, dx = network.gradients(batch.x, batch.y, batch.weights, training)
    assert loss == pytest.approx(float(total.array), rel=2e-5)
    wants = [run.params[p["name"]].grad for p in network.parameters()]
    floor = 3e-2 * max((float(np.abs(want).max()) for want in wants), default=0.0)
    for parameter, got, want in zip(network.parameters(), gradients, wants, strict=True):
        near(got, want, floor, f"gradient of {parameter['name']}", 2e-4)
    for i, got in enumerate(dx):
        want = run.values[i].grad
        near(got, want, 1e-6, f"gradient of input {i}", 2e-4)


def check_outputs(plan: Plan, network: _core.Network, batch: Batch) -> None:
    """Inference, where normalisations are folded into weights, and the losses of test_batch."""
    run = Run(plan, graphs.parameters(network), batch.x, training=False)
    for i, (got, want) in enumerate(zip(network.predict(batch.x), run.outputs, strict=True)):
        near(got, want.array, 1e-3, f"output {i}", 1e-5)
    total, by_output = run.losses(batch)
    loss, got_losses, _ = network.test_batch(batch.x, None, batch.y, batch.weights)
    assert loss == pytest.approx(float(total.array), rel=2e-5)
    assert got_losses == pytest.approx(by_output, rel=2e-5, abs=1e-6)


def check_training(plan: Plan, network: _core.Network, batch: Batch, steps: int = 2) -> None:
    """SGD with momentum, moving statistics included, and the outputs that training hands out."""
    params = graphs.parameters(network)
    trainable = {p["name"]: p["trainable"] for p in network.parameters()}
    velocity = {name: np.zeros_like(value) for name, value in params.items()}
    for step in range(steps):
        run = Run(plan, params, batch.x, True, first_sample=step * len(batch))
        total, by_output = run.losses(batch)
        ad.backward(total)
        if step == 0:  # steps of the weights' own size
            steepest = max((float(np.abs(v.grad).max()) for v in run.params.values()), default=0.0)
            rate = network.learning_rate = graphs.RATE / max(1.0, steepest)
        elif run.kink_distance() < 3e-6:
            return
        outputs = [np.zeros(v.shape, np.float32) for v in run.outputs]
        loss, got_losses, _ = network.train_batch(batch.x, None, batch.y, batch.weights, outputs)
        assert loss == pytest.approx(float(total.array), rel=1e-4)
        assert got_losses == pytest.approx(by_output, rel=1e-4, abs=1e-6)
        for i, (got, want) in enumerate(zip(outputs, run.outputs, strict=True)):
            near(got, want.array, 1e-3, f"training's output {i}, step {step}", 1e-4)
        params = dict(run.moved)
        for name, value in run.params.items():
            if trainable[name]:
                velocity[name] = graphs.MOMENTUM * velocity[name] - rate * value.grad
                params[name] = params[name] + velocity[name]
    for i, parameter in enumerate(network.parameters()):
        name = parameter["name"]
        near(network.get_parameter(i), params[name], 1e-2, f"{name} after training", 2e-4)


def check_everything(plan: Plan, network: _core.Network, batch: Batch) -> None:
    check_outputs(plan, network, batch)
    for training in (False, True):
        check_gradients(plan, network, batch, training)
    check_training(plan, network, batch)
