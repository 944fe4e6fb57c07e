"""What users give as data, made into what the core takes.

The core takes float32 or uint8, C-contiguous, in native byte order: such arrays go in as they are,
read-only ones too. Everything else is converted once, into a copy: float64, other integers and
booleans to float32; big-endian to native; strided to contiguous. uint8 keeps its values, 0 to 255.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from striate.errors import ArgumentError, ShapeError
from striate.identity import array_identity
from striate.labels import Labels, as_array
from striate.losses import Loss
from striate.models.structure import Structure

Inputs = NDArray[np.float32] | NDArray[np.uint8]
Weights = NDArray[np.float32]
_FLOAT32 = np.dtype(np.float32)
_UINT8 = np.dtype(np.uint8)


class Arrays(NamedTuple):
    """Samples ready for the core.

    Attributes:
        x: by input, (N, ..).
        y: by output, int64 (N, ..) or float32 (N, ..); None for an output without loss.
        weights: by output, (N,) or None; None where no output has any.
    """

    x: list[Inputs]
    y: list[Labels | None]
    weights: list[Weights | None] | None

    @property
    def samples(self) -> int:
        """N."""
        return len(self.x[0])

    def identity(self) -> dict[str, Any]:
        """JSON-able values that tell these data from others."""
        named: dict[str, Sequence[NDArray[Any] | None]] = {
            "x": self.x, "y": self.y, "sample_weight": self.weights or []
        }  # fmt: skip
        return {"samples": self.samples} | {
            name: [None if array is None else array_identity(array) for array in arrays]
            for name, arrays in named.items()
        }

    def rows(self, rows: slice) -> Arrays:
        """These samples, without a copy."""
        weights = self.weights
        return Arrays(
            [array[rows] for array in self.x],
            [_rows(array, rows) for array in self.y],
            None if weights is None else [_rows(array, rows) for array in weights],
        )


def _rows(array: Any, rows: slice) -> Any:
    return None if array is None else array[rows]


def input_arrays(
    x: object, shapes: Sequence[tuple[int, ...]], inputs: Structure, owner: str
) -> list[Inputs]:
    """By input, an array as the core takes it, (N, *shape).

    Args:
        x: an array, or as many of them as there are inputs: a list, or a dict by name.
        shapes: of one sample, by input.
        inputs: the model's.
        owner: the model's name, for messages.

    Raises:
        ShapeError, ArgumentError: as input_array; arrays that are missing or of different lengths.
    """
    if len(inputs) == 1:
        if inputs.is_wrapped(x, len(shapes[0]) + 1):
            x = inputs.by_name(x, "input", owner)[0] if isinstance(x, Mapping) else x[0]  # type: ignore[index]
        return [input_array(x, shapes[0], owner)]
    if isinstance(x, Mapping):
        given = inputs.by_name(x, "input", owner)
    else:
        given = inputs.listed(x, "input", owner)
    arrays = [
        input_array(value, shape, owner, f"input {name!r}")
        for value, shape, name in zip(given, shapes, inputs.names, strict=True)
    ]
    for array, name in zip(arrays, inputs.names, strict=True):
        if len(array) != len(arrays[0]):
            raise ShapeError(
                f"{owner}: input {inputs.names[0]!r} has {len(arrays[0])} samples, "
                f"input {name!r} has {len(array)}"
            )
    return arrays


def input_array(x: object, shape: tuple[int, ...], owner: str, what: str = "x") -> Inputs:
    """`x` as the core takes it, (N, *shape).

    (N, 28, 28) is taken for shape (28, 28, 1).

    Args:
        x: an array, a list, or anything with an array interface, a buffer or DLPack.
        shape: of one sample.
        owner: the model's name, for messages.
        what: "x", or which of several inputs.

    Raises:
        ShapeError: not numbers, empty, or another shape; the message says what likely mends it.
    """
    array = numbers(x, owner, what)
    if array.shape[1:] != shape:
        if shape[-1] == 1 and array.shape[1:] == shape[:-1]:
            array = array[..., np.newaxis]
        else:
            raise ShapeError(_mismatch(array.shape, shape, owner, what))
    if len(array) == 0:
        raise ShapeError(f"{owner}: {what} is empty: {array.shape}")
    return array


def numbers(x: object, owner: str, what: str = "x") -> Inputs:
    """`x` as contiguous float32 or uint8, of any shape with a batch axis."""
    array = as_array(x)
    if array.dtype.kind not in "biuf":
        raise ShapeError(
            f"{owner}: {what} must hold numbers, got dtype {array.dtype}"
            + (": do its samples differ in shape?" if array.dtype.kind == "O" else "")
        )
    if array.ndim == 0:
        raise ShapeError(f"{owner}: {what} must have a batch axis, got the scalar {array}")
    # ALIGNED too: np.frombuffer at an odd offset gives floats that the core may not read in place.
    dtype = _UINT8 if array.dtype == _UINT8 else _FLOAT32
    return np.require(array, dtype, ["C_CONTIGUOUS", "ALIGNED"])


def _mismatch(got: tuple[int, ...], shape: tuple[int, ...], owner: str, what: str) -> str:
    expected = "(N, " + ", ".join(map(str, shape)) + ")"
    message = f"{owner}: {what} has shape {got}, expected {expected}"
    sample = got[1:]
    if got == shape:
        return f"{message}: this is one sample: add a batch axis with x[None]"
    if len(sample) == len(shape) == 3:
        if sample == (shape[2], shape[0], shape[1]):
            return f"{message}: looks like NCHW: transpose with x.transpose(0, 2, 3, 1)"
        if sample[:2] == shape[:2]:
            return f"{message}: {what} has {_channels(sample[2])}, the model takes {shape[2]}"
        if sample[2] == shape[2]:
            return f"{message}: images are {sample[0]} x {sample[1]}, not {shape[0]} x {shape[1]}"
    if np.prod(sample, dtype=np.int64) == np.prod(shape, dtype=np.int64):
        return f"{message}: the sizes agree: x.reshape(-1, {', '.join(map(str, shape))})"
    if len(sample) != len(shape):
        return f"{message}: {what} has rank {len(got)}, the model takes rank {len(shape) + 1}"
    return message


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"


def label_arrays(
    y: object,
    losses: Sequence[Loss | None],
    samples: int,
    shapes: Sequence[tuple[int, ...]],
    outputs: Structure,
    owner: str,
) -> list[Labels | None]:
    """By output, labels as its loss takes them; None for an output without loss.

    Args:
        y: labels, or as many of them as there are outputs (or outputs with a loss): a list, or a
            dict by name.
        shapes: of one sample's outputs.

    Raises:
        ShapeError, ArgumentError: as Loss.prepare_labels; labels that are missing.
    """
    with_loss = [output for output, loss in enumerate(losses) if loss is not None]
    given: list[Any] = [y] * len(outputs)
    if y is None:
        pass
    elif isinstance(y, Mapping):
        without = [name for name, loss in zip(outputs.names, losses, strict=True) if loss is None]
        given = outputs.by_name(y, "output", owner, without)
    elif len(outputs) > 1 and isinstance(y, (list, tuple)) and len(y) == len(outputs):
        given = list(y)
    elif len(outputs) > 1 and len(with_loss) == 1 and not isinstance(y, (list, tuple)):
        given = [y if output in with_loss else None for output in range(len(outputs))]
    elif len(outputs) > 1:
        given = outputs.listed(y, "output", f"{owner}: y")
    elif isinstance(y, (list, tuple)) and len(y) == 1 and isinstance(y[0], np.ndarray):
        if y[0].shape[:1] == (samples,):
            given = [y[0]]
    labels: list[Labels | None] = []
    for output, loss in enumerate(losses):
        if loss is None:
            labels.append(None)
            continue
        try:
            labels.append(loss.prepare_labels(given[output], samples, shapes[output]))
        except (ShapeError, ArgumentError) as error:
            if len(outputs) == 1:
                raise
            raise type(error)(f"output {outputs.names[output]!r}: {error}") from None
    return labels


def weight_arrays(
    sample_weight: object,
    samples: int,
    losses: Sequence[Loss | None],
    outputs: Structure,
    owner: str,
) -> list[Weights | None] | None:
    """By output, sample weights as float32 (N,); None where there are none at all.

    Args:
        sample_weight: (N,) for all outputs, or a list or dict by name with one for each.

    Raises:
        ShapeError, ArgumentError: as weight_array.
    """
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Mapping):
        given = outputs.by_name(sample_weight, "output", f"{owner}: sample_weight", outputs.names)
    elif len(outputs) > 1 and isinstance(sample_weight, (list, tuple)):
        if any(isinstance(one, (np.ndarray, list, tuple, type(None))) for one in sample_weight):
            given = outputs.listed(sample_weight, "output", f"{owner}: sample_weight")
        else:
            given = [sample_weight] * len(outputs)
    else:
        given = [sample_weight] * len(outputs)
    return [
        None if loss is None else weight_array(one, samples, owner)
        for one, loss in zip(given, losses, strict=True)
    ]


def weight_array(sample_weight: object, samples: int, owner: str) -> Weights | None:
    """Sample weights as float32 (N,), or None.

    Raises:
        ShapeError: another shape.
        ArgumentError: a weight that is negative or not finite.
    """
    if sample_weight is None:
        return None
    array = as_array(sample_weight)
    if array.dtype.kind not in "biuf":
        raise ShapeError(f"{owner}: sample_weight must hold numbers, got dtype {array.dtype}")
    if array.shape == (samples, 1):
        array = array[:, 0]
    if array.shape != (samples,):
        raise ShapeError(f"{owner}: sample_weight has shape {array.shape}, expected ({samples},)")
    weights: Weights = np.require(array, _FLOAT32, ["C_CONTIGUOUS", "ALIGNED"])
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        raise ArgumentError(
            f"{owner}: sample_weight[{bad[0]}] is {weights[bad[0]]}: weights are finite and >= 0"
        )
    return weights


def class_weighted(class_weight: Mapping[int, float] | None, data: Arrays, owner: str) -> Arrays:
    """The data with sample weights multiplied by the weight of each sample's class.

    Classes that `class_weight` does not name weigh 1.
    """
    if class_weight is None:
        return data
    if not isinstance(class_weight, Mapping):
        raise ArgumentError(f"{owner}: class_weight is a dict of class: weight")
    if len(data.y) != 1:
        raise ArgumentError(
            f"{owner}: class_weight is for models with one output: give sample_weight by output"
        )
    (y,) = data.y
    (weights,) = data.weights or [None]
    assert y is not None
    if y.ndim > 1 and y.dtype == np.int64:
        raise ArgumentError(f"{owner}: class_weight takes one label a sample, got {y.shape}")
    if y.ndim == 1:
        labels = y.astype(np.int64)
    else:
        labels = (y[:, 0] > 0.5).astype(np.int64) if y.shape[1] == 1 else y.argmax(axis=1)
    count = max([int(labels.max()), *map(int, class_weight)]) + 1
    table = np.ones(count, np.float32)
    for label, weight in class_weight.items():
        if int(label) < 0 or not 0 <= float(weight) < np.inf:
            raise ArgumentError(f"{owner}: class_weight[{label}] = {weight} is not a weight")
        table[int(label)] = weight
    by_class = table[labels]
    return data._replace(weights=[by_class if weights is None else weights * by_class])


def split(data: Arrays, fraction: float, owner: str) -> tuple[Arrays, Arrays]:
    """(the first samples, the last `fraction` of them), without a copy."""
    samples = data.samples
    if not 0 < fraction < 1:
        raise ArgumentError(f"{owner}: validation_split must lie between 0 and 1, got {fraction!r}")
    at = int(samples * (1 - fraction))
    if not 0 < at < samples:
        raise ArgumentError(
            f"{owner}: validation_split={fraction} of {samples} samples leaves one part empty"
        )
    return data.rows(slice(at)), data.rows(slice(at, None))
