"""Dropout: whose mask it is, what it averages to, and where it is off."""

import numpy as np
import pytest
from numpy.typing import NDArray
from striate import _core

FEATURES = 37  # no multiple of 4 or 16
DROPOUT = 3  # RandomPurpose::kDropout
Floats = NDArray[np.float32]


def dropout_network(rates: list[float], features: int = FEATURES, seed: int = 0) -> _core.Network:
    """Dropout layers alone, and a linear layer so that inference has something left to run."""
    graph = _core.Graph()
    value = graph.input((features,))
    for i, rate in enumerate(rates):
        value = graph.dropout(value, name=f"drop{i}", rate=rate)
    value = graph.activation(value, name="identity", kind="linear")
    network = _core.Network(graph, value, seed)
    network.compile("mean_squared_error", {}, "sgd", {"learning_rate": 0.1})
    return network


def masks(network: _core.Network, batches: list[int], features: int = FEATURES) -> Floats:
    """What training on ones, batch by batch, lets through."""
    outputs = []
    for batch in batches:
        ones = np.ones((batch, features), np.float32)
        outputs.append(np.zeros((batch, features), np.float32))
        network.train_batch(ones, None, ones, None, outputs[-1])
    return np.concatenate(outputs)


def philox_mask(rate: float, samples: int, node: int, seed: int) -> Floats:
    """The mask as dropout.cpp documents it: a function of (seed, node, sample, feature)."""
    key = (seed & 0xFFFFFFFF, seed >> 32)
    rows = []
    for sample in range(samples):
        groups = range(-(-FEATURES // 4))
        bits = [_core.philox4x32((group, sample, node, DROPOUT), key) for group in groups]
        dropped = np.array(bits).ravel()[:FEATURES] < rate * 2**32
        rows.append(np.where(dropped, 0, np.float32(1) / (np.float32(1) - np.float32(rate))))
    return np.array(rows, np.float32)


@pytest.mark.parametrize("batches", [[19], [8, 8, 3], [3, 16], [1, 2, 5, 11], [7, 7, 5]])
@pytest.mark.parametrize("seed", [0, 2**40 + 5])
def test_the_mask_is_the_samples_whatever_its_batch_and_layout(
    batches: list[int], seed: int
) -> None:
    got = masks(dropout_network([0.25], seed=seed), batches)
    np.testing.assert_array_equal(got, philox_mask(0.25, 19, node=1, seed=seed))


def test_layers_seeds_and_samples_have_masks_of_their_own() -> None:
    first = masks(dropout_network([0.5]), [8])
    assert not np.array_equal(first, masks(dropout_network([0.5], seed=1), [8]))
    assert len(np.unique(first, axis=0)) == 8
    network = dropout_network([0.5])
    assert not np.array_equal(masks(network, [8]), masks(network, [8]))
    both = masks(dropout_network([0.5, 0.5]), [8])
    expected = philox_mask(0.5, 8, node=1, seed=0) * philox_mask(0.5, 8, node=2, seed=0)
    np.testing.assert_array_equal(both, expected)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_expectation_is_one(rate: float) -> None:
    features, batch = 1000, 64
    mask = masks(dropout_network([rate], features), [batch], features)
    kept = np.float32(1) / (np.float32(1) - np.float32(rate))
    assert set(np.unique(mask)) == {np.float32(0), kept}
    deviation = np.sqrt(rate / (1 - rate) / mask.size)  # of the mean of so many
    assert abs(mask.mean(dtype=np.float64) - 1) < 5 * deviation
    assert np.all(np.abs(mask.mean(axis=0, dtype=np.float64) - 1) < 6 * deviation * features**0.5)


@pytest.mark.parametrize("batch", [3, 19])
def test_gradient_is_the_mask(batch: int) -> None:
    network = dropout_network([0.3])
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, batch, FEATURES)).astype(np.float32)
    mask = philox_mask(0.3, batch, node=1, seed=0).astype(np.float64)
    for _ in range(2):  # gradients() draws what the next training step will, and counts nothing
        loss, gradients, dx = network.gradients(x, y, training=True)
        assert gradients == []
        assert loss == pytest.approx(((x * mask - y) ** 2).mean(), rel=1e-5)
        want = 2 * (x * mask - y) * mask / (batch * FEATURES)
        np.testing.assert_allclose(dx, want, rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(masks(network, [batch]), mask.astype(np.float32))


@pytest.mark.parametrize("batch", [3, 19])
@pytest.mark.parametrize("rates", [[0.9], [0.9, 0.5]])
def test_off_outside_training(rates: list[float], batch: int) -> None:
    network = dropout_network(rates)
    x, y = np.random.default_rng(2).normal(size=(2, batch, FEATURES)).astype(np.float32)
    outputs = np.zeros_like(x)
    np.testing.assert_array_equal(network.predict(x), x)
    loss, _ = network.test_batch(x, None, y, None, outputs)
    np.testing.assert_array_equal(outputs, x)
    want = ((x.astype(np.float64) - y) ** 2).mean()
    assert loss == pytest.approx(want, rel=1e-6)
    assert network.gradients(x, y)[0] == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("batch", [3, 19])
def test_off_outside_training_where_it_is_the_only_layer(batch: int) -> None:
    graph = _core.Graph()
    network = _core.Network(graph, graph.dropout(graph.input((5,)), name="drop", rate=0.5))
    x = np.random.default_rng(3).normal(size=(batch, 5)).astype(np.float32)
    np.testing.assert_array_equal(network.predict(x), x)


def test_rate_zero_keeps_all_and_bad_rates_are_refused() -> None:
    np.testing.assert_array_equal(masks(dropout_network([0.0]), [19]), 1)
    for rate in (1.0, -0.1, float("nan")):
        with pytest.raises(_core.ArgumentError, match=r"dropout rate must be in \[0, 1\)"):
            dropout_network([rate])


def spatial_network(rate: float, seed: int = 0) -> _core.Network:
    """Images of 2 x 3 pixels and 37 maps."""
    graph = _core.Graph()
    value = graph.reshape(graph.input((6 * FEATURES,)), name="images", target_shape=(2, 3, -1))
    value = graph.spatial_dropout2d(value, name="drop", rate=rate)
    value = graph.flatten(value, name="flat")
    network = _core.Network(graph, value, seed)
    network.compile("mean_squared_error", {}, "sgd", {"learning_rate": 0.1})
    return network


@pytest.mark.parametrize("batches", [[19], [8, 8, 3], [3, 16], [1, 2, 5, 11]])
@pytest.mark.parametrize("seed", [0, 2**40 + 5])
def test_spatial_dropout_drops_whole_maps(batches: list[int], seed: int) -> None:
    got = masks(spatial_network(0.25, seed), batches, 6 * FEATURES)
    want = philox_mask(0.25, 19, node=2, seed=seed)  # the map's number instead of the feature's
    np.testing.assert_array_equal(got.reshape(19, 6, FEATURES), np.repeat(want[:, None], 6, axis=1))


@pytest.mark.parametrize("batch", [3, 19])
def test_spatial_dropout_is_off_outside_training(batch: int) -> None:
    x = np.random.default_rng(4).normal(size=(batch, 6 * FEATURES)).astype(np.float32)
    np.testing.assert_array_equal(spatial_network(0.9).predict(x), x)


def test_spatial_dropout_refuses_bad_rates() -> None:
    for rate in (1.0, -0.1, float("nan")):
        with pytest.raises(_core.ArgumentError, match=r"drop: dropout rate must be in \[0, 1\)"):
            spatial_network(rate)
