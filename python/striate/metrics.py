"""Metrics: what `fit` and `evaluate` report besides the loss.

"accuracy" costs nothing: the core counts right answers while it computes the loss. Every other
metric sees each batch's labels and outputs as arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from striate import losses
from striate.confusion import classification_report, confusion_matrix, per_class
from striate.errors import ArgumentError, ShapeError
from striate.naming import snake_case

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "MeanAbsoluteError",
    "MeanMetric",
    "MeanSquaredError",
    "Metric",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "classification_report",
    "confusion_matrix",
    "per_class",
]

Array = NDArray[Any]


class Metric:
    """A number kept up batch by batch; a subclass says how.

    `smallest` is set by `compile` where the model's outputs are distances, as RBFOutput's are: the
    answer is then the class of the smallest output.
    """

    smallest = False

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        self.name = name or snake_case(type(self).__name__)

    def update_state(
        self, y_true: Array, y_pred: Array, sample_weight: Array | None = None
    ) -> None:
        """Takes in a batch: labels (N,) or (N, K), outputs (N, K)."""
        raise NotImplementedError(f"{type(self).__name__} needs update_state(y_true, y_pred)")

    def result(self) -> float:
        """The metric over everything since the last `reset_state`."""
        raise NotImplementedError(f"{type(self).__name__} needs result()")

    def reset_state(self) -> None:
        """Forgets everything."""
        raise NotImplementedError(f"{type(self).__name__} needs reset_state()")


class MeanMetric(Metric):
    """The mean over samples of `function(y_true, y_pred)`, which is (N,), (N, ..) or one number."""

    def __init__(
        self, function: Callable[[Array, Array], ArrayLike] | None = None, name: str | None = None
    ) -> None:
        if name is None and function is not None:
            name = getattr(function, "__name__", "metric")
        super().__init__(name)
        self._function = function
        self._sum = 0.0
        self._weight = 0.0

    def per_sample(self, y_true: Array, y_pred: Array) -> Array:
        """The value of each sample, or one for the whole batch."""
        assert self._function is not None
        return np.asarray(self._function(y_true, y_pred), dtype=np.float64)

    def update_state(
        self, y_true: Array, y_pred: Array, sample_weight: Array | None = None
    ) -> None:
        values = np.asarray(self.per_sample(y_true, y_pred), dtype=np.float64)
        if values.ndim == 0:
            values = np.broadcast_to(values, (len(y_pred),))
        if len(values) != len(y_pred):
            raise ShapeError(f"{self.name}: gave {values.shape} for {len(y_pred)} samples")
        if values.ndim > 1:
            values = values.reshape(len(values), -1).mean(axis=1)
        weights = np.ones(len(values)) if sample_weight is None else np.asarray(sample_weight)
        self._sum += float(values @ weights)
        self._weight += float(weights.sum())

    def result(self) -> float:
        return self._sum / self._weight if self._weight else 0.0

    def reset_state(self) -> None:
        self._sum = self._weight = 0.0


class Accuracy(Metric):
    """The share of samples classified right, as the loss understands "right"; the core counts."""

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name or "accuracy")


class _TopK(MeanMetric):
    integer_labels = True

    def __init__(self, k: int = 1, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(None, name or snake_case(type(self).__name__))
        if not isinstance(k, int) or k < 1:
            raise ArgumentError(f"{self.name}: k must be a positive integer, got {k!r}")
        self.k = k

    def per_sample(self, y_true: Array, y_pred: Array) -> Array:
        y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
        scores = y_pred.reshape(-1, y_pred.shape[-1])
        if self.integer_labels:
            if y_true.size != len(scores):
                raise ShapeError(f"{self.name}: takes integer labels, got shape {y_true.shape}")
            right = y_true.reshape(-1)
        else:
            if y_true.size != y_pred.size or len(y_true) != len(y_pred):
                raise ShapeError(f"{self.name}: takes one-hot labels, got shape {y_true.shape}")
            right = y_true.reshape(scores.shape).argmax(axis=1)
        if self.smallest:
            scores = -scores
        own = np.take_along_axis(scores, right.astype(np.int64)[:, None], axis=1)
        # A NaN compares false with everything, so it is right nowhere.
        hit: Array = ((scores > own).sum(axis=1) < self.k) & np.isfinite(own[:, 0])
        return hit.reshape(len(y_pred), -1)


class SparseTopKCategoricalAccuracy(_TopK):
    """The share of labels (integers, (N,) or (N, ..)) that are among the k largest outputs."""

    def __init__(self, k: int = 5, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(k, name)


class TopKCategoricalAccuracy(_TopK):
    """The share of labels (one-hot, (N, .., K)) that are among the k largest outputs."""

    integer_labels = False

    def __init__(self, k: int = 5, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(k, name)


class SparseCategoricalAccuracy(_TopK):
    """The share of samples whose label (an integer) has the largest output."""

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(1, name)


class CategoricalAccuracy(_TopK):
    """The share of samples whose label (one-hot) has the largest output."""

    integer_labels = False

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(1, name)


class BinaryAccuracy(MeanMetric):
    """The share of outputs on the label's side of `threshold`."""

    def __init__(
        self, name: str | None = None, dtype: str | None = None, threshold: float = 0.5
    ) -> None:
        super().__init__(None, name or "binary_accuracy")
        self.threshold = float(threshold)

    def per_sample(self, y_true: Array, y_pred: Array) -> Array:
        labels = np.asarray(y_true).reshape(y_pred.shape)
        hit: Array = (y_pred > self.threshold) == (labels > self.threshold)
        return hit


