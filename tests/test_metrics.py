"""Metrics and confusion matrices."""

import numpy as np
import pytest
from striate import losses, metrics
from striate.errors import ArgumentError, ShapeError
from striate.metrics import resolve

RNG = np.random.default_rng(0)
OUTPUTS = RNG.random((30, 6))
LABELS = RNG.integers(0, 6, 30)
ONE_HOT = np.eye(6)[LABELS]


@pytest.mark.parametrize("k", [1, 2, 5, 6, 9])
def test_top_k(k) -> None:
    ranks = (OUTPUTS > OUTPUTS[np.arange(30), LABELS][:, None]).sum(axis=1)
    sparse = metrics.SparseTopKCategoricalAccuracy(k)
    dense = metrics.TopKCategoricalAccuracy(k)
    for rows in (slice(0, 10), slice(10, 30)):
        sparse.update_state(LABELS[rows], OUTPUTS[rows])
        dense.update_state(ONE_HOT[rows], OUTPUTS[rows])
    assert sparse.result() == dense.result() == pytest.approx((ranks < k).mean())
    sparse.reset_state()
    assert sparse.result() == 0.0


@pytest.mark.parametrize("k", [1, 3])
def test_top_k_at_every_position(k) -> None:
    outputs, labels = OUTPUTS.reshape(5, 2, 3, 6), LABELS.reshape(5, 2, 3)
    flat = metrics.SparseTopKCategoricalAccuracy(k)
    flat.update_state(LABELS, OUTPUTS)
    sparse = metrics.SparseTopKCategoricalAccuracy(k)
    sparse.update_state(labels, outputs)
    dense = metrics.TopKCategoricalAccuracy(k)
    dense.update_state(ONE_HOT.reshape(5, 36), outputs)  # as a model hands targets out
    assert flat.result() == pytest.approx(sparse.result()) == pytest.approx(dense.result())
    with pytest.raises(ShapeError, match="takes integer labels"):
        sparse.update_state(labels[:, 0], outputs)
    with pytest.raises(ShapeError, match="takes one-hot labels"):
        dense.update_state(labels, outputs)


def test_top_k_by_hand() -> None:
    """Three of four labels are among the two largest; by default among five."""
    outputs = np.array([[0.1, 0.5, 0.4], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7]])
    metric = metrics.SparseTopKCategoricalAccuracy(2)
    metric.update_state(np.array([2, 0, 0, 1]), outputs)
    assert metric.result() == 0.75
    assert metrics.TopKCategoricalAccuracy().k == metrics.SparseTopKCategoricalAccuracy().k == 5
    assert metrics.TopKCategoricalAccuracy().name == "top_k_categorical_accuracy"


def test_accuracies() -> None:
    expected = (OUTPUTS.argmax(axis=1) == LABELS).mean()
    sparse, dense = metrics.SparseCategoricalAccuracy(), metrics.CategoricalAccuracy()
    sparse.update_state(LABELS, OUTPUTS)
    dense.update_state(ONE_HOT, OUTPUTS)
    assert sparse.result() == dense.result() == pytest.approx(expected)
    binary = metrics.BinaryAccuracy()
    binary.update_state(np.array([[1], [0], [1]]), np.array([[0.9], [0.6], [0.2]]))
    assert binary.result() == pytest.approx(1 / 3)


def test_sample_weight() -> None:
    metric = metrics.SparseCategoricalAccuracy()
    metric.update_state([0, 1], np.eye(2)[[0, 0]], np.array([3.0, 1.0]))
    assert metric.result() == pytest.approx(0.75)


def test_nan_is_right_nowhere() -> None:
    metric = metrics.SparseTopKCategoricalAccuracy(5)
    metric.update_state(LABELS, np.full_like(OUTPUTS, np.nan))
    assert metric.result() == 0.0


