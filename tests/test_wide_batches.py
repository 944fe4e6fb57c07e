"""Wide networks keep a batch's rows in a row, whatever their length."""

import numpy as np
import pytest
from striate import _core, applications


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


@pytest.mark.parametrize("precision", ["float32", "strict"])
def test_few_samples_are_cut_within_them_to_the_same_bits(precision: str) -> None:
    """Activations that outgrow a cache: up to four samples run in tasks of their own."""
    net = applications.ResNet18(input_shape=(96, 96, 3), classes=7).network
    net.precision = precision
    x = np.random.default_rng(0).normal(size=(6, 96, 96, 3)).astype(np.float32)
    together = net.predict(x)
    for count in (1, 3, 4):
        np.testing.assert_array_equal(net.predict(x[:count]), together[:count])


@pytest.mark.parametrize("clip", ["clipnorm", "global_clipnorm"])
def test_norms_are_of_gradients_alone(clip: str) -> None:
    """Gradients lie where activations were; what fills up their last cache line does not count."""
    net = network(7)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(9, 24, 24, 3)).astype(np.float32)
    y = rng.integers(0, 7, 9)
    net.compile(
        [("sparse_categorical_crossentropy", {})], "sgd", {"learning_rate": 1.0, clip: 1e-3}
    )
    gradients = net.gradients([x], [y])[1]
    before = [net.get_parameter(k) for k in range(len(gradients))]
    net.train_batch(x, None, y)
    norms = [float(np.linalg.norm(g.astype(np.float64))) for g in gradients]
    for k, g in enumerate(gradients):
        norm = norms[k] if clip == "clipnorm" else float(np.linalg.norm(norms))
        np.testing.assert_allclose(
            before[k] - net.get_parameter(k), g * (1e-3 / norm), rtol=1e-3, atol=1e-7
        )


def test_batches_of_many_sizes_in_turn() -> None:
    """A wide network's training is planned for a batch's size; plans come and go."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 24, 24, 3)).astype(np.float32)
    y = rng.integers(0, 7, 40)

    def trained(sizes: list[int], fresh: bool) -> np.ndarray:
        net = network(7)
        net.compile([("sparse_categorical_crossentropy", {})], "adam", {"learning_rate": 1e-3})
        for n in sizes:
            if fresh:  # throws all plans away
                net.set_trainable(0, True)
            net.train_batch(x[:n], None, y[:n])
        return net.get_parameter(0)

    sizes = [40, 1, *range(2, 40, 2), 40, 39]
    np.testing.assert_array_equal(trained(sizes, False), trained(sizes, True))


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
