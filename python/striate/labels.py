"""What a loss's labels must look like: checked at the front door, with the mend in the message."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.errors import ArgumentError, ShapeError

Labels = NDArray[np.int64] | NDArray[np.float32]


def as_array(value: object) -> NDArray[Any]:
    """Anything with an array interface, a buffer or DLPack, or a list, as an array."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
        return np.from_dlpack(value)
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(f"{type(value).__name__} is not an array of numbers: {error}") from None


def label_array(owner: str, y: object, samples: int) -> NDArray[Any]:
    """`y` as a native-endian array of numbers with one row a sample.

    Raises:
        ShapeError: not numbers, no rank, empty, or another number of rows than `samples`.
    """
    if y is None:
        raise ArgumentError(f"{owner}: y is missing: training and evaluation need labels")
    array = as_array(y)
    if array.dtype.kind not in "biuf":
        raise ShapeError(f"{owner}: y must hold numbers, got dtype {array.dtype}")
    if array.ndim == 0:
        raise ShapeError(f"{owner}: y must have one entry a sample, got the scalar {array}")
    if len(array) != samples:
        raise ShapeError(f"{owner}: x has {samples} samples, y has {len(array)}")
    if array.size == 0:
        raise ShapeError(f"{owner}: y is empty: {array.shape}")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def class_numbers(owner: str, y: NDArray[Any], output_shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Integer labels for outputs of classes along the last axis: int64 (N, *positions).

    Raises:
        ShapeError: another shape, or one-hot labels.
        ArgumentError: no integers, or classes that the output does not have.
    """
    *positions, classes = output_shape
    wanted = _shape("N", *positions)
    if y.shape[1:] == (*positions, 1):
        y = y[..., 0]
    if y.shape[1:] == output_shape and tuple(positions) != y.shape[1:]:
        raise ShapeError(
            f"{owner}: takes integer labels {wanted}, got one-hot labels {y.shape}: "
            'use "categorical_crossentropy", or y.argmax(axis=-1)'
        )
    if y.shape[1:] != tuple(positions):
        hint = ""
        if positions and y.ndim == 1:
            hint = f", one for each position of the output {output_shape}: is a Flatten missing?"
        raise ShapeError(f"{owner}: takes integer labels {wanted}, got shape {y.shape}{hint}")
    if y.dtype.kind == "f":
        wrong = np.argwhere(~(np.isfinite(y) & (np.floor(y) == y)))
        if len(wrong):
            raise ArgumentError(f"{owner}: takes integer labels, {_entry(y, wrong[0])}")
    if y.min() < 0 or y.max() >= classes:
        where = np.argwhere((y < 0) | (y >= classes))[0]
        raise ArgumentError(
            f"{owner}: {_entry(y.astype(np.int64), where)}: the model has {classes} classes, "
            f"so labels go from 0 to {classes - 1}"
        )
    return np.ascontiguousarray(y, dtype=np.int64)


def target_rows(
    owner: str, y: NDArray[Any], output_shape: tuple[int, ...], hint: str
) -> NDArray[np.float32]:
    """Targets of the output's shape as rows: float32 (N, size of an output).

    Args:
        hint: for labels that look like class numbers.

    Raises:
        ShapeError: another shape.
    """
    width = int(np.prod(output_shape, dtype=np.int64))
    if y.shape[1:] != output_shape and (*y.shape[1:], 1) == output_shape:
        y = y[..., None]  # (N,) for one output a sample; (N, H, W) for one a pixel
    if y.shape[1:] != output_shape:
        looks_integer = y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)
        if not looks_integer or len(output_shape) != 1:
            hint = ""
        raise ShapeError(
            f"{owner}: takes targets {_shape('N', *output_shape)}, as the model's output, "
            f"got shape {y.shape}{hint}"
        )
    return np.ascontiguousarray(y, dtype=np.float32).reshape(len(y), width)


def _shape(*sizes: int | str) -> str:
    inner = ", ".join(map(str, sizes))
    return f"({inner},)" if len(sizes) == 1 else f"({inner})"


def _entry(y: NDArray[Any], index: NDArray[np.int64]) -> str:
    return f"y[{', '.join(map(str, index))}] is {y[tuple(index)]}"