class MeanSquaredError(MeanMetric):
    """The mean of (y - output)^2."""

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(None, name or "mean_squared_error")

    def per_sample(self, y_true: Array, y_pred: Array) -> Array:
        difference: Array = np.asarray(y_true).reshape(y_pred.shape) - y_pred
        return difference * difference


class MeanAbsoluteError(MeanMetric):
    """The mean of |y - output|."""

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(None, name or "mean_absolute_error")

    def per_sample(self, y_true: Array, y_pred: Array) -> Array:
        difference: Array = np.abs(np.asarray(y_true).reshape(y_pred.shape) - y_pred)
        return difference


_NAMES: dict[str, type[Metric]] = {
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "binary_accuracy": BinaryAccuracy,
    "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
    "top_k_categorical_accuracy": TopKCategoricalAccuracy,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
}


class Resolved(NamedTuple):
    """A metric as a compiled model uses it: by the core's count of right answers, or computed."""

    name: str
    metric: Metric | None
    """None: the core's count."""


def resolve(identifier: object, loss: losses.Loss, output_shape: tuple[int, ...]) -> Resolved:
    """A metric from a name, class, object or callable, for models with this loss and output.

    Raises:
        ArgumentError: no such metric.
    """
    if isinstance(identifier, str):
        key = identifier.lower()
        if key in ("accuracy", "acc"):
            return _accuracy(identifier, loss, output_shape)
        if key not in _NAMES:
            known = ", ".join(["accuracy", *_NAMES])
            raise ArgumentError(f"no metric {identifier!r}; there are {known}")
        return _with_loss(_NAMES[key](name=identifier), loss)
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        identifier = identifier()
    if isinstance(identifier, Accuracy):
        return _accuracy(identifier.name, loss, output_shape)
    if isinstance(identifier, Metric):
        return _with_loss(identifier, loss)
    if callable(identifier):
        return Resolved(*_named(MeanMetric(identifier)))
    raise ArgumentError(f"a metric is a name, a Metric or a callable, got {identifier!r}")


def _named(metric: Metric) -> tuple[str, Metric]:
    return metric.name, metric


def _with_loss(metric: Metric, loss: losses.Loss) -> Resolved:
    metric.smallest = isinstance(loss, losses.MAPLoss)
    return Resolved(*_named(metric))


def _accuracy(name: str, loss: losses.Loss, output_shape: tuple[int, ...]) -> Resolved:
    if isinstance(loss, losses.Hinge):
        return Resolved(name, BinaryAccuracy(name, threshold=0.0))
    if isinstance(loss, losses.BinaryCrossentropy):
        if math.prod(output_shape) == 1:
            return Resolved(name, None)
        return Resolved(name, BinaryAccuracy(name, threshold=0.0 if loss.from_logits else 0.5))
    if loss.has_classes:
        return Resolved(name, None)
    one_output = output_shape[-1] == 1
    return Resolved(name, BinaryAccuracy(name) if one_output else CategoricalAccuracy(name))
