"""The networks against the tables of their papers."""

from pathlib import Path

import numpy as np
import pytest
from striate import _core, layers
from striate.applications import MLP, LeNet5, LeNet5_1998
from striate.applications.lenet5_1998 import c3_connections, preprocess
from striate.applications.rbf_bitmaps import rbf_codes
from striate.errors import ArgumentError, ShapeError
from striate.models import Sequential

# Of the paper: name -> output shape, trainable parameters, connections.
TABLE_1998 = {
    "c1": ((28, 28, 6), 156, 122_304),
    "s2": ((14, 14, 6), 12, 5_880),
    "c3": ((10, 10, 16), 1_516, 151_600),
    "s4": ((5, 5, 16), 32, 2_000),
    "c5": ((1, 1, 120), 48_120, 48_120),
    "flatten": ((120,), 0, 0),
    "f6": ((84,), 10_164, 10_164),
    "output": ((10,), 0, 840),
}

# Of the course: name -> output shape, parameters.
TABLE_TODAY = {
    "c1": ((28, 28, 6), 156),
    "s2": ((14, 14, 6), 0),
    "c3": ((10, 10, 16), 2_416),
    "s4": ((5, 5, 16), 0),
    "flatten": ((400,), 0),
    "c5": ((120,), 48_120),
    "f6": ((84,), 10_164),
    "output": ((10,), 850),
}


def connections(layer: layers.Layer) -> int:
    """What the core counts for this layer, its activation left out as the paper leaves it out."""
    graph = _core.Graph()
    x = graph.input([size for size in layer.input_shape[1:] if size is not None])
    last = layer.describe(graph, x)
    return sum(graph.cost(value)["connections"] for value in range(x + 1, last + 1))


def trainable(layer: layers.Layer) -> int:
    return layer.count_params() if not isinstance(layer, layers.RBFOutput) else 0


def test_lenet5_1998_is_the_papers_table() -> None:
    model = LeNet5_1998()
    found = {
        layer.name: (layer.output_shape[1:], trainable(layer), connections(layer))
        for layer in model.layers
    }
    assert found == TABLE_1998


def test_lenet5_1998_totals() -> None:
    model = LeNet5_1998()
    counts = [int(np.prod(w.shape)) for w in model.trainable_weights]
    # The kernel of C3 is stored whole; Table I leaves 60 of its 96 places.
    assert sum(counts) - 36 * 25 == 60_000
    assert sum(map(trainable, model.layers)) == 60_000
    assert sum(map(connections, model.layers)) == 340_908


def test_table_i() -> None:
    table = c3_connections()
    assert table.shape == (6, 16)
    assert table.sum() == 60
    assert (table.sum(axis=1) == 10).all()
    fan_in = table.sum(axis=0)
    assert fan_in.tolist() == [3] * 6 + [4] * 9 + [6]
    # The first six take contiguous triples, the next six contiguous quadruples, around the ring.
    for number in range(6):
        assert set(np.flatnonzero(table[:, number])) == {(number + k) % 6 for k in range(3)}
        assert set(np.flatnonzero(table[:, 6 + number])) == {(number + k) % 6 for k in range(4)}
    assert [np.flatnonzero(table[:, c]).tolist() for c in (12, 13, 14)] == [
        [0, 1, 3, 4],
        [1, 2, 4, 5],
        [0, 2, 3, 5],
    ]


def test_rbf_codes() -> None:
    codes = rbf_codes()
    assert codes.shape == (10, 84) and codes.dtype == np.float32
    assert set(np.unique(codes)) == {-1.0, 1.0}
    distances = {
        (i, j): int((codes[i] != codes[j]).sum()) for i in range(10) for j in range(i + 1, 10)
    }
    assert min(distances.values()) == 12 == distances[6, 8]
    assert max(distances.values()) == 50
    seven = codes[7].reshape(12, 7)
    assert (seven[0] == 1).all() and seven[9].tolist() == [-1, -1, 1, 1, -1, -1, -1]


def test_lenet5_1998_starts_within_its_fan_in() -> None:
    model = LeNet5_1998()
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    for name, fan_in in {"c1": 25, "s2": 4, "s4": 4, "c5": 400, "f6": 120}.items():
        for values in weights[name]:
            assert 0 < np.abs(values).max() <= 2.4 / fan_in
            assert values.size < 100 or np.abs(values).max() > 0.9 * 2.4 / fan_in
    kernel = weights["c3"][0]
    table = c3_connections()
    assert (kernel[:, :, ~table] == 0).all()
    for number, maps in enumerate(table.sum(axis=0)):
        largest = np.abs(kernel[:, :, :, number]).max()
        assert 0.8 * 2.4 / (25 * maps) < largest <= 2.4 / (25 * maps)


def test_lenet5_1998_answers_with_the_nearest_code() -> None:
    model = LeNet5_1998()
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28)).astype(np.uint8)
    x = preprocess(images)
    distances = model.predict(x)
    f6 = Sequential([layers.Input(shape=(32, 32, 1))])
    for layer in model.layers[:-1]:
        f6.add(type(layer).from_config(layer.get_config()))
    for copy, layer in zip(f6.layers, model.layers, strict=False):
        copy.set_weights(layer.get_weights())
    state = f6.predict(x)
    expected = ((state[:, None] - rbf_codes()) ** 2).sum(axis=2)
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    assert model.predict_classes(x).tolist() == expected.argmin(axis=1).tolist()


def test_preprocess() -> None:
    image = np.zeros((28, 28), np.uint8)
    image[0, 0], image[27, 27] = 255, 128
    x = preprocess(image[None])
    assert x.shape == (1, 32, 32, 1) and x.dtype == np.float32
    assert x[0, 2, 2, 0] == pytest.approx(1.175)
    assert x[0, 29, 29, 0] == pytest.approx(128 / 255 * 1.275 - 0.1)
    x[0, 2, 2] = x[0, 29, 29] = -0.1
    np.testing.assert_array_equal(x, np.float32(-0.1))
    np.testing.assert_array_equal(preprocess(image[None, :, :, None]), preprocess(image[None]))
    with pytest.raises(ShapeError, match="28, 28"):
        preprocess(image)


def test_lenet5_is_the_courses_table() -> None:
    model = LeNet5()
    found = {layer.name: (layer.output_shape[1:], layer.count_params()) for layer in model.layers}
    assert found == TABLE_TODAY
    assert model.count_params() == 61_706


def test_lenet5_variants() -> None:
    model = LeNet5(activation="tanh", pooling="average")
    assert model.count_params() == 61_706
    assert isinstance(model.layers[1], layers.AveragePooling2D)
    assert LeNet5(input_shape=(32, 32, 3), classes=4).layers[-1].output_shape == (None, 4)
    with pytest.raises(ArgumentError, match='"max" or "average"'):
        LeNet5(pooling="median")
    with pytest.raises(ArgumentError, match="no activation 'step'"):
        LeNet5(activation="step")


def test_lenet5_with_weights_of_a_file(tmp_path: Path) -> None:
    model = LeNet5()
    model.save(tmp_path / "lenet5.safetensors")
    copy = LeNet5(weights=tmp_path / "lenet5.safetensors")
    for a, b in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_mlp() -> None:
    model = MLP(300, 100)
    assert [layer.name for layer in model.layers] == ["flatten", "hidden1", "hidden2", "output"]
    assert [layer.count_params() for layer in model.layers] == [0, 235_500, 30_100, 1_010]
    assert MLP().count_params() == 266_610
    assert MLP(50).count_params() == 784 * 50 + 50 + 510
    with pytest.raises(ArgumentError, match="at least 1 unit"):
        MLP(0)
