"""Which classes a network takes for which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from striate.errors import ArgumentError, ShapeError

__all__ = ["classification_report", "confusion_matrix", "per_class"]


def _classes_of(owner: str, name: str, values: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        array = array.argmax(axis=1)
    if array.ndim != 1:
        raise ShapeError(f"{owner}: {name} is (N,) class numbers or (N, K), got {array.shape}")
    if array.dtype.kind not in "biuf" or not np.array_equal(array, np.floor(array)):
        raise ArgumentError(f"{owner}: {name} must hold whole numbers")
    return array.astype(np.int64)


def confusion_matrix(
    y_true: ArrayLike, y_pred: ArrayLike, classes: int | None = None
) -> NDArray[np.int64]:
    """Counts (classes, classes): row the true class, column the predicted one.

    Args:
        y_true: class numbers (N,), or one-hot (N, K).
        y_pred: class numbers (N,), or outputs (N, K), whose largest is the answer.
        classes: by default one more than the largest class number.

    Raises:
        ShapeError: unequal lengths, or the wrong rank.
        ArgumentError: a class number out of range.
    """
    true = _classes_of("confusion_matrix", "y_true", y_true)
    predicted = _classes_of("confusion_matrix", "y_pred", y_pred)
    if len(true) != len(predicted):
        raise ShapeError(
            f"confusion_matrix: y_true has {len(true)} samples, y_pred has {len(predicted)}"
        )
    largest = max((int(array.max()) for array in (true, predicted) if len(array)), default=-1)
    if classes is None:
        classes = largest + 1
    for name, array in (("y_true", true), ("y_pred", predicted)):
        if len(array) and (array.min() < 0 or array.max() >= classes):
            index = int(np.flatnonzero((array < 0) | (array >= classes))[0])
            raise ArgumentError(
                f"confusion_matrix: {name}[{index}] is {array[index]}, "
                f"but {classes} classes are 0 to {classes - 1}"
            )
    counts = np.bincount(true * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def per_class(
    y_true: ArrayLike, y_pred: ArrayLike, classes: int | None = None
) -> dict[str, NDArray[np.float64]]:
    """ "precision", "recall", "f1" and "support" of each class; 0 where a quotient is 0 / 0.

    Takes what `confusion_matrix` takes.
    """
    matrix = confusion_matrix(y_true, y_pred, classes).astype(np.float64)
    right, support, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    return {
        "precision": right / np.maximum(predicted, 1.0),
        "recall": right / np.maximum(support, 1.0),
        "f1": 2 * right / np.maximum(support + predicted, 1.0),
        "support": support,
    }


def classification_report(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    classes: int | None = None,
    names: Sequence[str] | None = None,
) -> str:
    """A table of precision, recall, F1 and support, a class a line, then the accuracy."""
    table = per_class(y_true, y_pred, classes)
    matrix = confusion_matrix(y_true, y_pred, classes)
    labels = [str(i) for i in range(len(matrix))] if names is None else list(names)
    if len(labels) != len(matrix):
        raise ShapeError(f"classification_report: {len(matrix)} classes, but {len(labels)} names")
    width = max([len("accuracy"), *map(len, labels)])
    lines = [f"{'class':>{width}}  precision  recall      f1  support"]
    for i, label in enumerate(labels):
        lines.append(
            f"{label:>{width}}  {table['precision'][i]:9.4f}  {table['recall'][i]:6.4f}  "
            f"{table['f1'][i]:6.4f}  {int(table['support'][i]):7d}"
        )
    total = int(matrix.sum())
    accuracy = matrix.trace() / total if total else 0.0
    lines.append(f"{'accuracy':>{width}}  {accuracy:9.4f}{'':>18}{total:9d}")
    return "\n".join(lines)
