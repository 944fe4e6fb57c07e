"""The oracle of whole graphs against central differences."""

from collections.abc import Callable

import autodiff64 as ad
import numerics
import numpy as np
import pytest
from autodiff64 import Value

Build = Callable[[list[Value]], Value]
IMAGE = (3, 5, 6, 4)

CASES: dict[str, tuple[list[tuple[int, ...]], Build]] = {
    "conv2d": ([IMAGE, (3, 2, 4, 5), (5,)], lambda v: ad.conv2d(*v, padding="same")),
    "conv2d_strides": (
        [IMAGE, (3, 2, 4, 5)],
        lambda v: ad.conv2d(v[0], v[1], None, strides=(2, 3), padding=((1, 0), (2, 1))),
    ),
    "conv2d_groups": (
        [IMAGE, (2, 2, 2, 6), (6,)], lambda v: ad.conv2d(*v, groups=2, dilation=(2, 1))
    ),
    "dense": ([(3, 7), (7, 4), (4,)], lambda v: ad.dense(*v)),
    "dense_no_bias": ([(3, 7), (7, 4)], lambda v: ad.dense(v[0], v[1], None)),
    "max_pool": (
        [IMAGE], lambda v: ad.pool2d(v[0], "max", window=(3, 2), strides=(2, 2), padding="same")
    ),
    "avg_pool": (
        [IMAGE], lambda v: ad.pool2d(v[0], "avg", window=(3, 2), strides=(2, 1), padding="same")
    ),
    "global_max": ([IMAGE], lambda v: ad.global_pool2d(v[0], "max")),
    "global_avg": ([IMAGE], lambda v: ad.global_pool2d(v[0], "avg", keepdims=True)),
    "batch_norm": (
        [IMAGE, (4,), (4,)], lambda v: ad.batch_normalization(v[0], v[1], v[2], 0.1)
    ),
    "batch_norm_plain": ([(5, 3)], lambda v: ad.batch_normalization(v[0], None, None, 0.1)),
    "batch_norm_moving": (
        [IMAGE, (4,)],
        lambda v: ad.batch_normalization(v[0], v[1], None, 0.1, (np.arange(4.0), np.ones(4))),
    ),
    "concatenate": ([IMAGE, (3, 5, 6, 2)], lambda v: ad.concatenate(v)),
    "concatenate_rows": ([IMAGE, (3, 2, 6, 4)], lambda v: ad.concatenate(v, axis=1)),
    "flatten": ([IMAGE], lambda v: ad.reshape(v[0], (120,))),
    "twice": ([IMAGE], lambda v: ad.elementwise("multiply", [v[0], v[0], v[0]])),
    "gate": ([(3, 4), IMAGE], lambda v: ad.elementwise("multiply", v)),
    "broadcast": ([IMAGE, (3, 5, 1, 4)], lambda v: ad.elementwise("add", v)),
    "mask": ([IMAGE], lambda v: ad.times(v[0], np.arange(360.0).reshape(IMAGE) % 3)),
    **{
        kind: ([IMAGE, IMAGE], lambda v, kind=kind: ad.elementwise(kind, v))
        for kind in ("add", "subtract", "multiply", "average", "maximum")
    },
    **{
        kind: ([IMAGE], lambda v, kind=kind: ad.activation(v[0], kind))
        for kind in ("linear", "relu", "tanh", "sigmoid", "gelu", "softmax")
    },
}  # fmt: skip
WEIGHTS = np.array([0.5, 2.0, 1.0])
LOSSES: dict[str, Build] = {
    "squares": lambda v: ad.mean_squared_error(v[0], np.ones(IMAGE), WEIGHTS),
    "crossentropy": lambda v: ad.sparse_categorical_crossentropy(
        v[0], np.arange(90).reshape(3, 5, 6) % 4, WEIGHTS
    ),
}


def check(shapes: list[tuple[int, ...]], loss_of: Build) -> None:
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=shape) for shape in shapes]
    values = [Value(array) for array in arrays]
    ad.backward(loss_of(values))
    for i, value in enumerate(values):

        def moved(array: numerics.Doubles, i: int = i) -> float:
            return float(
                loss_of([Value(array if k == i else a) for k, a in enumerate(arrays)]).array
            )

        slopes = numerics.central_differences(moved, arrays[i])
        np.testing.assert_allclose(value.grad.ravel(), slopes, rtol=1e-5, atol=1e-8)
        assert np.abs(slopes).max() > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_operations(name: str) -> None:
    shapes, build = CASES[name]

    def loss_of(values: list[Value]) -> Value:
        y = build(values)
        targets = np.random.default_rng(4).normal(size=y.shape)
        return ad.mean_squared_error(y, targets)

    check(shapes, loss_of)


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    check([IMAGE], LOSSES[name])


def test_sums_over_readers() -> None:
    x = Value(np.array([[2.0]]))
    y = ad.elementwise("multiply", [x, x])
    total = ad.weighted_sum(
        [ad.mean_squared_error(v, np.zeros(1)) for v in (y, x, y)], [1.0, 3.0, 0.5]
    )
    ad.backward(total)
    assert total.array == 1.5 * 16 + 3 * 4
    assert x.grad == 1.5 * 4 * 8 + 3 * 4
