"""Losses, under Keras's names, and what their labels must look like.

A loss only describes; the core computes it. What happens here is the check at the front door:
labels of the wrong kind are refused with the loss that would take them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from striate.errors import ArgumentError, warn_once
from striate.labels import Labels, class_numbers, label_array, target_rows
from striate.registry import find

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Hinge",
    "Huber",
    "KLDivergence",
    "Loss",
    "MAPLoss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "get",
]


class Loss:
    """What training makes small; a mean over the batch, each sample weighted by its weight.

    Where the output has more axes than one, a sample's loss is the mean over the positions of the
    axes before the last, which is that of the classes; or over all its outputs, where the loss
    knows no classes.
    """

    kind: ClassVar[str]
    """The core's name, and Keras's."""
    integer_labels: ClassVar[bool] = False
    """Whether labels are class numbers (N, ..), rather than targets (N, .., K)."""
    has_classes: ClassVar[bool] = False
    """Whether the output's last axis is classes, each position of the others having an answer."""

    def __init__(
        self, *, name: str | None = None, reduction: str | None = None, dtype: str | None = None
    ) -> None:
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
        """Labels as the core takes them: int64 (N, ..) or float32 (N, outputs), contiguous.

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
            return class_numbers(self.kind, array, output_shape)
        return self._targets(array, output_shape)

    def _targets(self, y: NDArray[Any], output_shape: tuple[int, ...]) -> NDArray[np.float32]:
        width = int(np.prod(output_shape, dtype=np.int64))
        return target_rows(self.kind, y, output_shape, self._hint(width))

    def _hint(self, width: int) -> str:
        return f": one-hot labels come from utils.to_categorical(y, {width})"

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value}" for name, value in self.options().items())
        return f"{type(self).__name__}({options})"


def _number(owner: str, name: str, value: object) -> float:
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ArgumentError(f"{owner}: {name} must be a finite number, got {value!r}")
    return float(value)


class _Crossentropy(Loss):
    def __init__(
        self, from_logits: bool, label_smoothing: float, axis: int, kwargs: Mapping[str, Any]
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        if axis != -1:
            raise ArgumentError(f"{owner}: the classes are the last axis, axis=-1, got {axis}")
        self.from_logits = bool(from_logits)
        self.label_smoothing = _number(owner, "label_smoothing", label_smoothing)
        if not 0 <= self.label_smoothing <= 1:
            raise ArgumentError(
                f"{owner}: label_smoothing must lie from 0 to 1, got {label_smoothing}"
            )

    def options(self) -> dict[str, float | bool]:
        return {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing}


class SparseCategoricalCrossentropy(_Crossentropy):
    """-log p[label], for integer labels (N,); (N, H, W) for an image of classes (N, H, W, K).

    Args:
        from_logits: True where the model ends without a softmax.
        label_smoothing: as CategoricalCrossentropy's; Keras lacks it here.
    """

    kind = "sparse_categorical_crossentropy"
    integer_labels = has_classes = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        *,
        axis: int = -1,
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, kwargs)
        if ignore_class is not None:
            raise ArgumentError(
                f"{type(self).__name__}: ignore_class={ignore_class} is not supported"
            )


class CategoricalCrossentropy(_Crossentropy):
    """-sum_k y[k] log p[k], for one-hot or soft labels (N, .., K).

    Args:
        from_logits: True where the model ends without a softmax.
        label_smoothing: 0 to 1; y becomes y * (1 - label_smoothing) + label_smoothing / K
            (Szegedy et al., 2016).
    """

    kind = "categorical_crossentropy"
    has_classes = True

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, kwargs)

    def _hint(self, width: int) -> str:
        return (
            ': integer labels want "sparse_categorical_crossentropy", or '
            f"utils.to_categorical(y, {width})"
        )


class BinaryCrossentropy(_Crossentropy):
    """Mean over outputs of -y log p - (1 - y) log(1 - p), for labels 0 to 1, (N,) or (N, .., K).

    Args:
        from_logits: True where the model ends without a sigmoid.
        label_smoothing: 0 to 1; y becomes y * (1 - label_smoothing) + label_smoothing / 2.
    """

    kind = "binary_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, kwargs)

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


class MeanAbsoluteError(Loss):
    """Mean over outputs of |y - output|, for targets of the output's shape."""

    kind = "mean_absolute_error"


class Huber(Loss):
    """Mean over outputs of e^2 / 2 where |e| <= delta, else delta |e| - delta^2 / 2.

    e = y - output: squared near the target, absolute far from it (Huber, 1964).

    Args:
        delta: positive, where the one goes over into the other.
    """

    kind = "huber"

    def __init__(self, delta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.delta = _number("Huber", "delta", delta)
        if self.delta <= 0:
            raise ArgumentError(f"Huber: delta must be positive, got {delta}")

    def options(self) -> dict[str, float | bool]:
        return {"delta": self.delta}


class Hinge(Loss):
    """Mean over outputs of max(1 - y * output, 0), for labels -1 and 1; 0 and 1 are taken too."""

    kind = "hinge"

    def _targets(self, y: NDArray[Any], output_shape: tuple[int, ...]) -> NDArray[np.float32]:
        targets = super()._targets(y, output_shape)
        if np.isin(targets, (0, 1)).all():
            targets = 2 * targets - 1
        return targets


class KLDivergence(Loss):
    """sum_k y[k] log(y[k] / p[k]), for probabilities y and p (N, .., K), both clipped at 1e-7."""

    kind = "kl_divergence"
    has_classes = True


class MAPLoss(Loss):
    """LeNet-5's: distance of the right class, plus log(exp(-j) + sum over all of exp(-distance)).

    For outputs that are distances, such as RBFOutput's, and integer labels (N,); LeCun et al.,
    1998, eq. 9.

    Args:
        j: positive; keeps classes that are far already from being pushed further.
    """

    kind = "map"
    integer_labels = has_classes = True

    def __init__(self, j: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.j = _number("MAPLoss", "j", j)
        if self.j <= 0:
            raise ArgumentError(f"MAPLoss: j must be positive, got {j}")

    def options(self) -> dict[str, float | bool]:
        return {"j": self.j}


_CLASSES: dict[str, type[Loss]] = {
    cls.__name__: cls
    for cls in (
        SparseCategoricalCrossentropy, CategoricalCrossentropy, BinaryCrossentropy,
        MeanSquaredError, MeanAbsoluteError, Huber, Hinge, KLDivergence, MAPLoss,
    )
}  # fmt: skip
_NAMES: dict[str, type[Loss]] = {cls.kind: cls for cls in _CLASSES.values()} | {
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
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
    if not isinstance(loss, _Crossentropy):
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
