"""Merges in networks of several inputs and branches: values and gradients against float64.

Batch 3 runs channels in lanes, 19 samples in lanes with a ragged second block.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numerics
import numpy as np
import pytest
from numerics import Doubles
from numerics_spatial import MERGES, together
from numpy.typing import NDArray
from small_nets import compare
from striate import _core

Floats = NDArray[np.float32]
Shape = tuple[int, ...]

ELEMENTWISE = ["add", "subtract", "multiply", "average", "maximum", "minimum"]
PAIRS = [
    ((4, 3, 5), (4, 3, 5)),
    ((4, 3, 5), (1, 1, 5)),
    ((1, 1, 17), (4, 3, 17)),
    ((4, 3, 5), (5,)),
    ((4, 3, 5), (4, 3, 1)),
    ((4, 1, 5), (1, 3, 5)),
    ((4, 3, 5), (1, 1, 1)),
    ((7,), (7,)),
    ((7,), (1,)),
]
TRIPLES = [
    ((4, 3, 5), (4, 3, 5), (4, 3, 5)),
    ((4, 3, 5), (1, 1, 5), (4, 3, 1)),
    ((6,), (6,), (1,)),
]


def merged(kind: str, shapes: Sequence[Shape], **options: Any) -> _core.Network:
    """A network of one input a shape, and nothing but the merge."""
    graph = _core.Graph()
    values = [graph.input(shape, f"x{i}") for i, shape in enumerate(shapes)]
    value = getattr(graph, kind)(values, name="merge", **options)
    network = _core.Network(graph, [graph.flatten(value, name="flat")])
    network.compile([("mean_squared_error", {})], "sgd", {"learning_rate": 0.1})
    return network


def draw(shapes: Sequence[Shape], batch: int, seed: int) -> list[Floats]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(batch, *shape)).astype(np.float32) for shape in shapes]


def closest(values: Sequence[Doubles]) -> float:
    """The least distance between two of the numbers that meet: 0 is a tie."""
    full = np.broadcast_arrays(*together(values))
    gaps = [np.abs(a - b).min() for i, a in enumerate(full) for b in full[:i]]
    return float(min(gaps))


def untied(shapes: Sequence[Shape], batch: int) -> list[Floats]:
    for seed in range(1000):
        x = draw(shapes, batch, seed)
        if closest([v.astype(np.float64) for v in x]) > 2e-5:
            return x
    raise AssertionError("no data without ties")


def check(
    network: _core.Network,
    function: Callable[[list[Doubles]], Doubles],
    x: list[Floats],
) -> None:
    """Outputs, loss and the gradient of every input of a network without parameters."""
    batch = len(x[0])
    doubles = [v.astype(np.float64) for v in x]
    want = function(doubles).reshape(batch, -1)
    (outputs,) = network.predict(x)
    np.testing.assert_allclose(outputs.reshape(want.shape), want, rtol=1e-6, atol=1e-6)
    y = np.random.default_rng(7).normal(size=want.shape).astype(np.float32)
    weight = np.full(batch, 0.3 * batch * want.shape[1], np.float32)

    def loss(values: list[Doubles]) -> float:
        error = (function(values).reshape(batch, -1) - y) ** 2
        return float((weight * error.mean(axis=1)).mean())

    got, _, gradients = network.gradients(x, [y], [weight])
    assert got == pytest.approx(loss(doubles), rel=1e-5)
    for i, (value, gradient) in enumerate(zip(doubles, gradients, strict=True)):
        slopes = numerics.central_differences(
            lambda v, i=i: loss([*doubles[:i], v, *doubles[i + 1 :]]), value
        )
        compare(f"gradient of input {i}", gradient.ravel(), slopes)


@pytest.mark.parametrize("batch", [3, 19])
@pytest.mark.parametrize("shapes", [*PAIRS, *TRIPLES], ids=str)
@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_elementwise(kind: str, shapes: tuple[Shape, ...], batch: int) -> None:
    if kind == "subtract":
        shapes = shapes[:2]
    check(merged(kind, shapes), MERGES[kind], untied(shapes, batch))


@pytest.mark.parametrize("batch", [3, 19])
@pytest.mark.parametrize(
    ("axis", "shapes"),
    [
        (-1, ((4, 3, 5), (4, 3, 2), (4, 3, 17))),
        (2, ((4, 3, 1), (4, 3, 1))),
        (0, ((4, 3, 2), (1, 3, 2))),
        (-2, ((4, 3, 2), (4, 6, 2), (4, 1, 2))),
        (0, ((7,), (1,), (20,))),
    ],
)
def test_concatenate(axis: int, shapes: tuple[Shape, ...], batch: int) -> None:
    network = merged("concatenate", shapes, axis=axis)
    check(network, lambda values: MERGES["concatenate"](values, axis=axis), draw(shapes, batch, 1))


@pytest.mark.parametrize("batch", [3, 19])
@pytest.mark.parametrize("kind", [*ELEMENTWISE, "concatenate"])
def test_a_value_merged_with_itself(kind: str, batch: int) -> None:
    graph = _core.Graph()
    x = graph.input((3, 2, 4))
    value = graph.flatten(getattr(graph, kind)([x, x], name="merge"), name="flat")
    network = _core.Network(graph, [value])
    network.compile([("mean_squared_error", {})], "sgd", {"learning_rate": 0.1})
    data = draw([(3, 2, 4)], batch, 2)
    y = np.ones((batch, 48 if kind == "concatenate" else 24), np.float32)
    loss, _, (dx,) = network.gradients(data, [y])
    # Of equals the first of the two takes the whole gradient, so it arrives once.
    x64 = data[0].astype(np.float64)
    outputs = MERGES[kind]([x64, x64])
    slope = {"add": 2.0, "subtract": 0.0, "multiply": 2 * x64}.get(kind, 1.0)
    error = outputs - 1.0
    if kind == "concatenate":
        error, slope = error[..., :4] + error[..., 4:], 1.0
    assert loss == pytest.approx(((outputs - 1) ** 2).mean(), rel=1e-5)
    np.testing.assert_allclose(dx, 2 * error * slope / y.size, rtol=1e-4, atol=1e-7)


def test_in_training_and_prediction_the_same_bits() -> None:
    """Whatever memory the plan lets a merge's output share."""
    for kind in ("add", "average", "multiply", "maximum"):
        network = merged(kind, [(4, 3, 5)] * 3)
        x = draw([(4, 3, 5)] * 3, 19, 3)
        y = np.zeros((19, 60), np.float32)
        trained = np.zeros((19, 60), np.float32)
        network.train_batch(x, None, [y], None, [trained])
        (predicted,) = network.predict(x)
        np.testing.assert_array_equal(trained, predicted.reshape(19, 60))


