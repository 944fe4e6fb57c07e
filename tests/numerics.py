"""Every operation and loss once more, in float64 and as dumb as can be: the gradients' oracle.

Arrays have the batch first: images [N, H, W, C], kernels [KH, KW, C / groups, OC], dense weights
[I, O]. A layer is a function of (x, its parameters, its options as `_core.Graph` names them). A
loss returns one number a sample.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Padding = str | tuple[tuple[int, int], tuple[int, int]]

EPSILON = 1e-7  # Keras's clip of probabilities


def axis_padding(
    size: int, window: int, stride: int, dilation: int, padding: Padding, axis: int
) -> tuple[int, int]:
    """Pixels of padding before and after one axis (0: rows, 1: columns)."""
    if padding == "valid":
        return 0, 0
    if padding == "same":  # TensorFlow: ceil(size / stride) outputs, the odd pixel after
        outputs = -(-size // stride)
        total = max((outputs - 1) * stride + dilation * (window - 1) + 1 - size, 0)
        return total // 2, total - total // 2
    assert not isinstance(padding, str)
    return padding[axis]


def both_paddings(
    x: Doubles,
    window: tuple[int, int],
    strides: tuple[int, int],
    dilation: tuple[int, int],
    padding: Padding,
) -> tuple[tuple[int, int], tuple[int, int]]:
    return (
        axis_padding(x.shape[1], window[0], strides[0], dilation[0], padding, 0),
        axis_padding(x.shape[2], window[1], strides[1], dilation[1], padding, 1),
    )


def conv2d(
    x: Doubles,
    params: Sequence[Doubles],
    *,
    kernel: tuple[int, int],
    filters: int,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "valid",
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    use_bias: bool = True,
    connections: NDArray[np.bool_] | None = None,
) -> Doubles:
    w = params[0] if connections is None else params[0] * connections
    rows, columns = both_paddings(x, kernel, strides, dilation, padding)
    x = np.pad(x, ((0, 0), rows, columns, (0, 0)))
    out_h = (x.shape[1] - dilation[0] * (kernel[0] - 1) - 1) // strides[0] + 1
    out_w = (x.shape[2] - dilation[1] * (kernel[1] - 1) - 1) // strides[1] + 1
    group_in, group_out = x.shape[3] // groups, filters // groups
    y = np.zeros((len(x), out_h, out_w, filters))
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            pixels = x[:, top :: strides[0], left :: strides[1]][:, :out_h, :out_w]
            for g in range(groups):
                inputs = slice(g * group_in, (g + 1) * group_in)
                outputs = slice(g * group_out, (g + 1) * group_out)
                y[..., outputs] += pixels[..., inputs] @ w[i, j, :, outputs]
    return y + params[1] if use_bias else y


def window_spans(
    size: int, window: int, stride: int, padding: tuple[int, int], ceil_mode: bool
) -> list[tuple[int, int]]:
    """(begin, end) of each window along one axis, not clipped: padding has numbers below 0."""
    before, after = padding
    starts = list(range(-before, size + after - window + 1, stride))
    if ceil_mode:  # PyTorch: one more, unless it would start in the padding after
        if not starts or starts[-1] + window < size + after:
            starts.append(starts[-1] + stride if starts else -before)
        if starts[-1] >= size:
            starts.pop()
    return [(start, start + window) for start in starts]


def both_spans(
    x: Doubles,
    window: tuple[int, int],
    strides: tuple[int, int],
    padding: Padding,
    ceil_mode: bool = False,
) -> list[list[tuple[int, int]]]:
    sides = both_paddings(x, window, strides, (1, 1), padding)
    return [
        window_spans(x.shape[axis + 1], window[axis], strides[axis], sides[axis], ceil_mode)
        for axis in (0, 1)
    ]


def windows(
    x: Doubles,
    window: tuple[int, int],
    strides: tuple[int, int],
    padding: Padding,
    ceil_mode: bool = False,
) -> list[list[Doubles]]:
    """By output pixel, the part of its window that lies inside the image: [N, h, w, C]."""
    rows, columns = both_spans(x, window, strides, padding, ceil_mode)
    return [
        [x[:, max(top, 0) : bottom, max(left, 0) : right] for left, right in columns]
        for top, bottom in rows
    ]


def image(pixels: list[list[Doubles]]) -> Doubles:
    """[N, OH, OW, C] from a grid of [N, C]."""
    return np.stack([np.stack(row, axis=1) for row in pixels], axis=1)


def max_pool2d(
    x: Doubles,
    params: Sequence[Doubles],
    *,
    window: tuple[int, int],
    strides: tuple[int, int],
    padding: Padding = "valid",
    ceil_mode: bool = False,
) -> Doubles:
    grid = windows(x, window, strides, padding, ceil_mode)
    return image([[part.max(axis=(1, 2)) for part in row] for row in grid])


def avg_pool2d(
    x: Doubles,
    params: Sequence[Doubles],
    *,
    window: tuple[int, int],
    strides: tuple[int, int],
    padding: Padding = "valid",
    count_include_pad: bool = False,
    ceil_mode: bool = False,
) -> Doubles:
    sides = both_paddings(x, window, strides, (1, 1), padding)

    def counts(axis: int, spans: list[tuple[int, int]]) -> list[int]:
        before, after = sides[axis] if count_include_pad else (0, 0)
        end = x.shape[axis + 1] + after
        return [min(last, end) - max(first, -before) for first, last in spans]

    grid = windows(x, window, strides, padding, ceil_mode)
    rows, columns = both_spans(x, window, strides, padding, ceil_mode)
    counted = np.outer(counts(0, rows), counts(1, columns))
    return image([[part.sum(axis=(1, 2)) for part in row] for row in grid]) / counted[..., None]


def subsample2d(
    x: Doubles,
    params: Sequence[Doubles],
    *,
    window: tuple[int, int],
    strides: tuple[int, int],
) -> Doubles:
    coefficient, bias = params
    grid = windows(x, window, strides, "valid")
    sums = image([[part.sum(axis=(1, 2)) for part in row] for row in grid])
    return coefficient * sums + bias


def global_max_pool2d(x: Doubles, params: Sequence[Doubles], *, keepdims: bool = False) -> Doubles:
    return x.max(axis=(1, 2), keepdims=keepdims)


def global_avg_pool2d(x: Doubles, params: Sequence[Doubles], *, keepdims: bool = False) -> Doubles:
    return x.mean(axis=(1, 2), keepdims=keepdims)


def flatten(x: Doubles, params: Sequence[Doubles]) -> Doubles:
    return x.reshape(len(x), -1)


def dense(x: Doubles, params: Sequence[Doubles], *, units: int, use_bias: bool = True) -> Doubles:
    y = x @ params[0]
    return y + params[1] if use_bias else y


def dropout(x: Doubles, params: Sequence[Doubles], *, rate: float) -> Doubles:
    return x  # as in inference; test_dropout.py looks at training


def rbf(x: Doubles, params: Sequence[Doubles], *, codes: NDArray[Any]) -> Doubles:
    return ((x[:, None, :] - params[0]) ** 2).sum(axis=2)


def softmax(x: Doubles) -> Doubles:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


erf = np.vectorize(math.erf, otypes=[np.float64])


def activation(x: Doubles, params: Sequence[Doubles], *, kind: str, alpha: float = 0.0) -> Doubles:
    if kind == "linear":
        return x
    if kind == "relu":
        return np.maximum(x, 0)
    if kind == "leaky_relu":
        return np.where(x < 0, alpha * x, x)
    if kind == "sigmoid":
        return np.where(x < 0, np.exp(np.minimum(x, 0)), 1) / (1 + np.exp(-np.abs(x)))
    if kind == "tanh":
        return np.tanh(x)
    if kind == "scaled_tanh":
        return 1.7159 * np.tanh(x * 2 / 3)
    if kind == "elu":
        return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)
    if kind == "gelu":
        return x * 0.5 * (1 + erf(x / math.sqrt(2)))
    if kind == "silu":
        return x * activation(x, (), kind="sigmoid")
    if kind == "softmax":
        return softmax(x)
    raise ValueError(kind)


Layer = Callable[..., Doubles]
LAYERS: dict[str, Layer] = {
    f.__name__: f
    for f in (
        conv2d, max_pool2d, avg_pool2d, subsample2d, global_max_pool2d, global_avg_pool2d,
        flatten, dense, dropout, rbf, activation,
    )
}  # fmt: skip


def over_positions(loss: Doubles) -> Doubles:
    """One number a sample: the mean over whatever axes are left."""
    return loss.reshape(len(loss), -1).mean(axis=1)


def categorical_crossentropy(
    outputs: Doubles, targets: Doubles, *, from_logits: bool = False, label_smoothing: float = 0.0
) -> Doubles:
    targets = targets.reshape(outputs.shape)
    targets = targets * (1 - label_smoothing) + label_smoothing / outputs.shape[-1]
    if from_logits:
        outputs = softmax(outputs)
    p = outputs / outputs.sum(axis=-1, keepdims=True)
    return over_positions(-(targets * np.log(np.clip(p, EPSILON, 1 - EPSILON))).sum(axis=-1))


def sparse_categorical_crossentropy(
    outputs: Doubles, labels: NDArray[np.int64], **options: Any
) -> Doubles:
    return categorical_crossentropy(outputs, np.eye(outputs.shape[-1])[labels], **options)


def binary_crossentropy(
    outputs: Doubles, targets: Doubles, *, from_logits: bool = False, label_smoothing: float = 0.0
) -> Doubles:
    targets = targets.reshape(outputs.shape) * (1 - label_smoothing) + label_smoothing / 2
    p = activation(outputs, (), kind="sigmoid") if from_logits else outputs
    p = np.clip(p, EPSILON, 1 - EPSILON)
    return over_positions(-(targets * np.log(p) + (1 - targets) * np.log(1 - p)))


def mean_squared_error(outputs: Doubles, targets: Doubles) -> Doubles:
    return over_positions((outputs - targets.reshape(outputs.shape)) ** 2)


def mean_absolute_error(outputs: Doubles, targets: Doubles) -> Doubles:
    return over_positions(np.abs(outputs - targets.reshape(outputs.shape)))


def huber(outputs: Doubles, targets: Doubles, *, delta: float = 1.0) -> Doubles:
    e = np.abs(outputs - targets.reshape(outputs.shape))
    return over_positions(np.where(e <= delta, e**2 / 2, delta * e - delta**2 / 2))


def hinge(outputs: Doubles, targets: Doubles) -> Doubles:
    return over_positions(np.maximum(1 - targets.reshape(outputs.shape) * outputs, 0))


def kl_divergence(outputs: Doubles, targets: Doubles) -> Doubles:
    targets = np.clip(targets.reshape(outputs.shape).astype(np.float64), EPSILON, 1)
    p = np.clip(outputs, EPSILON, 1)
    return over_positions((targets * np.log(targets / p)).sum(axis=-1))


def map_loss(penalties: Doubles, labels: NDArray[np.int64], *, j: float = 0.1) -> Doubles:
    """LeCun et al. 1998, eq. 9."""
    own = penalties[np.arange(len(labels)), labels]
    return own + np.log(np.exp(-j) + np.exp(-penalties).sum(axis=1))


LOSSES: dict[str, Callable[..., Doubles]] = {
    "sparse_categorical_crossentropy": sparse_categorical_crossentropy,
    "categorical_crossentropy": categorical_crossentropy,
    "binary_crossentropy": binary_crossentropy,
    "mean_squared_error": mean_squared_error,
    "mean_absolute_error": mean_absolute_error,
    "huber": huber,
    "hinge": hinge,
    "kl_divergence": kl_divergence,
    "map": map_loss,
}
TAKES_LABELS = ("sparse_categorical_crossentropy", "map")


def central_differences(
    f: Callable[[Doubles], float],
    at: Doubles,
    entries: Sequence[int] | None = None,
    epsilon: float = 1e-6,
) -> Doubles:
    """df/d(at) of the flat `entries` (default: all), one after the other."""
    chosen = range(at.size) if entries is None else entries
    slopes = []
    for entry in chosen:
        step = np.zeros(at.size)
        step[entry] = epsilon
        step = step.reshape(at.shape)
        slopes.append((f(at + step) - f(at - step)) / (2 * epsilon))
    return np.array(slopes)


def sample_jacobians(f: Callable[[Doubles], Doubles], x: Doubles, epsilon: float = 1e-6) -> Doubles:
    """[N, *outputs of a sample, F]: the slopes of f, which maps sample by sample, in each feature.

    A copy of the batch for each feature and sign goes through f in one call.
    """
    samples, features = len(x), x[0].size
    steps = np.eye(features).reshape(features, 1, *x.shape[1:]) * epsilon
    shifted = np.concatenate([x + steps, x - steps]).reshape(-1, *x.shape[1:])
    y = f(shifted)
    y = y.reshape(2, features, samples, *y.shape[1:])
    return np.moveaxis((y[0] - y[1]) / (2 * epsilon), 0, -1)
