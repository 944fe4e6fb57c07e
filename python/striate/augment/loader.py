"""Batches prepared by threads ahead of the training step.

A `Source` knows the samples; a `Loader` decides their order, has them fetched and augmented, and
hands the batches over in order. Which thread prepares a batch, and when, decides nothing about what
is in it.
"""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from striate import _core
from striate.augment.pipeline import Pipeline
from striate.augment.transform import Draw, Images, Transform
from striate.errors import ArgumentError, StriateError

Samples = NDArray[np.int64]

_THREADS = "striate-loader"  # the threads' names begin with it


class Fetched(NamedTuple):
    """Samples as their source has them; those that it had to leave out are missing."""

    samples: Samples  # [N]
    images: Images | list[NDArray[Any]]  # [N, H, W, C], or N of [H, W, C]
    labels: Any = None  # [N, ..]
    weights: NDArray[np.float32] | None = None  # [N]


class Source:
    """Where samples come from: numbered from 0, any of them at any time, from any thread."""

    def __len__(self) -> int:
        raise NotImplementedError

    def fetch(self, samples: Samples) -> Fetched:
        """The samples of these numbers, in this order."""
        raise NotImplementedError

    def end_of_epoch(self) -> None:
        """Called when an epoch's last batch was handed over."""

    def identity(self) -> dict[str, Any]:
        """JSON-able values that tell these samples from others."""
        return {}


