"""Networks of 2^21 parameters and more: one gradient for the whole batch, dense layers cut by their
weights, inference in pieces. They must give what narrow ones give.

A side output without a loss makes any network wide without changing what the rest computes.
"""

from collections.abc import Callable
from typing import Any

import autodiff64 as ad
import numpy as np
import pytest
from autodiff64 import Value
from numpy.typing import NDArray
from striate import _core

Floats = NDArray[np.float32]
Front = Callable[[_core.Graph], int]
SIDE = 1500  # two dense layers of so many make a network wide


def images(count: int, shape: tuple[int, ...], seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def with_side(front: Front, wide: bool, classes: int = 5) -> _core.Network:
    graph = _core.Graph()
    x = front(graph)
    if len(graph.shape(x)) == 3:
        x = graph.global_avg_pool2d(x, name="pool")
    outputs = [graph.dense(x, name="head", units=classes)]
    if wide:
        side = graph.dense(x, name="side1", units=SIDE)
        outputs.append(graph.dense(side, name="side2", units=SIDE))
    network = _core.Network(graph, outputs, 3)
    loss = ("sparse_categorical_crossentropy", {"from_logits": True}, 1.0)
    network.compile([loss, *[None] * wide], "sgd", {"learning_rate": 0.05, "momentum": 0.9})
    return network


def parameters(network: _core.Network) -> dict[str, Floats]:
    return {p["name"]: network.get_parameter(i) for i, p in enumerate(network.parameters())}


def conv(graph: _core.Graph, x: int, name: str, **options: Any) -> int:
    options = {"filters": 6, "kernel": (3, 3), "padding": "same"} | options
    return graph.activation(graph.conv2d(x, name=name, **options), name=f"{name}a", kind="tanh")


def plain(graph: _core.Graph) -> int:
    x = conv(graph, graph.input((9, 7, 3)), "c1", strides=(2, 1))
    return conv(graph, x, "c2", groups=2, dilation=(2, 1))


def residual(graph: _core.Graph) -> int:
    x = conv(graph, graph.input((6, 6, 3)), "c1")
    y = graph.batch_normalization(conv(graph, x, "c2"), name="n1")
    return graph.activation(graph.add([y, x], name="sum"), name="relu", kind="relu")


def frozen_norm(graph: _core.Graph) -> int:
    x = conv(graph, graph.input((5, 5, 3)), "c1")
    x = graph.batch_normalization(x, name="frozen", trainable=False)
    x = graph.batch_normalization(conv(graph, x, "c2"), name="moving", inference=True)
    return conv(graph, x, "c3")


def table(graph: _core.Graph) -> int:
    connections = np.array([[1, 0, 1, 1, 0, 1]] * 2 + [[0, 1, 1, 0, 1, 0]], bool)
    x = conv(graph, graph.input((5, 5, 3)), "c1", connections=connections)
    covering = {"kernel": (5, 5), "padding": "valid", "filters": 4}
    return conv(graph, x, "c2", connections=np.array([[1, 0, 1, 1]] * 3 + [[0, 1, 1, 1]] * 3, bool),
                **covering)  # fmt: skip


def by_blocks(graph: _core.Graph) -> int:
    """Layers that know no gradient tasks."""
    x = graph.depthwise_conv2d(graph.input((7, 7, 3)), name="d", kernel=(3, 3))
    x = graph.separable_conv2d(x, name="s", filters=5, kernel=(3, 3), padding="same")
    x = graph.activation(graph.layer_normalization(x, name="l"), name="la", kind="tanh")
    x = graph.conv2d_transpose(x, name="t", filters=4, kernel=(2, 2), strides=(2, 2))
    x = graph.group_normalization(x, name="g", groups=2)
    x = graph.subsample2d(x, name="sub", window=(2, 2), strides=(2, 2))
    return graph.activation(x, name="sa", kind="tanh")


def shared(graph: _core.Graph) -> int:
    x = graph.dense(graph.input((11,)), name="d1", units=8)
    graph.reuse = True
    for i in range(3):
        x = graph.activation(graph.dense(x, name="d2", units=8), name=f"a{i}", kind="tanh")
    graph.reuse = False
    return graph.dropout(x, name="drop", rate=0.3)


def shared_by_blocks(graph: _core.Graph) -> int:
    x = conv(graph, graph.input((6, 6, 3)), "c1")
    graph.reuse = True
    for i in range(3):
        x = graph.depthwise_conv2d(x, name="d", kernel=(3, 3), padding="same")
        x = graph.batch_normalization(x, name="n", inference=i != 1)
        x = graph.activation(x, name=f"a{i}", kind="tanh")
    graph.reuse = False
    return x


FRONTS: dict[str, tuple[Front, tuple[int, ...]]] = {
    "plain": (plain, (9, 7, 3)),
    "residual": (residual, (6, 6, 3)),
    "frozen_norm": (frozen_norm, (5, 5, 3)),
    "table": (table, (5, 5, 3)),
    "by_blocks": (by_blocks, (7, 7, 3)),
    "shared": (shared, (11,)),
    "shared_by_blocks": (shared_by_blocks, (6, 6, 3)),
}


def close(got: Floats, want: Floats, what: str, size: float = 0.0) -> None:
    scale = max(float(np.abs(want).max()), size)
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * scale, err_msg=what)


