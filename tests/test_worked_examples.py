"""The course's worked examples: small convolutions and poolings done by hand on the blackboard."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from striate import layers
from striate.models import Sequential

MATRIX = [
    [2, 9, 11, 22, 42],
    [12, 43, 2, 0, 65],
    [9, 87, 65, 2, 90],
    [21, 21, 44, 7, 2],
    [45, 2, 21, 2, 0],
]
BLOCKS = [[8, 5, 2, 7], [1, 6, 0, 3], [2, 4, 7, 1], [5, 1, 8, 0]]


def run(layer: layers.Layer, matrix: list[list[int]]) -> NDArray[np.float32]:
    """The one map [OH, OW] that a network of this layer alone makes of the matrix [H, W]."""
    x = np.array(matrix, np.float32)[None, :, :, None]
    output = Sequential([layers.Input(shape=x.shape[1:]), layer]).predict(x)
    return np.asarray(output[0, :, :, 0])


def convolve(kernel: list[list[int]], **options: Any) -> NDArray[np.float32]:
    """MATRIX under one 3x3 kernel."""
    layer = layers.Conv2D(1, 3, use_bias=False, **options)
    x = np.array(MATRIX, np.float32)[None, :, :, None]
    model = Sequential([layers.Input(shape=(5, 5, 1)), layer])
    layer.set_weights([np.array(kernel, np.float32)[:, :, None, None]])
    return np.asarray(model.predict(x)[0, :, :, 0])


def by_hand(kernel: list[list[int]], padding: int, stride: int) -> NDArray[np.float64]:
    """The same by the definition: a sum of products at each place."""
    padded = np.pad(np.array(MATRIX, float), padding)
    places = range(0, len(padded) - 2, stride)
    return np.array([[(padded[r : r + 3, c : c + 3] * kernel).sum() for c in places]
                     for r in places])  # fmt: skip


def test_convolution_valid() -> None:
    kernel = [[0, 0, 1], [1, 0, 0], [0, 0, 1]]
    result = convolve(kernel, padding="valid")
    assert result.shape == (3, 3)
    assert result[:, 0].tolist() == [88, 55, 107]
    assert result[0, 1] == 67
    np.testing.assert_array_equal(result, by_hand(kernel, padding=0, stride=1))


def test_convolution_same_with_stride_2() -> None:
    kernel = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    result = convolve(kernel, padding="same", strides=2)
    assert result.shape == (3, 3)
    assert result[:2, 0].tolist() == [12, 64]
    np.testing.assert_array_equal(result, by_hand(kernel, padding=1, stride=2))


@pytest.mark.parametrize(
    "layer, expected",
    [
        (layers.AveragePooling2D, [[5, 3], [3, 4]]),
        (layers.MaxPooling2D, [[8, 7], [5, 8]]),
    ],
)
def test_pooling(layer: type[layers.Layer], expected: list[list[int]]) -> None:
    assert run(layer(pool_size=2, strides=2), BLOCKS).tolist() == expected