class Loader:
    """Batches (x, y) or (x, y, sample_weight) for `fit`, `evaluate` and `predict`; x is float32.

    In `fit`, the order of an epoch's samples and what augmentation makes of them depend on `seed`
    and on the number of epochs that the model was trained for before; iterated over by itself, a
    loader counts its own epochs from 0. For `predict`, whose rows should be in the order of the
    samples, give shuffle=False.

    Args:
        source: the samples.
        pipeline: what they go through.
        batch_size: samples a batch; the last one of an epoch may be smaller.
        shuffle: take the samples in another order each epoch, the one in which `fit` takes arrays.
        seed: of the order and of the augmentation; None: the model's (0 without a model).
        workers: threads that prepare batches; 0: none, batches are prepared when they are asked
            for. By default as many as striate computes with, at most 4.
        drop_remainder: leave out a smaller last batch.

    Raises:
        ArgumentError: an argument out of its domain, or no sample.
    """

    def __init__(
        self,
        source: Source,
        pipeline: Pipeline | Transform | Sequence[Transform] | None = None,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        workers: int | None = None,
        drop_remainder: bool = False,
    ) -> None:
        name = type(self).__name__
        for argument, value, least in (
            ("batch_size", batch_size, 1), ("workers", workers, 0), ("seed", seed, 0)
        ):  # fmt: skip
            if value is None and argument != "batch_size":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ArgumentError(
                    f"{name}: {argument} is an integer of at least {least}, got {value!r}"
                )
        if len(source) < (batch_size if drop_remainder else 1):
            raise ArgumentError(f"{name}: {len(source)} samples make no batch")
        self._source = source
        self.pipeline = pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline or ())
        self.batch_size = int(batch_size)
        self.shuffle = bool(shuffle)
        self.seed = None if seed is None else int(seed)
        self.workers = min(_core.num_threads(), 4) if workers is None else int(workers)
        self.drop_remainder = bool(drop_remainder)
        self._epochs = 0

    @property
    def samples(self) -> int:
        """How many samples an epoch has."""
        return len(self._source)

    def __len__(self) -> int:
        """How many batches an epoch has."""
        if self.drop_remainder:
            return self.samples // self.batch_size
        return -(-self.samples // self.batch_size)

    def identity(self) -> dict[str, Any]:
        """JSON-able values that are equal where the batches are: what a resumed run compares."""
        return {
            **self._source.identity(),
            "samples": self.samples,
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "seed": self.seed,
            "drop_remainder": self.drop_remainder,
            # A transform without a repr of its own would show its address.
            "pipeline": re.sub(r" at 0x[0-9a-f]+", "", repr(self.pipeline)),
        }

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        epoch = self._epochs
        self._epochs += 1
        return self.epoch_batches(0, epoch)

    def epoch_batches(self, seed: int, epoch: int) -> Iterator[tuple[Any, ...]]:
        """One epoch's batches; `seed` counts where the loader was given none.

        Raises:
            Whatever the source or the pipeline raises, as soon as its batch's turn comes; the
            message then begins with the sample's number.
        """
        seed = seed if self.seed is None else self.seed
        count = len(self) * self.batch_size if self.drop_remainder else self.samples
        order = (
            _core.shuffled(self.samples, seed, epoch)
            if self.shuffle
            else np.arange(self.samples, dtype=np.int64)
        )[:count]
        batches = [order[i : i + self.batch_size] for i in range(0, count, self.batch_size)]
        prepared = self._ahead(batches, seed, epoch) if self.workers else (
            self._prepare(samples, seed, epoch, _core.num_threads()) for samples in batches
        )  # fmt: skip
        for batch in prepared:
            if batch is not None:
                yield batch
        self._source.end_of_epoch()

    def _ahead(
        self, batches: Sequence[Samples], seed: int, epoch: int
    ) -> Iterator[tuple[Any, ...] | None]:
        """The batches in order, prepared by `workers` threads, two more than they are at hand."""
        process = os.getpid()
        executor = ThreadPoolExecutor(self.workers, _THREADS)
        waiting: deque[Future[tuple[Any, ...] | None]] = deque()
        try:
            for samples in batches:
                waiting.append(executor.submit(self._prepare, samples, seed, epoch, 1))
                if len(waiting) > self.workers + 2:
                    yield self._next(waiting, process)
            while waiting:
                yield self._next(waiting, process)
        finally:
            # Threads do not come along into a fork: the child has none to wait for.
            if os.getpid() == process:
                # An abandoned iterator may be collected on one of its own threads.
                own = threading.current_thread().name.startswith(_THREADS)
                executor.shutdown(wait=not own, cancel_futures=True)

    def _next(
        self, waiting: deque[Future[tuple[Any, ...] | None]], process: int
    ) -> tuple[Any, ...] | None:
        if os.getpid() != process:
            raise StriateError(
                f"{type(self).__name__}: this epoch's threads are in the parent process: begin an "
                "epoch after the fork"
            )
        return waiting.popleft().result()

    def _prepare(
        self, samples: Samples, seed: int, epoch: int, threads: int
    ) -> tuple[Any, ...] | None:
        """A batch ready for the model; None if all its samples were left out."""
        try:
            return self._augmented(samples, seed, epoch, threads)
        except Exception as error:
            self._name_sample(error, samples, seed, epoch)
            raise

    def _augmented(
        self, samples: Samples, seed: int, epoch: int, threads: int
    ) -> tuple[Any, ...] | None:
        fetched = self._source.fetch(samples)
        if len(fetched.samples) == 0:
            return None
        draw = Draw(seed, epoch, fetched.samples, threads=threads)
        images, labels = self.pipeline.run(fetched.images, fetched.labels, draw)
        x = np.ascontiguousarray(images, np.float32)
        if fetched.weights is not None:
            return x, labels, fetched.weights
        return (x,) if labels is None else (x, labels)

    def _name_sample(self, error: Exception, samples: Samples, seed: int, epoch: int) -> None:
        """Puts the number of the sample at fault before the error's message.

        Samples do not depend on each other, so the first that fails alone is the one.
        """
        if not (error.args and isinstance(error.args[0], str)):
            return
        which = f"samples {samples[0]} to {samples[-1]}" if len(samples) > 1 else ""
        for sample in samples:
            try:
                self._augmented(np.array([sample]), seed, epoch, 1)
            except Exception:
                which = f"sample {sample}"
                break
        if which:
            error.args = (f"{which}: {error.args[0]}", *error.args[1:])
