"""Arrays in memory as augmented batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from striate.augment.loader import Fetched, Loader, Samples, Source
from striate.augment.pipeline import Pipeline, as_images
from striate.augment.transform import Transform
from striate.errors import ShapeError
from striate.identity import array_identity


class _ArraySource(Source):
    """Samples that are rows of arrays."""

    def __init__(self, x: ArrayLike, y: ArrayLike | None, weights: ArrayLike | None) -> None:
        self._x = as_images(x)
        self._y = None if y is None else np.asarray(y)
        self._weights = None if weights is None else np.asarray(weights, np.float32)
        for name, array in (("y", self._y), ("sample_weight", self._weights)):
            if array is not None and (array.ndim == 0 or len(array) != len(self._x)):
                raise ShapeError(
                    f"AugmentedArrays: x has {len(self._x)} samples, {name} the shape {array.shape}"
                )

    def __len__(self) -> int:
        return len(self._x)

    def fetch(self, samples: Samples) -> Fetched:
        """See Source."""
        return Fetched(
            samples,
            np.take(self._x, samples, axis=0),  # unlike x[samples], without the GIL
            None if self._y is None else self._y[samples],
            None if self._weights is None else self._weights[samples],
        )

    def identity(self) -> dict[str, Any]:
        """See Source."""
        arrays = {"x": self._x, "y": self._y, "sample_weight": self._weights}
        return {name: array_identity(array) for name, array in arrays.items() if array is not None}


class AugmentedArrays(Loader):
    """Batches of arrays that went through a pipeline, for `fit`.

        train = AugmentedArrays(x, y, [RandomFlip(), RandomCrop(32, 4), Normalize(0.5, 0.25)])
        model.fit(train, epochs=10)

    Args:
        x: images [N, H, W, C] or [N, H, W] with values from 0 to 255; uint8 takes least room.
        y: labels [N, ..], or None for `predict`.
        pipeline: a Pipeline, or its transforms.
        sample_weight: [N].
        batch_size, shuffle, seed, workers, drop_remainder: see Loader.

    Raises:
        ShapeError: arrays of different lengths, or x that are no images.
        ArgumentError: as Loader does.
    """

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        pipeline: Pipeline | Transform | Sequence[Transform] | None = None,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        workers: int | None = None,
        drop_remainder: bool = False,
        sample_weight: ArrayLike | None = None,
    ) -> None:
        source = _ArraySource(x, y, sample_weight)
        super().__init__(source, pipeline, batch_size, shuffle, seed, workers, drop_remainder)
