"""Seeds, one-hot labels, and the base class of batch sources."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from striate.errors import ArgumentError, ShapeError, warn_once

__all__ = ["PyDataset", "Sequence", "set_random_seed", "to_categorical"]

_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio: seeds far apart in every bit
_WORD = 2**64

_seed = 0
_models = 0


def set_random_seed(seed: int) -> None:
    """Seeds striate, NumPy and Python's `random`.

    The first model built afterwards has exactly this seed, the k-th after it seed +
    k * 0x9E3779B97F4A7C15 modulo 2^64. A model's seed decides its initial weights, its dropout
    masks and the order in which `fit` takes the samples. Without a call the seed is 0: striate is
    deterministic unless told otherwise.
    """
    import random

    global _seed, _models
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(f"set_random_seed: a seed is an integer of at least 0, got {seed!r}")
    _seed = int(seed) % _WORD
    _models = 0
    random.seed(int(seed))
    np.random.seed(int(seed) % 2**32)


def next_model_seed() -> int:
    """The seed of the next model; each call is one model."""
    global _models
    seed = (_seed + _models * _GOLDEN) % _WORD
    _models += 1
    return seed


@contextmanager
def seeds_kept() -> Iterator[None]:
    """Models built meanwhile leave the seeds of those built afterwards as they would be."""
    global _models
    before = _models
    try:
        yield
    finally:
        _models = before


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> NDArray[np.float32]:
    """One-hot rows: integers of any shape (..., ) -> float32 (..., num_classes).

    Args:
        x: class numbers; a last axis of length 1 is dropped.
        num_classes: by default the largest class number plus one.

    Raises:
        ArgumentError: a class number is negative or not below num_classes.
    """
    labels = np.asarray(x)
    if labels.dtype.kind not in "biuf" or not np.array_equal(labels, np.floor(labels)):
        raise ArgumentError("to_categorical: takes whole numbers")
    labels = labels.astype(np.int64)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        if labels.size == 0:
            raise ShapeError("to_categorical: x is empty: give num_classes")
        num_classes = int(labels.max()) + 1
    if labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        raise ArgumentError(
            f"to_categorical: labels go from {labels.min()} to {labels.max()}, "
            f"but {num_classes} classes are 0 to {num_classes - 1}"
        )
    one_hot = np.zeros((labels.size, num_classes), np.float32)
    one_hot[np.arange(labels.size), labels.ravel()] = 1.0
    return one_hot.reshape(*labels.shape, num_classes)


class PyDataset:
    """Batches by number: a subclass says how many (`__len__`), and each one (`__getitem__`).

    A batch is (x, y) or (x, y, sample_weight). `fit` takes the batches in a shuffled order unless
    shuffle=False, and calls `on_epoch_end` after each epoch.
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        if workers not in (0, 1) or use_multiprocessing:
            warn_once("PyDataset: workers and use_multiprocessing have no effect in striate")
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs __len__: the number of batches")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs __getitem__(index): a batch")

    @property
    def num_batches(self) -> int:
        """How many batches there are."""
        return len(self)

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


Sequence = PyDataset