@pytest.mark.parametrize("count", [1, 5, 16, 37])
@pytest.mark.parametrize("name", FRONTS)
def test_as_a_narrow_network(name: str, count: int) -> None:
    front, shape = FRONTS[name]
    narrow, wide = with_side(front, False), with_side(front, True)
    start = parameters(narrow)
    for i, parameter in enumerate(wide.parameters()):
        if parameter["name"] in start:
            wide.set_parameter(i, start[parameter["name"]])
    x, labels = images(count, shape), np.arange(count) % 5
    close(wide.predict([x])[0], narrow.predict([x])[0], "outputs")
    for training in (False, True):
        want = narrow.gradients([x], [labels], None, training)
        got = wide.gradients([x], [labels, None], None, training)
        assert got[0] == pytest.approx(want[0], rel=1e-5)
        close(got[2][0], want[2][0], "gradient of the input")
        largest = max(float(np.abs(g).max()) for g in want[1])
        gradients = dict(zip(parameters(wide), got[1], strict=True))
        for key, gradient in zip(start, want[1], strict=True):
            close(gradients[key], gradient, f"gradient of {key}", largest)
        assert not gradients["side1/kernel"].any() and not gradients["side2/bias"].any()
    before = parameters(wide)
    for _ in range(3):
        loss, losses, right = narrow.train_batch([x], None, [labels])
        got_loss, got_losses, got_right = wide.train_batch([x], None, [labels, None])
        assert got_loss == pytest.approx(loss, rel=1e-4)
        assert got_losses[1] == 0 and abs(got_right[0] - right[0]) <= 1
    after = parameters(wide)
    for key, value in parameters(narrow).items():
        close(after[key], value, f"{key} after training", 0.5)
    for key in ("side1/kernel", "side1/bias", "side2/kernel"):
        np.testing.assert_array_equal(after[key], before[key])


# ---- blocks


def large(side: int, classes: int) -> _core.Network:
    """side: of the images, whose size decides how many samples a block has."""
    graph = _core.Graph()
    x = conv(graph, graph.input((side, side, 3)), "c1", filters=5, strides=(2, 2))
    x = graph.batch_normalization(x, name="n1")
    x = graph.activation(graph.global_avg_pool2d(x, name="pool"), name="pa", kind="tanh")
    for units in (1501, 1399):
        x = graph.dense(x, name=f"d{units}", units=units)
        x = graph.activation(x, name=f"a{units}", kind="tanh")
    network = _core.Network(graph, graph.dense(x, name="out", units=classes), 1)
    loss = {"from_logits": True}
    network.compile("sparse_categorical_crossentropy", loss, "sgd", {"learning_rate": 0.1})
    return network


# Blocks of 1, 3, 7 and 16 samples, whose floats are no multiple of 16.
SIDES = [481, 261, 157, 33]


@pytest.mark.parametrize("side", SIDES)
def test_a_batch_is_its_samples_to_the_bit(side: int) -> None:
    """A block's samples once began on a cache line, where the dense layers did not look for them;
    40 samples are more than a piece."""
    network = large(side, 10)
    x, labels = images(40, (side, side, 3)), np.arange(40) % 10
    weights = np.linspace(0.5, 1.5, 40).astype(np.float32)
    together = network.predict(x)
    alone = np.concatenate([network.predict(x[i : i + 1]) for i in range(40)])
    np.testing.assert_array_equal(together, alone)
    handed_out = np.zeros((40, 10), np.float32)
    loss, right = network.test_batch(x, None, labels, weights, handed_out)
    np.testing.assert_array_equal(handed_out, alone)
    singles = [
        network.test_batch(x[i : i + 1], None, labels[i : i + 1], weights[i : i + 1])
        for i in range(40)
    ]
    assert loss == pytest.approx(np.mean([one[0] for one in singles]), rel=1e-9)
    assert right == sum(one[1] for one in singles)
    order = np.random.default_rng(1).permutation(40)[:35]
    handed_out = np.zeros((35, 10), np.float32)
    network.test_batch(x, order, labels, weights, handed_out)
    np.testing.assert_array_equal(handed_out, alone[order])


