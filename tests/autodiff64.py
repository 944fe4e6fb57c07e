"""Reverse-mode differentiation over NumPy arrays in float64: the oracle of whole graphs.

A `Value` is an array with the batch first, and how a gradient passes to what it was made from.
Values used several times sum their gradients. `backward` fills `Value.grad`. The operations have
numerics.py's and `_core.Graph`'s meanings; test_autodiff64.py checks them with central differences.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numerics import Doubles, Padding, axis_padding, erf
from numpy.typing import NDArray

_counter = itertools.count()


class Value:
    def __init__(
        self,
        array: Doubles,
        parents: Sequence["Value"] = (),
        vjp: Callable[[Doubles], Sequence[Doubles | None]] | None = None,
    ) -> None:
        self.array = array
        self.parents = tuple(parents)
        self.vjp = vjp
        self.grad = np.zeros_like(array)
        self.order = next(_counter)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape


def backward(loss: Value) -> None:
    """Leaves d(loss)/d(value) in every value that the loss, one number, was made from."""
    seen: dict[int, Value] = {}
    waiting = [loss]
    while waiting:
        value = waiting.pop()
        if value.order not in seen:
            seen[value.order] = value
            waiting.extend(value.parents)
    for value in seen.values():
        value.grad = np.zeros_like(value.array)
    loss.grad = np.ones_like(loss.array)
    for order in sorted(seen, reverse=True):
        value = seen[order]
        if value.vjp is None:
            continue
        for parent, share in zip(value.parents, value.vjp(value.grad), strict=True):
            if share is not None:
                parent.grad = parent.grad + share


def _fit(gradient: Doubles, shape: tuple[int, ...]) -> Doubles:
    """Sums what broadcasting has repeated."""
    extra = gradient.ndim - len(shape)
    gradient = gradient.sum(axis=tuple(range(1, 1 + extra))) if extra else gradient
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and gradient.shape[i] != 1)
    return gradient.sum(axis=axes, keepdims=True) if axes else gradient


def elementwise(kind: str, values: Sequence[Value]) -> Value:
    """add, subtract, multiply, average or maximum, with extents of 1 repeated."""
    rank = max(value.array.ndim for value in values)
    arrays = [
        v.array.reshape(len(v.array), *(1,) * (rank - v.array.ndim), *v.shape[1:]) for v in values
    ]
    slopes: list[Doubles | float]
    if kind == "add":
        out, slopes = sum(arrays[1:], arrays[0]), [1.0] * len(arrays)
    elif kind == "subtract":
        out, slopes = arrays[0] - arrays[1], [1.0, -1.0]
    elif kind == "average":
        out = sum(arrays[1:], arrays[0]) / len(arrays)
        slopes = [1 / len(arrays)] * len(arrays)
    elif kind == "multiply":
        out = math.prod(arrays[1:], start=arrays[0])
        slopes = [
            math.prod((a for k, a in enumerate(arrays) if k != i), start=np.ones_like(out))
            for i in range(len(arrays))
        ]
    elif kind == "maximum":
        whole = np.stack(np.broadcast_arrays(*arrays))
        out, winner = whole.max(axis=0), whole.argmax(axis=0)
        slopes = [(winner == i).astype(np.float64) for i in range(len(arrays))]
    else:
        raise ValueError(kind)
    return Value(
        out,
        values,
        lambda dy: [
            _fit(dy * slope, a.shape).reshape(v.shape)
            for slope, a, v in zip(slopes, arrays, values, strict=True)
        ],
    )


def concatenate(values: Sequence[Value], axis: int = -1) -> Value:
    ends = np.cumsum([v.shape[axis] for v in values])[:-1]
    joined = np.concatenate([v.array for v in values], axis=axis)
    return Value(joined, values, lambda dy: np.split(dy, ends, axis=axis))


def reshape(x: Value, shape: tuple[int, ...]) -> Value:
    return Value(x.array.reshape(len(x.array), *shape), [x], lambda dy: [dy.reshape(x.shape)])


def activation(x: Value, kind: str) -> Value:
    a = x.array
    if kind == "softmax":
        e = np.exp(a - a.max(axis=-1, keepdims=True))
        y = e / e.sum(axis=-1, keepdims=True)
        return Value(y, [x], lambda dy: [y * (dy - (dy * y).sum(axis=-1, keepdims=True))])
    if kind == "relu":
        y, slope = np.maximum(a, 0), (a > 0).astype(np.float64)
    elif kind == "tanh":
        y = np.tanh(a)
        slope = 1 - y**2
    elif kind == "sigmoid":
        y = 1 / (1 + np.exp(-a))
        slope = y * (1 - y)
    elif kind == "gelu":
        share = 0.5 * (1 + erf(a / math.sqrt(2)))
        y, slope = a * share, share + a * np.exp(-(a**2) / 2) / math.sqrt(2 * math.pi)
    elif kind == "linear":
        y, slope = a, np.ones_like(a)
    else:
        raise ValueError(kind)
    return Value(y, [x], lambda dy: [dy * slope])


def times(x: Value, factor: Doubles) -> Value:
    """x by a constant of its shape: a dropout's mask."""
    return Value(x.array * factor, [x], lambda dy: [dy * factor])


