"""Random graphs against float64: outputs, losses, every gradient, training and its statistics.

Batches of 3 run channels in lanes, 19 and 35 samples in lanes with a ragged last block, but for
wide graphs, which always run channels in lanes and cut their work by weights.
"""

from typing import Any

import autodiff64 as ad
import numpy as np
import pytest
import random_graphs as graphs
from numerics import Doubles
from numpy.typing import NDArray
from random_graphs import Batch, Plan, Run
from striate import _core

PLAIN = [(seed, batch) for seed in range(60) for batch in (3, 19)]
WIDE = [(0, 3), (1, 5), (2, 19), (3, 35), (4, 1), (5, 33)]


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
    floor = 3e-2 * max(float(np.abs(want).max()) for want in wants)
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
            steepest = max(float(np.abs(v.grad).max()) for v in run.params.values())
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


@pytest.mark.parametrize(("seed", "count"), PLAIN)
def test_graphs(seed: int, count: int) -> None:
    plan = graphs.random_plan(seed)
    network = graphs.build(plan, seed)
    batch = graphs.make_batch(plan, network, count, seed)
    check_outputs(plan, network, batch)
    for training in (False, True):
        check_gradients(plan, network, batch, training)
    check_training(plan, network, batch)


@pytest.mark.parametrize(("seed", "count"), WIDE)
def test_wide_graphs(seed: int, count: int) -> None:
    plan = graphs.random_plan(1000 + seed, wide=True)
    network = graphs.build(plan, seed)
    batch = graphs.make_batch(plan, network, count, seed)
    assert sum(p["count"] for p in network.parameters()) > 2**21
    check_outputs(plan, network, batch)
    for training in (False, True):
        check_gradients(plan, network, batch, training)
    check_training(plan, network, batch)


@pytest.mark.parametrize("count", [3, 19])
@pytest.mark.parametrize("seed", range(10))
def test_graphs_with_dropout(seed: int, count: int) -> None:
    plan = graphs.random_plan(2000 + seed, dropout=True)
    network = graphs.build(plan, seed=0)
    batch = graphs.make_batch(plan, network, count, seed)
    check_outputs(plan, network, batch)
    check_gradients(plan, network, batch, training=True)
    check_training(plan, network, batch)
    check_gradients(plan, network, batch, training=True, first_sample=2 * count)


def test_the_graphs_have_what_they_should() -> None:
    plans = [graphs.random_plan(seed) for seed, _ in PLAIN]
    nodes = [node for plan in plans for node in plan.nodes]
    assert {n.kind for n in nodes} >= {
        *graphs.MERGES, "concatenate", "conv2d", "batch_normalization", "max_pool2d", "avg_pool2d",
        "global_avg_pool2d", "dense", "flatten",
    }  # fmt: skip
    assert any(len(set(n.inputs)) < len(n.inputs) for n in nodes), "a value twice in one node"
    assert any(len({n.name for n in p.nodes}) < len(p.nodes) for p in plans), "a shared layer"
    assert any(len(set(p.outputs)) < len(p.outputs) for p in plans), "two losses on one value"
    assert any(None in p.losses for p in plans), "an output without a loss"
    assert any("probabilities" in p.losses for p in plans)
    assert any(v in n.inputs for p in plans for v in p.outputs for n in p.nodes), "an inner output"
    assert any(len(p.inputs) > 1 for p in plans)
    assert any(not n.trainable for n in nodes if n.kind == "batch_normalization")
