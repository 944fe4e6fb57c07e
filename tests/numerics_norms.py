"""numerics.py's normalisations, and its convolutions beside conv2d; they stand in its LAYERS."""

from collections.abc import Sequence
from typing import Any

import numerics
import numpy as np
from numerics import Doubles, Padding, both_paddings


def local_response_normalization(
    x: Doubles,
    params: Sequence[Doubles],
    *,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    alpha_over_size: bool = False,
) -> Doubles:
    channels = x.shape[-1]
    sums = np.zeros_like(x)
    for c in range(channels):
        window = slice(max(c - size // 2, 0), min(c + (size - 1) // 2 + 1, channels))
        sums[..., c] = (x[..., window] ** 2).sum(axis=-1)
    return x / (k + (alpha / size if alpha_over_size else alpha) * sums) ** beta


def standardized(x: Doubles, axes: tuple[int, ...], epsilon: float) -> Doubles:
    mean = x.mean(axis=axes, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


def scale_and_center(z: Doubles, params: Sequence[Doubles], scale: bool, center: bool) -> Doubles:
    if scale:
        z = z * params[0]
    return z + params[-1] if center else z


def layer_normalization(
    x: Doubles,
    params: Sequence[Doubles],
    *,
    axes: int = 1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
) -> Doubles:
    z = standardized(x, tuple(range(x.ndim - axes, x.ndim)), epsilon)
    return scale_and_center(z, params, scale, center)


def group_normalization(
    x: Doubles,
    params: Sequence[Doubles],
    *,
    groups: int = 32,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
) -> Doubles:
    groups = x.shape[-1] if groups == -1 else groups
    grouped = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    z = standardized(grouped, (1, 3), epsilon).reshape(x.shape)
    return scale_and_center(z, params, scale, center)


def depthwise_conv2d(
    x: Doubles,
    params: Sequence[Doubles],
    *,
    kernel: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "valid",
    dilation: tuple[int, int] = (1, 1),
    depth_multiplier: int = 1,
    use_bias: bool = True,
) -> Doubles:
    rows, columns = both_paddings(x, kernel, strides, dilation, padding)
    x = np.pad(x, ((0, 0), rows, columns, (0, 0)))
    out_h = (x.shape[1] - dilation[0] * (kernel[0] - 1) - 1) // strides[0] + 1
    out_w = (x.shape[2] - dilation[1] * (kernel[1] - 1) - 1) // strides[1] + 1
    y = np.zeros((len(x), out_h, out_w, x.shape[3], depth_multiplier))
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            pixels = x[:, top :: strides[0], left :: strides[1]][:, :out_h, :out_w]
            y += pixels[..., None] * params[0][i, j]
    y = y.reshape(*y.shape[:3], -1)
    return y + params[1] if use_bias else y


def separable_conv2d(
    x: Doubles,
    params: Sequence[Doubles],
    *,
    filters: int,
    use_bias: bool = True,
    **options: Any,
) -> Doubles:
    between = depthwise_conv2d(x, params[:1], use_bias=False, **options)
    return numerics.conv2d(between, params[1:], kernel=(1, 1), filters=filters, use_bias=use_bias)


def conv2d_transpose(
    x: Doubles,
    params: Sequence[Doubles],
    *,
    kernel: tuple[int, int],
    filters: int,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "valid",
    output_padding: tuple[int, int] | None = None,
    dilation: tuple[int, int] = (1, 1),
    use_bias: bool = True,
) -> Doubles:
    """Every product where it falls, then the window that the padding leaves of them."""
    reach = [d * (size - 1) + 1 for d, size in zip(dilation, kernel, strict=True)]
    whole = [(n - 1) * s + r for n, s, r in zip(x.shape[1:3], strides, reach, strict=True)]
    first, size = [0, 0], [0, 0]
    for a in range(2):
        more = None if output_padding is None else output_padding[a]
        if padding == "valid":
            size[a] = (
                max(whole[a], x.shape[1 + a] * strides[a]) if more is None else whole[a] + more
            )
        elif padding == "same":
            odd = reach[a] % 2
            size[a] = whole[a] - reach[a] + (strides[a] if more is None else odd + more)
            first[a] = max(whole[a] - size[a], 0) // 2
        else:
            assert not isinstance(padding, str)
            size[a] = whole[a] - sum(padding[a]) + (more or 0)
            first[a] = padding[a][0]
    ends = [f + s for f, s in zip(first, size, strict=True)]
    y = np.zeros((len(x), max(whole[0], ends[0]), max(whole[1], ends[1]), filters))
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + (x.shape[1] - 1) * strides[0] + 1, strides[0])
            columns = slice(left, left + (x.shape[2] - 1) * strides[1] + 1, strides[1])
            y[:, rows, columns] += x @ params[0][i, j].T
    y = y[:, first[0] : ends[0], first[1] : ends[1]]
    return y + params[1] if use_bias else y


numerics.LAYERS.update(
    (f.__name__, f)
    for f in (
        local_response_normalization, layer_normalization, group_normalization, depthwise_conv2d,
        separable_conv2d, conv2d_transpose,
    )
)  # fmt: skip
