"""numerics.py's operations that move, merge and resize."""

from collections.abc import Callable, Sequence

import numpy as np
from numerics import Doubles

Sides = tuple[tuple[int, int], tuple[int, int]]


def zero_padding2d(x: Doubles, params: Sequence[Doubles], *, padding: Sides) -> Doubles:
    return np.pad(x, ((0, 0), *padding, (0, 0)))


def cropping2d(x: Doubles, params: Sequence[Doubles], *, cropping: Sides) -> Doubles:
    (top, bottom), (left, right) = cropping
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def reshape(x: Doubles, params: Sequence[Doubles], *, target_shape: Sequence[int]) -> Doubles:
    return x.reshape(len(x), *target_shape)


def permute(x: Doubles, params: Sequence[Doubles], *, axes: Sequence[int]) -> Doubles:
    return x.transpose(0, *(axis + 1 for axis in axes))


def rescaling(
    x: Doubles, params: Sequence[Doubles], *, scale: Sequence[float], offset: Sequence[float]
) -> Doubles:
    return x * np.array(scale) + np.array(offset)


def spatial_dropout2d(x: Doubles, params: Sequence[Doubles], *, rate: float) -> Doubles:
    return x  # as in inference; test_dropout.py looks at training


def interpolation(size: int, factor: int, kind: str) -> Doubles:
    """[size * factor, size]: what each output row takes of each input row."""
    matrix = np.zeros((size * factor, size))
    for row in range(size * factor):
        at = (row + 0.5) / factor - 0.5 if kind == "bilinear" else row // factor
        low = int(np.floor(at))
        matrix[row, min(max(low, 0), size - 1)] += 1 - (at - low)
        matrix[row, min(max(low + 1, 0), size - 1)] += at - low
    return matrix


def upsampling2d(
    x: Doubles,
    params: Sequence[Doubles],
    *,
    size: tuple[int, int],
    interpolation: str = "nearest",
) -> Doubles:
    rows = _interpolation(x.shape[1], size[0], interpolation)
    columns = _interpolation(x.shape[2], size[1], interpolation)
    return np.einsum("ph,qw,nhwc->npqc", rows, columns, x, optimize=True)


_interpolation = interpolation  # the argument hides the name


def sharing(size: int, outputs: int) -> Doubles:
    """[outputs, size]: PyTorch's adaptive windows, each of weight 1."""
    matrix = np.zeros((outputs, size))
    for i in range(outputs):
        window = slice(i * size // outputs, -(-(i + 1) * size // outputs))
        matrix[i, window] = 1 / (window.stop - window.start)
    return matrix


def adaptive_avg_pool2d(
    x: Doubles, params: Sequence[Doubles], *, output_size: tuple[int, int]
) -> Doubles:
    rows, columns = sharing(x.shape[1], output_size[0]), sharing(x.shape[2], output_size[1])
    return np.einsum("ph,qw,nhwc->npqc", rows, columns, x, optimize=True)


LAYERS: dict[str, Callable[..., Doubles]] = {
    f.__name__: f
    for f in (
        zero_padding2d, cropping2d, reshape, permute, rescaling, spatial_dropout2d, upsampling2d,
        adaptive_avg_pool2d,
    )
}  # fmt: skip


def together(values: Sequence[Doubles]) -> list[Doubles]:
    """The values with axes of 1 behind the batch, so that all have one rank."""
    rank = max(value.ndim for value in values)
    return [v.reshape(len(v), *(1,) * (rank - v.ndim), *v.shape[1:]) for v in values]


def average(values: Sequence[Doubles]) -> Doubles:
    return add(values) / len(values)


def add(values: Sequence[Doubles]) -> Doubles:
    total, *others = together(values)
    for value in others:
        total = total + value
    return total


def subtract(values: Sequence[Doubles]) -> Doubles:
    first, second = together(values)
    return first - second


def multiply(values: Sequence[Doubles]) -> Doubles:
    product, *others = together(values)
    for value in others:
        product = product * value
    return product


def maximum(values: Sequence[Doubles]) -> Doubles:
    most, *others = together(values)
    for value in others:
        most = np.maximum(most, value)
    return most


def minimum(values: Sequence[Doubles]) -> Doubles:
    return -maximum([-value for value in values])


def concatenate(values: Sequence[Doubles], *, axis: int = -1) -> Doubles:
    return np.concatenate(values, axis=axis + 1 if axis >= 0 else axis)


MERGES: dict[str, Callable[..., Doubles]] = {
    f.__name__: f for f in (add, subtract, multiply, average, maximum, minimum, concatenate)
}
