"""Data that come batch by batch: generators, PyDatasets, loaders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from striate import _core
from striate.errors import ArgumentError
from striate.utils import PyDataset


def is_batch_source(x: object) -> bool:
    """Whether `x` yields batches, rather than holding samples."""
    if isinstance(x, (np.ndarray, list, tuple, Mapping)):
        return False
    if isinstance(x, (PyDataset, Iterator)):
        return True
    array_like = ("__array__", "__array_interface__", "__dlpack__", "__buffer__")
    if any(hasattr(x, name) for name in array_like):
        return False
    if isinstance(x, (memoryview, bytes, bytearray)):
        return False
    return isinstance(x, Iterable)


def unpack(item: object, owner: str) -> tuple[Any, Any, Any]:
    """A batch as (x, y, sample_weight); those that it lacks are None."""
    if isinstance(item, (tuple, list)):
        if not 1 <= len(item) <= 3:
            raise ArgumentError(
                f"{owner}: a batch is (x, y) or (x, y, sample_weight), got {len(item)} parts"
            )
        x, y, weights = (*item, None, None)[:3]
        return x, y, weights
    return item, None, None


class BatchSource:
    """A generator, a PyDataset, or anything that can be iterated for batches.

    Args:
        source: yields (x, y) or (x, y, sample_weight).
        steps: batches an epoch; None takes all there are.
        shuffle: take a PyDataset's batches in another order each epoch.
    """

    def __init__(
        self, source: Any, steps: int | None = None, shuffle: bool = False, owner: str = "model"
    ) -> None:
        self._source = source
        self._given_steps = steps
        self._shuffle = shuffle
        self._owner = owner
        self._indexed = hasattr(source, "__getitem__") and hasattr(source, "__len__")
        self._once = isinstance(source, Iterator)

    @property
    def steps(self) -> int | None:
        """Batches an epoch, where that is known beforehand."""
        if self._given_steps is not None:
            return self._given_steps
        try:
            return len(self._source)
        except TypeError:
            return None

    def identity(self) -> dict[str, Any]:
        """JSON-able values that tell these data from others, as far as the source says it."""
        identity: Any = getattr(self._source, "identity", None)
        return identity() if callable(identity) else {"source": type(self._source).__name__}

    def batches(self, seed: int, epoch: int) -> Iterator[tuple[Any, Any, Any]]:
        """One epoch's batches."""
        taken: Iterator[Any]
        if hasattr(self._source, "epoch_batches"):  # augment.Loader: it orders and seeds by itself
            taken = self._source.epoch_batches(seed, epoch)
        elif self._indexed:
            taken = self._by_index(seed, epoch)
        elif self._once:
            taken = self._source
        else:
            taken = iter(self._source)
        for item in islice(taken, self._given_steps):
            yield unpack(item, self._owner)

    def _by_index(self, seed: int, epoch: int) -> Iterator[Any]:
        count = len(self._source)
        order = _core.shuffled(count, seed, epoch) if self._shuffle else range(count)
        steps = count if self._given_steps is None else self._given_steps
        for step in range(steps):
            yield self._source[int(order[step % count])]

    def call(self, hook: str) -> None:
        """Calls on_epoch_begin or on_epoch_end of a PyDataset."""
        function: Callable[[], None] | None = getattr(self._source, hook, None)
        if function is not None and self._indexed:
            function()