# Networks whose branches part from one value


def residual(graph: _core.Graph, x: int) -> int:
    """ResNet's basic block with a projection."""
    y = graph.conv2d(x, name="a", filters=6, kernel=(3, 3), padding="same")
    y = graph.activation(y, name="squash", kind="tanh")
    y = graph.conv2d(y, name="b", filters=6, kernel=(3, 3), padding="same")
    shortcut = graph.conv2d(x, name="projection", filters=6, kernel=(1, 1))
    return graph.add([y, shortcut], name="sum")


def residual64(p: dict[str, Doubles], x: Doubles) -> Doubles:
    y = numerics.conv2d(x, [p["a/kernel"], p["a/bias"]], kernel=(3, 3), filters=6, padding="same")
    y = numerics.conv2d(
        np.tanh(y), [p["b/kernel"], p["b/bias"]], kernel=(3, 3), filters=6, padding="same"
    )
    projection = [p["projection/kernel"], p["projection/bias"]]
    return y + numerics.conv2d(x, projection, kernel=(1, 1), filters=6)


def identity_shortcut(graph: _core.Graph, x: int) -> int:
    """A block whose shortcut is its input itself."""
    y = graph.conv2d(x, name="a", filters=3, kernel=(3, 3), padding="same")
    return graph.activation(graph.add([x, y], name="sum"), name="squash", kind="tanh")


def identity_shortcut64(p: dict[str, Doubles], x: Doubles) -> Doubles:
    y = numerics.conv2d(x, [p["a/kernel"], p["a/bias"]], kernel=(3, 3), filters=3, padding="same")
    return np.tanh(x + y)


def squeeze_and_excite(graph: _core.Graph, x: int) -> int:
    y = graph.conv2d(x, name="a", filters=5, kernel=(1, 1))
    factors = graph.global_avg_pool2d(y, name="squeeze")
    factors = graph.dense(factors, name="excite", units=5)
    factors = graph.activation(factors, name="gate", kind="sigmoid")
    return graph.multiply([y, factors], name="scale")


def squeeze_and_excite64(p: dict[str, Doubles], x: Doubles) -> Doubles:
    y = numerics.conv2d(x, [p["a/kernel"], p["a/bias"]], kernel=(1, 1), filters=5)
    factors = y.mean(axis=(1, 2)) @ p["excite/kernel"] + p["excite/bias"]
    return y / (1 + np.exp(-factors))[:, None, None, :]


