"""Gradients at a graph's edges: what no loss reaches, what nothing reads, what is broadcast."""

import numpy as np
import pytest
from striate import _core

SQUARED = ("mean_squared_error", {})


def heads(count: int = 2) -> _core.Network:
    graph = _core.Graph()
    body = graph.dense(graph.input((4,)), name="body", units=5)
    ends = [graph.dense(body, name=f"head{i}", units=3) for i in range(count)]
    return _core.Network(graph, ends, 1)


@pytest.mark.parametrize("batch", [3, 40])
def test_gradients_of_an_earlier_loss_are_forgotten(batch: int) -> None:
    """Once a head without a loss trained on what its last loss had left."""
    network = heads()
    x = np.random.default_rng(0).normal(size=(batch, 4)).astype(np.float32)
    y = np.ones((batch, 3), np.float32)
    sgd = ("sgd", {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.1})
    network.compile([SQUARED, SQUARED], *sgd)
    network.train_batch([x], None, [y, y])
    network.compile([SQUARED, None], *sgd)
    before = [network.get_parameter(i) for i in range(6)]
    network.train_batch([x], None, [y, None])
    same = [np.array_equal(network.get_parameter(i), before[i]) for i in range(6)]
    assert same == [False, False, False, False, True, True], "as Keras: no gradient, no update"
    gradients = network.gradients([x], [y, None])[1]
    assert [bool(g.any()) for g in gradients] == [True, True, True, True, False, False]


@pytest.mark.parametrize("batch", [3, 40])
def test_regularizers_reach_what_no_loss_does(batch: int) -> None:
    """Once their gradient piled up, step after step."""
    network = heads()
    x = np.random.default_rng(0).normal(size=(batch, 4)).astype(np.float32)
    network.compile([SQUARED, None], "sgd", {"learning_rate": 0.1})
    network.train_batch([x], None, [np.ones((batch, 3), np.float32), None])
    network.set_regularizer(4, 0.0, 0.5)
    want = network.get_parameter(4).astype(np.float64)
    for _ in range(4):
        network.train_batch([x], None, [np.ones((batch, 3), np.float32), None])
        want *= 0.9
        np.testing.assert_allclose(network.get_parameter(4), want, rtol=1e-5)
    gradients = network.gradients([x], [np.ones((batch, 3), np.float32), None])[1]
    np.testing.assert_allclose(gradients[4], want, rtol=1e-5)
    assert not gradients[5].any()


@pytest.mark.parametrize("batch", [3, 20])
def test_an_input_that_nothing_reads_has_gradient_zero(batch: int) -> None:
    graph = _core.Graph()
    x, _ = graph.input((4,), "x"), graph.input((6,), "idle")
    network = _core.Network(graph, [graph.dense(x, name="d", units=2)], 0)
    network.compile([SQUARED], "sgd", {"learning_rate": 0.1})
    given = [np.ones((batch, 4), np.float32), np.ones((batch, 6), np.float32)]
    _, _, dx = network.gradients(given, [np.ones((batch, 2), np.float32)])
    assert dx[0].any() and not dx[1].any() and dx[1].shape == (batch, 6)


@pytest.mark.parametrize("batch", [1, 2, 8])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", ["add", "multiply"])
def test_a_small_input_of_a_merge_keeps_its_memory(kind: str, first: bool, batch: int) -> None:
    """3 and 12 floats both fill a cache line: once the output was written over the smaller input,
    and the smaller gradient over the output's."""
    graph = _core.Graph()
    small, image = graph.input((1, 1, 3), "small"), graph.input((2, 2, 3), "image")
    pair = [graph.activation(v, name=f"a{v}", kind="linear") for v in (small, image)]
    merged = getattr(graph, kind)(pair if first else pair[::-1], name=kind)
    network = _core.Network(graph, [merged], 0)
    network.compile([SQUARED], "sgd", {"learning_rate": 0.1})
    rng = np.random.default_rng(0)
    a = rng.normal(size=(batch, 1, 1, 3)).astype(np.float32)
    b = rng.normal(size=(batch, 2, 2, 3)).astype(np.float32)
    want = a + b if kind == "add" else a * b
    np.testing.assert_allclose(network.predict([a, b])[0], want, rtol=1e-6)
    _, _, (da, db) = network.gradients([a, b], [np.zeros((batch, 12), np.float32)])
    slope = 2 * want / 12 / batch
    share_of_a = slope if kind == "add" else slope * b
    share_of_b = slope if kind == "add" else slope * a
    np.testing.assert_allclose(da, share_of_a.sum(axis=(1, 2), keepdims=True), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(db, share_of_b, rtol=1e-5, atol=1e-6)
