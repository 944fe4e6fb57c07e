"""How a network does on images: top-k errors as ILSVRC counts them, and class by class."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.cli.networks import class_scores
from striate.cli.report import confusion_text
from striate.errors import ArgumentError
from striate.metrics import confusion_matrix
from striate.models import Model

_SMALL = 12  # classes whose confusion matrix fits a terminal
_SHOWN = 10  # classes of many that are listed, the worst first


@dataclass(frozen=True)
class Scores:
    """What a network says of N images.

    Attributes:
        true: int64 [N], the classes.
        predicted: int64 [N], the likeliest classes.
        ranks: int64 [N], how many classes are likelier than the true one: 0 is top-1.
        classes: how many there are.
    """

    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    ranks: NDArray[np.int64]
    classes: int

    def right(self, k: int) -> int:
        """How many images have their class among the k likeliest."""
        return int((self.ranks < k).sum())

    def error(self, k: int) -> float:
        """The share of images whose class is not among the k likeliest."""
        return 1 - self.right(k) / len(self.true)

    def per_class(self, k: int) -> NDArray[np.float64]:
        """[classes]: the share of each class's images among whose k likeliest it is; NaN for a
        class without images."""
        counts = np.bincount(self.true, minlength=self.classes)
        hits = np.bincount(self.true[self.ranks < k], minlength=self.classes)
        with np.errstate(invalid="ignore"):
            share: NDArray[np.float64] = hits / counts
        return share

    def confusion(self) -> NDArray[np.int64]:
        """Counts (classes, classes), see metrics.confusion_matrix."""
        return confusion_matrix(self.true, self.predicted, self.classes)


def score(
    model: Model,
    batches: Iterable[tuple[Any, ...]],
    views: int = 1,
    done: Callable[[int], None] | None = None,
) -> Scores:
    """Runs the network over batches of images and labels.

    Args:
        batches: (x [N, ..], y [N]); x [N, views, ..] with several views of each image, whose
            probabilities are averaged.
        done: is told after each batch how many images it had.

    Raises:
        ArgumentError: no image, or a label that is none of the network's classes.
    """
    true: list[NDArray[np.int64]] = []
    predicted: list[NDArray[np.int64]] = []
    ranks: list[NDArray[np.int64]] = []
    classes = model.output_sample_shapes[0][-1]
    for x, y, *_ in batches:
        labels = np.asarray(y)
        if labels.max() >= classes:
            raise ArgumentError(
                f"an image is of class {labels.max()}: {model.name} has {classes} classes, 0 to "
                f"{classes - 1}"
            )
        scores = _scores(model, x, views)
        own = np.take_along_axis(scores, labels[:, None], axis=1)
        # A NaN is not above anything; where there is one, nothing is right.
        rank = np.where(np.isfinite(scores).all(axis=1), (scores > own).sum(axis=1), classes)
        true.append(labels)
        predicted.append(scores.argmax(axis=1).astype(np.int64))
        ranks.append(rank.astype(np.int64))
        if done is not None:
            done(len(labels))
    if not true:
        raise ArgumentError("no image could be read")
    return Scores(np.concatenate(true), np.concatenate(predicted), np.concatenate(ranks), classes)


def _scores(model: Model, x: NDArray[Any], views: int) -> NDArray[np.float32]:
    if views == 1:
        return class_scores(model, model.predict(x))
    flat = x.reshape(-1, *x.shape[2:])
    each = class_scores(model, model.predict(flat)).reshape(len(x), views, -1)
    mean: NDArray[np.float32] = each.mean(axis=1)
    return mean


def summary_line(name: str, scores: Scores, tops: Sequence[int]) -> str:
    """One line: errors at each k, and of how many images."""
    errors = ", ".join(f"top-{k} error {100 * scores.error(k):.2f} %" for k in tops)
    wrong = len(scores.true) - scores.right(1)
    return (
        f"{name}: {100 * (1 - scores.error(1)):.2f} % of {len(scores.true):,} test images right, "
        f"{wrong:,} wrong" + (f"; {errors}" if tops != [1] else "")
    )


def class_report(scores: Scores, names: Sequence[str] | None, tops: Sequence[int]) -> str:
    """The classes, worst first: all with what they are taken for, where they are few."""
    if scores.classes <= _SMALL:
        legend = ""
        if names is not None and list(names) != [str(i) for i in range(scores.classes)]:
            legend = "\n" + "  ".join(f"{number} {name}" for number, name in enumerate(names))
        return confusion_text(scores.confusion()) + legend
    rows = list(_rows(scores, names, tops))
    width = max(len("class"), *(len(row[1]) for row in rows[:_SHOWN]))
    heads = "".join(f"{f'top-{k}':>10}" for k in tops)
    lines = [f"{'class':<{width}}{'images':>8}{heads}  most often taken for"]
    for _, name, images, shares, other in rows[:_SHOWN]:
        cells = "".join(f"{100 * share:>8.2f} %" for share in shares)
        lines.append(f"{name:<{width}}{images:>8,}{cells}  {other}")
    if len(rows) > _SHOWN:
        lines.append(f"and {len(rows) - _SHOWN:,} classes with a higher accuracy")
    return "\n".join(lines)


def write_report(
    path: Path, scores: Scores, names: Sequence[str] | None, tops: Sequence[int]
) -> None:
    """The report of all classes that have images as CSV, worst first. OSError if it cannot be."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["class", "name", "images", *(f"top_{k}_accuracy" for k in tops),
                         "most_often_taken_for"])  # fmt: skip
        for label, name, images, shares, other in _rows(scores, names, tops):
            writer.writerow([label, name, images, *(f"{share:.6f}" for share in shares), other])


def _rows(
    scores: Scores, names: Sequence[str] | None, tops: Sequence[int]
) -> Iterator[tuple[int, str, int, list[float], str]]:
    """(number, name, images, accuracy at each k, most frequent error), worst class first."""
    called = [str(label) for label in range(scores.classes)] if names is None else list(names)
    counts = np.bincount(scores.true, minlength=scores.classes)
    shares = [scores.per_class(k) for k in tops]
    wrong = scores.confusion()
    np.fill_diagonal(wrong, 0)
    present = np.flatnonzero(counts)
    order = present[np.lexsort((present, shares[0][present]))]
    for label in order.tolist():
        other = int(wrong[label].argmax())
        times = int(wrong[label, other])
        yield (
            label,
            called[label],
            int(counts[label]),
            [float(share[label]) for share in shares],
            f"{called[other]} ({times:,})" if times else "",
        )