def test_errors_as_metrics() -> None:
    squared, absolute = metrics.MeanSquaredError(), metrics.MeanAbsoluteError()
    target = RNG.random((30, 6))
    for metric in (squared, absolute):
        metric.update_state(target, OUTPUTS)
    assert squared.result() == pytest.approx(((target - OUTPUTS) ** 2).mean())
    assert absolute.result() == pytest.approx(np.abs(target - OUTPUTS).mean())


def test_accuracy_is_resolved_by_the_loss() -> None:
    sparse, binary = losses.SparseCategoricalCrossentropy(), losses.BinaryCrossentropy()
    assert resolve("accuracy", sparse, (10,)) == ("accuracy", None)
    assert resolve("acc", sparse, (10,)) == ("acc", None)
    assert resolve(metrics.Accuracy("own"), sparse, (10,)) == ("own", None)
    assert resolve("accuracy", binary, (1,)).metric is None
    assert isinstance(resolve("accuracy", binary, (4,)).metric, metrics.BinaryAccuracy)
    squared = losses.MeanSquaredError()
    assert isinstance(resolve("accuracy", squared, (4,)).metric, metrics.CategoricalAccuracy)
    for bad in ("acuracy", 3):
        with pytest.raises(ArgumentError):
            resolve(bad, sparse, (10,))


def test_functions() -> None:
    def constant(y_true, y_pred):
        return 0.25

    metric = resolve(constant, losses.MeanSquaredError(), (6,)).metric
    metric.update_state(ONE_HOT, OUTPUTS)
    assert metric.name == "constant" and metric.result() == 0.25
    wrong = metrics.MeanMetric(lambda y_true, y_pred: np.zeros(3))
    with pytest.raises(ShapeError, match=r"gave \(3,\) for 30 samples"):
        wrong.update_state(ONE_HOT, OUTPUTS)


def test_confusion_matrix() -> None:
    matrix = metrics.confusion_matrix([0, 1, 1, 2], [0, 1, 2, 2])
    assert matrix.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    assert matrix.dtype == np.int64
    assert metrics.confusion_matrix([0], [1], classes=4).shape == (4, 4)
    big = metrics.confusion_matrix(ONE_HOT, OUTPUTS)
    assert big.sum() == 30 and big.trace() == (OUTPUTS.argmax(axis=1) == LABELS).sum()
    assert metrics.confusion_matrix([], [], classes=2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("true", "predicted", "classes", "message"),
    [
        ([0, 3], [0, 1], 3, r"y_true\[1\] is 3, but 3 classes are 0 to 2"),
        ([0, 1], [-1, 1], None, r"y_pred\[0\] is -1"),
        ([0, 1], [0], None, "y_true has 2 samples, y_pred has 1"),
        ([0.5], [0], None, "whole numbers"),
        ([[[0]]], [0], None, r"\(N,\) class numbers"),
    ],
)
def test_confusion_matrix_refuses(true, predicted, classes, message) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.confusion_matrix(true, predicted, classes)


def test_per_class() -> None:
    table = metrics.per_class([0, 0, 1, 1, 1], [0, 1, 1, 1, 0], classes=3)
    assert table["precision"].tolist() == pytest.approx([1 / 2, 2 / 3, 0])
    assert table["recall"].tolist() == pytest.approx([1 / 2, 2 / 3, 0])
    assert table["f1"].tolist() == pytest.approx([1 / 2, 2 / 3, 0])
    assert table["support"].tolist() == [2, 3, 0]


def test_report() -> None:
    text = metrics.classification_report([0, 1, 1], [0, 1, 0], names=["cat", "dog"])
    lines = text.splitlines()
    assert len(lines) == 4 and "cat" in lines[1] and "dog" in lines[2]
    assert lines[3].split() == ["accuracy", "0.6667", "3"]
    with pytest.raises(ShapeError, match="2 classes, but 1 names"):
        metrics.classification_report([0, 1], [0, 1], names=["cat"])


def test_subclass_without_methods() -> None:
    for method in ("result", "reset_state"):
        with pytest.raises(NotImplementedError):
            getattr(metrics.Metric(), method)()
