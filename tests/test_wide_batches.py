"""Wide networks keep a batch's rows in a row, whatever their length."""

import numpy as np
import pytest
from striate import _core


def network(units: int) -> _core.Network:
    """One wide enough (2^21 parameters) to be cut by weights, with `units` outputs."""
    graph = _core.Graph()
    x = graph.input((24, 24, 3))
    x = graph.conv2d(x, name="conv", filters=20, kernel=(3, 3))
    x = graph.flatten(graph.activation(x, name="relu", kind="relu"), name="flatten")
    x = graph.activation(graph.dense(x, name="wide", units=301), name="relu2", kind="relu")
    return _core.Network(graph, graph.dense(x, name="out", units=units), 3)


@pytest.mark.parametrize("units", [1, 7, 10, 16, 17, 1000])
def test_a_sample_does_not_depend_on_its_batch(units: int) -> None:
    net = network(units)
    assert sum(int(np.prod(p["shape"])) for p in net.parameters()) > 2**21
    x = np.random.default_rng(0).normal(size=(37, 24, 24, 3)).astype(np.float32)
    together = net.predict(x)
    for i in (0, 1, 2, 31, 32, 36):
        np.testing.assert_array_equal(net.predict(x[i : i + 1])[0], together[i])


@pytest.mark.parametrize("units", [3, 10, 17])
def test_gradients_add_up_over_samples(units: int) -> None:
    net = network(units)
    net.compile([("mean_squared_error", {})], "sgd", {"learning_rate": 0.1})
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5, 24, 24, 3)).astype(np.float32)
    y = rng.normal(size=(5, units)).astype(np.float32)
    loss, together, dx = net.gradients([x], [y])
    alone = [net.gradients([x[i : i + 1]], [y[i : i + 1]]) for i in range(5)]
    assert loss == pytest.approx(np.mean([a[0] for a in alone]), rel=1e-6)
    for k, gradient in enumerate(together):
        want = np.mean([a[1][k] for a in alone], axis=0)
        np.testing.assert_allclose(gradient, want, rtol=1e-4, atol=1e-6 * np.abs(want).max())
    for i in range(5):
        np.testing.assert_allclose(
            dx[0][i], alone[i][2][0][0] / 5, rtol=1e-4, atol=1e-6 * np.abs(dx[0]).max()
        )
