"""Merges as layers: called on tensors, configured, saved, and what they refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import striate
from striate import Input, Model, layers
from striate.errors import ArgumentError, ShapeError

EVERY_MERGE = [
    (layers.Add, layers.add, lambda a, b: a + b),
    (layers.Subtract, layers.subtract, lambda a, b: a - b),
    (layers.Multiply, layers.multiply, lambda a, b: a * b),
    (layers.Average, layers.average, lambda a, b: (a + b) / 2),
    (layers.Maximum, layers.maximum, np.maximum),
    (layers.Minimum, layers.minimum, np.minimum),
    (layers.Concatenate, layers.concatenate, lambda a, b: np.concatenate([a, b], axis=-1)),
]
A, B = np.random.default_rng(0).normal(size=(2, 5, 4, 3, 2)).astype(np.float32)


@pytest.mark.parametrize(("cls", "function", "want"), EVERY_MERGE)
def test_layers_and_their_functions(
    cls: type[layers.Layer], function: Callable[..., Any], want: Callable[..., Any]
) -> None:
    a, b = Input((4, 3, 2)), Input((4, 3, 2))
    merged = cls(name="m")([a, b])
    same = function([a, b], name="f")
    model = Model([a, b], [merged, same])
    assert merged.shape == same.shape == (None, *want(A, B).shape[1:])
    first, second = model.predict([A, B], verbose=0)
    np.testing.assert_allclose(first, want(A, B), rtol=1e-6)
    np.testing.assert_array_equal(first, second)
    assert model.get_layer("f").__class__ is cls


@pytest.mark.parametrize(("cls", "function", "want"), EVERY_MERGE)
def test_config_and_shapes(
    cls: type[layers.Layer], function: Callable[..., Any], want: Callable[..., Any]
) -> None:
    layer = cls(name="m")
    again = layers.deserialize(json.loads(json.dumps(layers.serialize(layer))))
    assert type(again) is cls and again.get_config() == layer.get_config()
    shapes = [(None, 4, 3, 2), (None, 4, 3, 2)]
    assert again.compute_output_shape(shapes) == (None, *want(A, B).shape[1:])


def test_axis_counts_the_batch() -> None:
    a, b = Input((4, 3, 2)), Input((4, 3, 2))
    for axis, shape in {
        1: (8, 3, 2),
        2: (4, 6, 2),
        3: (4, 3, 4),
        -1: (4, 3, 4),
        -3: (8, 3, 2),
    }.items():
        joined = layers.Concatenate(axis=axis)([a, b])
        assert joined.shape == (None, *shape)
        got = Model([a, b], joined).predict([A, B], verbose=0)
        np.testing.assert_array_equal(got, np.concatenate([A, B], axis=axis))
    with pytest.raises(ShapeError, match="has no axis"):
        layers.Concatenate(axis=4)([a, b])


def test_broadcasting() -> None:
    image, vector = Input((4, 3, 2)), Input((2,))
    product = layers.Multiply()([image, vector])
    assert product.shape == (None, 4, 3, 2)
    v = np.random.default_rng(1).normal(size=(5, 2)).astype(np.float32)
    got = Model([image, vector], product).predict([A, v], verbose=0)
    np.testing.assert_array_equal(got, A * v[:, None, None, :])


def squeeze_and_excite_network() -> Model:
    image = Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(image)
    factors = layers.GlobalAveragePooling2D(keepdims=True)(x)
    factors = layers.Conv2D(6, 1, activation="sigmoid")(factors)
    x = layers.add([layers.multiply([x, factors]), layers.Conv2D(6, 1)(image)])
    x = layers.concatenate([layers.MaxPooling2D()(x), layers.AveragePooling2D()(x)])
    return Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))


def test_a_network_of_branches_learns_and_is_saved(tmp_path: Path) -> None:
    striate.set_random_seed(0)
    model = squeeze_and_excite_network()
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, size=96)
    x = rng.normal(size=(96, 8, 8, 3)).astype(np.float32) + np.eye(3)[y][:, None, None, :]
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    history = model.fit(x, y, epochs=20, batch_size=16, verbose=0)
    assert history.history["accuracy"][-1] > 0.9
    path = tmp_path / "model.striate"
    model.save(path)
    again = striate.models.load_model(path)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_what_is_refused() -> None:
    a, b = Input((4, 3, 2)), Input((4, 3, 5))
    with pytest.raises(ShapeError, match=r"s.*inputs \(4, 3, 2\) and \(4, 3, 5\) do not fit"):
        layers.Add(name="s")([a, b])
    with pytest.raises(ShapeError, match="takes 2 to 64 inputs, got 1"):
        layers.Add(name="s")([a])
    with pytest.raises(ShapeError, match="takes exactly 2 inputs, got 3"):
        layers.Subtract(name="s")([a, a, a])
    with pytest.raises(ArgumentError, match="takes a list of tensors"):
        layers.Add(name="s")(a)
