"""Batch normalisation's values and gradients against float64, alone and between layers.

Batch 3 runs channels in lanes, 8, 19 and 300 samples in lanes; 19 has a ragged second block, and
300 are 19 blocks in 16 shards.
"""

from typing import Any

import autodiff64 as ad
import numpy as np
import pytest
from autodiff64 import Value
from numerics import Doubles
from striate import _core

Network = tuple[_core.Network, dict[str, Doubles]]
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "no_center": {"center": False},
    "no_scale": {"scale": False},
    "plain": {"center": False, "scale": False},
    "epsilon": {"epsilon": 0.5},
    "inference": {"inference": True},
    "frozen": {"trainable": False},
}
SHAPES = {"image": (3, 4, 5), "wide_image": (2, 2, 37), "one_pixel": (1, 1, 6), "vector": (21,)}
BATCHES = [3, 8, 19, 300]


def compiled(graph: _core.Graph, value: int) -> Network:
    """With parameters of their own, moving statistics too."""
    network = _core.Network(graph, graph.flatten(value, name="flat"), 0)
    rng = np.random.default_rng(2)
    for i, parameter in enumerate(network.parameters()):
        drawn = rng.normal(size=parameter["shape"]) * 0.7
        if parameter["name"].endswith("variance"):
            drawn = np.abs(drawn) + 0.5
        network.set_parameter(i, drawn.astype(np.float32))
    network.compile("mean_squared_error", {}, "sgd", {"learning_rate": 0.1})
    names = [p["name"] for p in network.parameters()]
    return network, {n: network.get_parameter(i).astype(np.float64) for i, n in enumerate(names)}


def normalized(
    x: Value, p: dict[str, Value], name: str, moving: bool, epsilon: float = 1e-3
) -> Value:
    statistics = p[f"{name}/moving_mean"].array, p[f"{name}/moving_variance"].array
    return ad.batch_normalization(
        x, p.get(f"{name}/gamma"), p.get(f"{name}/beta"), epsilon, statistics if moving else None
    )


def data(shape: tuple[int, ...], batch: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(batch)
    x = rng.normal(size=(batch, *shape)) + np.linspace(-2, 2, shape[-1])
    return x.astype(np.float32), rng.normal(size=(batch, int(np.prod(shape)))).astype(np.float32)


def compare(
    network: _core.Network,
    x: np.ndarray,
    y: np.ndarray,
    wanted: tuple[Value, Value, dict[str, Any]],
    training: bool,
) -> None:
    """wanted: the loss, the input and the parameters of a pass in float64."""
    total, x64, params = wanted
    ad.backward(total)
    loss, gradients, dx = network.gradients(x, y, training=training)
    assert loss == pytest.approx(float(total.array), rel=1e-5)
    size = np.abs(x64.grad).max()
    np.testing.assert_allclose(dx, x64.grad, rtol=1e-4, atol=2e-5 * size)
    for parameter, got in zip(network.parameters(), gradients, strict=True):
        want = params[parameter["name"]].grad
        np.testing.assert_allclose(
            got,
            want,
            rtol=1e-4,
            atol=2e-5 * max(np.abs(want).max(), size),
            err_msg=parameter["name"],
        )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OPTIONS)
def test_gradients(name: str, shape: str, batch: int, training: bool) -> None:
    options = OPTIONS[name]
    graph = _core.Graph()
    network, params = compiled(
        graph, graph.batch_normalization(graph.input(SHAPES[shape]), name="n", **options)
    )
    x, y = data(SHAPES[shape], batch)
    p, x64 = {k: Value(v) for k, v in params.items()}, Value(x.astype(np.float64))
    moving = not training or name in ("inference", "frozen")
    z = normalized(x64, p, "n", moving, options.get("epsilon", 1e-3))
    total = ad.mean_squared_error(z, y.astype(np.float64))
    compare(network, x, y, (total, x64, p), training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("batch", BATCHES)
def test_one_behind_the_other(batch: int, training: bool) -> None:
    """Three meetings of the blocks each way; the activation between works in place."""
    graph = _core.Graph()
    value = graph.input((4, 3, 5))
    for i in range(3):
        value = graph.batch_normalization(value, name=f"n{i}")
        value = graph.activation(value, name=f"a{i}", kind="tanh")
    network, params = compiled(graph, value)
    x, y = data((4, 3, 5), batch)
    p, x64 = {k: Value(v) for k, v in params.items()}, Value(x.astype(np.float64))
    z = x64
    for i in range(3):
        z = ad.activation(normalized(z, p, f"n{i}", not training), "tanh")
    compare(network, x, y, (ad.mean_squared_error(z, y.astype(np.float64)), x64, p), training)


@pytest.mark.parametrize("batch", BATCHES)
def test_a_shared_layer_sums_its_gradients_and_moves_twice(batch: int) -> None:
    """Once on the batch's statistics, once on the moving ones, once on the batch's again."""
    graph = _core.Graph()
    value = graph.input((3, 3, 4))
    graph.reuse = True
    for inference in (False, True, False):
        value = graph.batch_normalization(value, name="n", momentum=0.5, inference=inference)
        value = graph.activation(value, name=f"a{value}", kind="tanh")
    network, params = compiled(graph, value)
    x, y = data((3, 3, 4), batch)
    p, x64 = {k: Value(v) for k, v in params.items()}, Value(x.astype(np.float64))
    z, moved = x64, dict(params)
    for inference in (False, True, False):
        if not inference:
            for key, of_batch in zip(
                ("mean", "variance"), ad.batch_statistics(z.array), strict=True
            ):
                moved[f"n/moving_{key}"] = (moved[f"n/moving_{key}"] + of_batch) / 2
        z = ad.activation(normalized(z, p, "n", inference), "tanh")
    compare(network, x, y, (ad.mean_squared_error(z, y.astype(np.float64)), x64, p), True)
    network.train_batch(x, None, y)
    for i, parameter in enumerate(network.parameters()):
        if parameter["trainable"]:
            continue
        np.testing.assert_allclose(network.get_parameter(i), moved[parameter["name"]], rtol=1e-5)


@pytest.mark.parametrize("batch", [3, 19])
def test_in_place_or_not_the_bits_are_the_same(batch: int) -> None:
    """Where x is wanted later, the layer may not write over it."""
    for inference in (False, True):
        results = []
        for kept in (False, True):
            graph = _core.Graph()
            value = graph.activation(graph.input((3, 3, 4)), name="before", kind="tanh")
            z = graph.batch_normalization(value, name="n", inference=inference)
            outputs = [graph.activation(z, name="after", kind="relu"), *([value] if kept else [])]
            network = _core.Network(graph, outputs, 0)
            results.append(network.predict([data((3, 3, 4), batch)[0]])[0])
        np.testing.assert_array_equal(*results)