def dense(x: Value, w: Value, b: Value | None) -> Value:
    y = x.array @ w.array + (0 if b is None else b.array)
    parents = [x, w] if b is None else [x, w, b]
    return Value(
        y, parents, lambda dy: [dy @ w.array.T, x.array.T @ dy, dy.sum(axis=0)][: len(parents)]
    )


def _sides(
    x: Doubles, window: tuple[int, int], strides: tuple[int, int], dilation: tuple[int, int],
    padding: Padding,
) -> list[tuple[int, int]]:  # fmt: skip
    return [
        axis_padding(x.shape[1 + a], window[a], strides[a], dilation[a], padding, a) for a in (0, 1)
    ]


def conv2d(
    x: Value,
    w: Value,
    b: Value | None,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "valid",
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Value:
    kernel = w.shape[:2]
    rows, columns = _sides(x.array, kernel, strides, dilation, padding)
    padded = np.pad(x.array, ((0, 0), rows, columns, (0, 0)))
    out_h = (padded.shape[1] - dilation[0] * (kernel[0] - 1) - 1) // strides[0] + 1
    out_w = (padded.shape[2] - dilation[1] * (kernel[1] - 1) - 1) // strides[1] + 1
    cg, og = w.shape[2], w.shape[3] // groups

    def taps() -> list[tuple[int, int, tuple[slice, slice]]]:
        return [
            (
                i,
                j,
                (
                    slice(i * dilation[0], i * dilation[0] + out_h * strides[0], strides[0]),
                    slice(j * dilation[1], j * dilation[1] + out_w * strides[1], strides[1]),
                ),
            )
            for i in range(kernel[0])
            for j in range(kernel[1])
        ]

    def parts() -> list[tuple[slice, slice]]:
        return [(slice(g * cg, (g + 1) * cg), slice(g * og, (g + 1) * og)) for g in range(groups)]

    def cut(array: Doubles, at: tuple[slice, slice]) -> Doubles:
        return array[:, at[0], at[1]][:, :out_h, :out_w]

    y = np.zeros((len(padded), out_h, out_w, w.shape[3]))
    for i, j, at in taps():
        for inputs, outputs in parts():
            y[..., outputs] += cut(padded, at)[..., inputs] @ w.array[i, j][:, outputs]
    if b is not None:
        y = y + b.array

    def vjp(dy: Doubles) -> list[Doubles]:
        dx, dw = np.zeros_like(padded), np.zeros_like(w.array)
        for i, j, at in taps():
            pixels = cut(padded, at)
            for inputs, outputs in parts():
                share = dy[..., outputs]
                cut(dx, at)[..., inputs] += share @ w.array[i, j][:, outputs].T
                dw[i, j][:, outputs] += np.einsum("nhwc,nhwo->co", pixels[..., inputs], share)
        bottom, right = dx.shape[1] - rows[1], dx.shape[2] - columns[1]
        return [dx[:, rows[0] : bottom, columns[0] : right], dw, dy.sum(axis=(0, 1, 2))]

    parents = [x, w] if b is None else [x, w, b]
    return Value(y, parents, lambda dy: vjp(dy)[: len(parents)])


def pool2d(
    x: Value,
    kind: str,
    *,
    window: tuple[int, int],
    strides: tuple[int, int],
    padding: Padding = "valid",
) -> Value:
    """kind: max or avg, which counts pixels inside the image."""
    rows, columns = _sides(x.array, window, strides, (1, 1), padding)
    fill = -np.inf if kind == "max" else 0.0
    spread = ((0, 0), rows, columns, (0, 0))
    padded = np.pad(x.array, spread, constant_values=fill)
    inside = np.pad(np.ones_like(x.array), spread)
    out_h = (padded.shape[1] - window[0]) // strides[0] + 1
    out_w = (padded.shape[2] - window[1]) // strides[1] + 1

    def cut(array: Doubles, i: int, j: int) -> Doubles:
        return array[:, i :: strides[0], j :: strides[1]][:, :out_h, :out_w]

    taps = [(i, j) for i in range(window[0]) for j in range(window[1])]
    stacked = np.stack([cut(padded, i, j) for i, j in taps])
    if kind == "max":
        y, winner = stacked.max(axis=0), stacked.argmax(axis=0)
        shares: list[Doubles] = [(winner == k).astype(np.float64) for k in range(len(taps))]
    else:
        count = sum(cut(inside, i, j) for i, j in taps)
        y, shares = stacked.sum(axis=0) / count, [1 / count] * len(taps)

    def vjp(dy: Doubles) -> list[Doubles]:
        dx = np.zeros_like(padded)
        for share, (i, j) in zip(shares, taps, strict=True):
            cut(dx, i, j)[...] += dy * share
        bottom, right = dx.shape[1] - rows[1], dx.shape[2] - columns[1]
        return [dx[:, rows[0] : bottom, columns[0] : right]]

    return Value(y, [x], vjp)


def global_pool2d(x: Value, kind: str, keepdims: bool = False) -> Value:
    size = x.shape[1:3]
    y = pool2d(x, kind, window=size, strides=size)
    return y if keepdims else reshape(y, y.shape[3:])


def batch_normalization(
    x: Value,
    gamma: Value | None,
    beta: Value | None,
    epsilon: float,
    statistics: tuple[Doubles, Doubles] | None = None,
) -> Value:
    """Over the last axis; statistics: the moving mean and variance, None for the batch's."""
    axes = tuple(range(x.array.ndim - 1))
    mean, variance = statistics or batch_statistics(x.array)
    inverse = 1 / np.sqrt(variance + epsilon)
    z = (x.array - mean) * inverse
    factor = 1.0 if gamma is None else gamma.array
    parents = [x, *(p for p in (gamma, beta) if p is not None)]

    def vjp(dy: Doubles) -> list[Doubles]:
        shares = {id(gamma): (dy * z).sum(axis=axes), id(beta): dy.sum(axis=axes)}
        dz = dy * factor
        if statistics is None:
            dz = dz - dz.mean(axis=axes) - z * (dz * z).mean(axis=axes)
        return [dz * inverse, *(shares[id(p)] for p in (gamma, beta) if p is not None)]

    return Value(z * factor + (0 if beta is None else beta.array), parents, vjp)


def batch_statistics(x: Doubles) -> tuple[Doubles, Doubles]:
    """Mean and biased variance by channel."""
    axes = tuple(range(x.ndim - 1))
    return x.mean(axis=axes), x.var(axis=axes)


# ---- losses: one number, the weighted mean over the batch


def mean_squared_error(y: Value, targets: Doubles, weights: Doubles | None = None) -> Value:
    features = y.array[0].size
    w = (np.ones(len(y.array)) if weights is None else weights) / (len(y.array) * features)
    w = w.reshape(-1, *(1,) * (y.array.ndim - 1))
    difference = y.array - targets.reshape(y.shape)
    return Value(np.array((w * difference**2).sum()), [y], lambda dy: [dy * 2 * w * difference])


def sparse_categorical_crossentropy(
    z: Value, labels: NDArray[np.int64], weights: Doubles | None = None
) -> Value:
    """Of logits."""
    e = z.array - z.array.max(axis=-1, keepdims=True)
    total = np.exp(e).sum(axis=-1, keepdims=True)
    p = np.exp(e) / total
    positions = labels[0].size
    w = (np.ones(len(p)) if weights is None else weights) / (len(p) * positions)
    w = w.reshape(-1, *(1,) * (labels.ndim - 1))
    one_hot = np.eye(p.shape[-1])[labels]
    loss = (w * (np.log(total[..., 0]) - (e * one_hot).sum(axis=-1))).sum()
    return Value(np.array(loss), [z], lambda dy: [dy * w[..., None] * (p - one_hot)])


def weighted_sum(losses: Sequence[Value], factors: Sequence[float]) -> Value:
    total = sum(f * v.array for f, v in zip(factors, losses, strict=True))
    return Value(np.array(total), losses, lambda dy: [dy * f for f in factors])
