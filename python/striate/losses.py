"""Losses, under Keras's names, and what their labels must look like.

A loss only describes; the core computes it. What happens here is the check at the front door:
labels of the wrong kind are refused with the loss that would take them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from striate.errors import ArgumentError, ShapeError, warn_once
from striate.registry import find

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Loss",
    "MAPLoss",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "get",
]

Labels = NDArray[np.int64] | NDArray[np.float32]


class Loss:
    """What training makes small; a mean over the batch, each sample weighted by its weight."""

    kind: ClassVar[str]
    """The core's name, and Keras's."""
    integer_labels: ClassVar[bool] = False
    """Whether labels are class numbers (N,), rather than targets (N, K)."""

    def __init__(self, *, name: str | None = None, reduction: str | None = None) -> None:
        if reduction not in (None, "sum_over_batch_size"):
            raise ArgumentError(
                f"{type(self).__name__}: reduction is the mean over the batch, "
                f'"sum_over_batch_size"; got {reduction!r}'
            )
        self.name = name or self.kind

    def options(self) -> dict[str, float | bool]:
        """The core's options."""
        return {}

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, as JSON-able values."""
        return {"name": self.name, **self.options()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Loss:
        """The loss that `get_config` described."""
        return cls(**config)

    def prepare_labels(self, y: object, samples: int, output_shape: tuple[int, ...]) -> Labels:
        """Labels as the core takes them: int64 (N,) or float32 (N, K), contiguous.

        Args:
            y: what the caller gave.
            samples: N, how many samples the input has.
            output_shape: of one sample's output.

        Raises:
            ShapeError: the wrong rank, length or width, or one-hot for integers or the reverse.
            ArgumentError: labels out of range.
        """
        array = label_array(self.kind, y, samples)
        if self.integer_labels:
            return self._integers(array, output_shape)
        return self._targets(array, output_shape)

    def _integers(self, y: NDArray[Any], output_shape: tuple[int, ...]) -> NDArray[np.int64]:
        if len(output_shape) != 1:
            raise ShapeError(
                f"{self.kind}: takes one number a class, but the model's output is {output_shape}: "
                "is a Flatten missing?"
            )
        (classes,) = output_shape
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if y.ndim == 2 and y.shape[1] == classes:
            raise ShapeError(
                f"{self.kind}: takes integer labels (N,), got one-hot labels {y.shape}: "
                'use "categorical_crossentropy", or y.argmax(axis=1)'
            )
        if y.ndim != 1:
            raise ShapeError(f"{self.kind}: takes integer labels (N,), got shape {y.shape}")
        if y.dtype.kind == "f":
            wrong = np.flatnonzero(~(np.isfinite(y) & (np.floor(y) == y)))
            if len(wrong):
                raise ArgumentError(
                    f"{self.kind}: takes integer labels, y[{wrong[0]}] is {y[wrong[0]]}"
                )
        if y.min() < 0 or y.max() >= classes:
            index = int(np.flatnonzero((y < 0) | (y >= classes))[0])
            raise ArgumentError(
                f"{self.kind}: y[{index}] is {int(y[index])}: the model has {classes} classes, "
                f"so labels go from 0 to {classes - 1}"
            )
        return np.ascontiguousarray(y, dtype=np.int64)

    def _targets(self, y: NDArray[Any], output_shape: tuple[int, ...]) -> NDArray[np.float32]:
        width = int(np.prod(output_shape, dtype=np.int64))
        if y.ndim == 1 and width == 1:
            y = y[:, None]
        if y.shape[1:] != output_shape:
            looks_integer = y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)
            hint = self._hint(width) if looks_integer and len(output_shape) == 1 else ""
            raise ShapeError(
                f"{self.kind}: takes targets {('N', *output_shape)}, as the model's output, "
                f"got shape {y.shape}{hint}".replace("'N'", "N")
            )
        return np.ascontiguousarray(y, dtype=np.float32).reshape(len(y), width)

    def _hint(self, width: int) -> str:
        return f": one-hot labels come from utils.to_categorical(y, {width})"

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value}" for name, value in self.options().items())
        return f"{type(self).__name__}({options})"


class _FromLogits(Loss):
    def __init__(
        self,
        from_logits: bool = False,
        *,
        label_smoothing: float = 0.0,
        ignore_class: int | None = None,
        axis: int = -1,
        name: str | None = None,
        reduction: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction)
        for argument, given, only in (
            ("label_smoothing", label_smoothing, 0.0),
            ("ignore_class", ignore_class, None),
            ("axis", axis, -1),
        ):
            if given != only:
                raise ArgumentError(f"{type(self).__name__}: {argument}={given} is not supported")
        self.from_logits = bool(from_logits)

    def options(self) -> dict[str, float | bool]:
        return {"from_logits": self.from_logits}


class SparseCategoricalCrossentropy(_FromLogits):
    """-log p[label], for integer labels (N,).

    Args:
        from_logits: True where the model ends without a softmax.
    """

    kind = "sparse_categorical_crossentropy"
    integer_labels = True


class CategoricalCrossentropy(_FromLogits):
    """-sum_k y[k] log p[k], for one-hot or soft labels (N, K).

    Args:
        from_logits: True where the model ends without a softmax.
    """

    kind = "categorical_crossentropy"

    def _hint(self, width: int) -> str:
        return (
            ': integer labels want "sparse_categorical_crossentropy", or '
            f"utils.to_categorical(y, {width})"
        )


class BinaryCrossentropy(_FromLogits):
    """Mean over outputs of -y log p - (1 - y) log(1 - p), for labels 0 to 1, (N,) or (N, K).

    Args:
        from_logits: True where the model ends without a sigmoid.
    """

    kind = "binary_crossentropy"

    def _targets(self, y: NDArray[Any], output_shape: tuple[int, ...]) -> NDArray[np.float32]:
        targets = super()._targets(y, output_shape)
        low, high = targets.min(), targets.max()
        if not (low >= 0 and high <= 1):
            raise ArgumentError(
                f"{self.kind}: labels lie between 0 and 1, got {low:g} to {high:g}: more classes "
                'than two want "sparse_categorical_crossentropy"'
            )
        return targets


class MeanSquaredError(Loss):
    """Mean over outputs of (y - output)^2, for targets of the output's shape."""

    kind = "mean_squared_error"