@pytest.mark.parametrize("side", SIDES)
def test_gradients_are_the_mean_of_the_samples(side: int) -> None:
    network = large(side, 10)
    x, labels = images(10, (side, side, 3)), np.arange(10)
    loss, gradients, dx = network.gradients(x, labels)
    singles = [network.gradients(x[i : i + 1], labels[i : i + 1]) for i in range(10)]
    assert loss == pytest.approx(np.mean([one[0] for one in singles]), rel=1e-6)
    for i, gradient in enumerate(gradients):
        each = np.array([one[1][i] for one in singles], np.float64)
        largest = np.abs(each).mean(axis=0).max()  # samples' gradients cancel
        close(gradient, each.mean(axis=0), network.parameters()[i]["name"], largest)
    want = np.concatenate([one[2] for one in singles]) / 10
    close(dx, want, "gradient of the input")


@pytest.mark.parametrize("side", SIDES)
def test_statistics_of_a_whole_batch(side: int) -> None:
    network = large(side, 10)
    x, labels = images(10, (side, side, 3)), np.arange(10)
    p = {k: v.astype(np.float64) for k, v in parameters(network).items()}
    network.train_batch(x, None, labels)
    padding = ((0, 1), (0, 1)) if side % 2 == 0 else ((1, 1), (1, 1))
    z = ad.conv2d(
        Value(x.astype(np.float64)), Value(p["c1/kernel"]), Value(p["c1/bias"]), strides=(2, 2),
        padding=padding,
    )  # fmt: skip
    mean, variance = ad.batch_statistics(np.tanh(z.array))
    after = parameters(network)
    np.testing.assert_allclose(after["n1/moving_mean"], 0.01 * mean, rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(after["n1/moving_variance"], 0.99 + 0.01 * variance, rtol=1e-6)


def test_memory_of_inference_does_not_grow_with_the_batch() -> None:
    network = large(33, 10)
    use = {batch: network.memory(batch, training=False) for batch in (1, 32, 33, 1000)}
    assert use[1]["activations"] < use[32]["activations"] == use[1000]["activations"]
    training = {batch: network.memory(batch, training=True) for batch in (16, 32)}
    assert training[16]["activations"] < training[32]["activations"]
    parameters_of = training[16]["parameters"]
    assert training[16]["gradients"] == training[32]["gradients"] == parameters_of
    assert training[16]["optimizer"] == 0
    for memory in (*use.values(), *training.values()):
        assert memory["total"] == sum(v for k, v in memory.items() if k != "total")


# ---- curvature


@pytest.mark.parametrize("count", [1, 5, 16, 37])
def test_curvature(count: int) -> None:
    """The Gauss-Newton diagonal: squared weights backward, squared inputs for weights."""
    graph = _core.Graph()
    x = graph.conv2d(graph.input((6, 5, 3)), name="c", filters=7, kernel=(3, 3))
    x = graph.activation(graph.flatten(x, name="flat"), name="a", kind="tanh")
    x = graph.dense(x, name="d1", units=1501)
    x = graph.activation(x, name="b", kind="tanh")
    network = _core.Network(graph, graph.dense(x, name="d2", units=1390), 2)
    network.compile("mean_squared_error", {}, "sdlm", {"learning_rate": 0.01})
    x0 = images(count, (6, 5, 3))
    network.estimate_curvature(x0, None, np.zeros((count, 1390), np.float32))

    p = {k: v.astype(np.float64) for k, v in parameters(network).items()}
    c = ad.conv2d(Value(x0.astype(np.float64)), Value(p["c/kernel"]), Value(p["c/bias"])).array
    a = np.tanh(c.reshape(count, -1))
    b = np.tanh(a @ p["d1/kernel"] + p["d1/bias"])
    second = np.full((count, 1390), 2 / 1390 / count)
    want = {"d2/kernel": (b**2).T @ second, "d2/bias": second.sum(axis=0)}
    second = (second @ (p["d2/kernel"] ** 2).T) * (1 - b**2) ** 2
    want |= {"d1/kernel": (a**2).T @ second, "d1/bias": second.sum(axis=0)}
    second = (second @ (p["d1/kernel"] ** 2).T) * (1 - a**2) ** 2
    kernel, bias = Value(p["c/kernel"] ** 2), Value(p["c/bias"])
    z = ad.conv2d(Value(x0.astype(np.float64) ** 2), kernel, bias)
    assert z.vjp is not None
    _, want["c/kernel"], want["c/bias"] = z.vjp(second.reshape(c.shape))
    for i, parameter in enumerate(network.parameters()):
        close(network.curvature(i), want[parameter["name"]], parameter["name"])