def inception(graph: _core.Graph, x: int) -> int:
    """GoogLeNet's module in small: three branches side by side, and their maximum behind."""
    one = graph.conv2d(x, name="a", filters=3, kernel=(1, 1))
    three = graph.conv2d(x, name="b", filters=4, kernel=(3, 3), padding="same")
    pooled = graph.avg_pool2d(x, name="pool", window=(3, 3), strides=(1, 1), padding="same")
    side = graph.concatenate([one, three, pooled], name="side")
    mirrored = graph.permute(graph.permute(side, name="p", axes=(1, 0, 2)), name="q",
                             axes=(1, 0, 2))  # fmt: skip
    return graph.average(
        [side, mirrored, graph.rescaling(side, name="r", scale=[0.5])], name="mean"
    )


def inception64(p: dict[str, Doubles], x: Doubles) -> Doubles:
    one = numerics.conv2d(x, [p["a/kernel"], p["a/bias"]], kernel=(1, 1), filters=3)
    three = numerics.conv2d(
        x, [p["b/kernel"], p["b/bias"]], kernel=(3, 3), filters=4, padding="same"
    )
    pooled = numerics.avg_pool2d(x, [], window=(3, 3), strides=(1, 1), padding="same")
    return np.concatenate([one, three, pooled], axis=3) * (2.5 / 3)


BLOCKS = [
    (residual, residual64),
    (identity_shortcut, identity_shortcut64),
    (squeeze_and_excite, squeeze_and_excite64),
    (inception, inception64),
]


@pytest.mark.parametrize("batch", [3, 19])
@pytest.mark.parametrize(("block", "block64"), BLOCKS, ids=lambda f: f.__name__)
def test_blocks(
    block: Callable[[_core.Graph, int], int],
    block64: Callable[[dict[str, Doubles], Doubles], Doubles],
    batch: int,
) -> None:
    graph = _core.Graph()
    value = block(graph, graph.input((4, 5, 3)))
    network = _core.Network(graph, [graph.flatten(value, name="flat")], seed=5)
    network.compile([("mean_squared_error", {})], "sgd", {"learning_rate": 0.1})
    rng = np.random.default_rng(batch)
    x = rng.normal(size=(batch, 4, 5, 3)).astype(np.float32)
    names = [info["name"] for info in network.parameters()]
    for i, info in enumerate(network.parameters()):
        network.set_parameter(i, 0.4 * rng.normal(size=info["shape"]).astype(np.float32))
    params = {n: network.get_parameter(i).astype(np.float64) for i, n in enumerate(names)}
    x64 = x.astype(np.float64)
    want = block64(params, x64).reshape(batch, -1)
    np.testing.assert_allclose(network.predict(x), want, rtol=1e-5, atol=1e-5)
    y = rng.normal(size=want.shape).astype(np.float32)
    weight = np.full(batch, 0.3 * batch * want.shape[1], np.float32)

    def loss(p: dict[str, Doubles], v: Doubles) -> float:
        error = (block64(p, v).reshape(batch, -1) - y) ** 2
        return float((weight * error.mean(axis=1)).mean())

    got, gradients, (dx,) = network.gradients([x], [y], [weight])
    assert got == pytest.approx(loss(params, x64), rel=1e-5)
    entries = rng.permutation(x.size)[:120]
    slopes = numerics.central_differences(lambda v: loss(params, v), x64, entries)
    compare("gradient of the input", dx.ravel()[entries], slopes)
    for name, gradient in zip(names, gradients, strict=True):
        slopes = numerics.central_differences(
            lambda v, name=name: loss(params | {name: v}, x64), params[name]
        )
        scale = np.abs(slopes).max()
        np.testing.assert_allclose(
            gradient.ravel() / scale, slopes / scale, rtol=1e-3, atol=1e-5, err_msg=name
        )


def test_shapes_that_do_not_fit_name_the_layer_and_both_shapes() -> None:
    graph = _core.Graph()
    a, b = graph.input((8, 8, 16), "a"), graph.input((8, 8, 32), "b")
    with pytest.raises(
        _core.ShapeError,
        match=r"sum \(add\): inputs \(8, 8, 16\) and \(8, 8, 32\) do not fit together: every "
        r"extent must be the same, or 1; a Conv2D with 1x1 kernels gives one of them the other's",
    ):
        graph.add([a, b], name="sum")
    with pytest.raises(_core.ShapeError, match=r"sum \(add\): takes 2 to 64 inputs, got 1"):
        graph.add([a], name="sum")
    with pytest.raises(
        _core.ShapeError, match=r"minus \(subtract\): takes exactly 2 inputs, got 3"
    ):
        graph.subtract([a, a, a], name="minus")
    with pytest.raises(
        _core.ShapeError, match=r"side \(concatenate\): inputs .* must agree in every axis but"
    ):
        graph.concatenate([a, b], name="side", axis=0)
    with pytest.raises(_core.ShapeError, match=r"which has no axis 3"):
        graph.concatenate([a, b], name="side", axis=3)