class MAPLoss(Loss):
    """LeNet-5's: distance of the right class, plus log(exp(-j) + sum over all of exp(-distance)).

    For outputs that are distances, such as RBFOutput's, and integer labels (N,); LeCun et al.,
    1998, eq. 9.

    Args:
        j: positive; keeps classes that are far already from being pushed further.
    """

    kind = "map"
    integer_labels = True

    def __init__(
        self, j: float = 0.1, *, name: str | None = None, reduction: str | None = None
    ) -> None:
        super().__init__(name=name, reduction=reduction)
        if not isinstance(j, (int, float)) or not 0 < j < float("inf"):
            raise ArgumentError(f"MAPLoss: j must be a positive number, got {j!r}")
        self.j = float(j)

    def options(self) -> dict[str, float | bool]:
        return {"j": self.j}


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


_CLASSES: dict[str, type[Loss]] = {
    cls.__name__: cls
    for cls in (
        SparseCategoricalCrossentropy, CategoricalCrossentropy, BinaryCrossentropy,
        MeanSquaredError, MAPLoss,
    )
}  # fmt: skip
_NAMES: dict[str, type[Loss]] = {cls.kind: cls for cls in _CLASSES.values()} | {
    "mse": MeanSquaredError,
    "bce": BinaryCrossentropy,
}


def serialize(loss: Loss) -> dict[str, Any]:
    """{"class": .., "config": ..}, as model files keep it."""
    return {"class": type(loss).__name__, "config": loss.get_config()}


def get(identifier: object) -> Loss:
    """A loss from an object, a class, a name ("mse", "MeanSquaredError") or a config.

    Raises:
        ArgumentError: no such loss.
    """
    return find(identifier, Loss, _CLASSES, _NAMES, "loss")


def warn_about_softmax(loss: Loss, last_activation: str) -> None:
    """Warns where a loss and the model's last activation do not belong together."""
    if not isinstance(loss, _FromLogits):
        return
    squash = "sigmoid" if isinstance(loss, BinaryCrossentropy) else "softmax"
    if loss.from_logits and last_activation == squash:
        warn_once(
            f"{loss.kind}(from_logits=True) on a model that ends in {squash}: "
            f"{squash} is taken twice; drop one of the two"
        )
    if not loss.from_logits and last_activation == "linear":
        warn_once(
            f"{loss.kind} on a model that ends without {squash}: its outputs are taken for "
            f"probabilities; end in {squash}, or say from_logits=True"
        )
