"""What a step of a pipeline is, and where its random numbers come from.

Images are NHWC, uint8 or float32, with values from 0 to 255; a step that needs fractions returns
float32 of the same scale. What a step makes of a sample depends on the sample's pixels and on
(seed, epoch, the sample's number, the step's place in the pipeline) alone: never on the batch that
it is in, on the order of batches or on the number of workers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate import _core

Images = NDArray[Any]  # uint8 or float32 [N, H, W, C]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Draw:
    """The random numbers of one step for the samples of one batch."""

    seed: int
    epoch: int
    samples: NDArray[np.int64]  # [N]: the samples' numbers in their data set
    place: int = 0
    threads: int = 1

    def uniforms(self, count: int) -> Floats:
        """[N, count] in [0, 1). A second call returns the same numbers."""
        return _core.uniforms(self.seed, self.epoch, self.place, self.samples, count)

    def normals(self, count: int) -> Floats:
        """[N, count] of mean 0 and deviation 1, from the same stream as `uniforms`."""
        return _core.normals(self.seed, self.epoch, self.place, self.samples, count)

    def at(self, place: int) -> Draw:
        """The same samples' numbers for another place in the pipeline."""
        return replace(self, place=place)

    def of_epoch(self, epoch: int) -> Draw:
        """The same samples' numbers of another epoch."""
        return replace(self, epoch=epoch)

    def only(self, row: int) -> Draw:
        """The numbers of the batch's sample `row` alone."""
        return replace(self, samples=self.samples[row : row + 1])


class Transform:
    """One step of a `Pipeline`. A subclass says what becomes of images (`images`).

    A subclass is a frozen dataclass of its arguments, checked in `__post_init__`.
    """

    whole_batch = False
    """Whether the step mixes samples, and so cannot take images of different sizes one by one."""

    def images(self, x: Images, draw: Draw) -> Images:
        """The batch [N, H, W, C] transformed; `x` itself is left as it was."""
        raise NotImplementedError(f"{type(self).__name__} needs images(x, draw)")

    def batch(self, x: Images, y: Any, draw: Draw) -> tuple[Images, Any]:
        """Images and labels transformed; most steps leave labels alone."""
        return self.images(x, draw), y


def floats(x: Images) -> Floats:
    """A float32 copy, for a step that goes on to write into it."""
    return x.astype(np.float32, copy=True)
