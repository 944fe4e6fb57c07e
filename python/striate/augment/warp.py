"""Geometric distortions, and how several of them become one.

Reading an image between its pixels blurs it a little; so neighbours in a pipeline are combined into
one map, and the image is read once (`Warps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate import _core
from striate.augment.transform import Draw, Floats, Images, Transform

Matrices = NDArray[np.float64]  # [N, 3, 3]


@dataclass(frozen=True)
class Field:
    """Displacements of all pixels as numbers on a lattice: rows @ nodes[n, axis] @ columns."""

    nodes: Floats  # [N, 2: x, y, R, K]
    rows: Floats  # [H, R]
    columns: Floats  # [K, W]


class Geometric(Transform):
    """A step that only says where each pixel comes from."""

    fill_mode: str
    fill_value: float

    def matrices(self, height: int, width: int, draw: Draw) -> Matrices | None:
        """Maps (x, y, 1) of the result to (x, y, 1) of the image; None: each pixel to itself."""
        return None

    def field(self, height: int, width: int, draw: Draw) -> Field | None:
        """What is added to (x, y) of the result before that; None: nothing."""
        return None

    def images(self, x: Images, draw: Draw) -> Images:
        """See Transform."""
        return Warps([(draw.place, self)]).images(x, draw)


class Warps(Transform):
    """Neighbouring geometric steps as one: affine maps, then at most one displacement field.

    Args:
        steps: (place in the pipeline, step), in the order in which they are applied.
    """

    def __init__(self, steps: Sequence[tuple[int, Geometric]]) -> None:
        self.steps = tuple(steps)

    def __repr__(self) -> str:
        return " + ".join(repr(step) for _, step in self.steps)

    def images(self, x: Images, draw: Draw) -> Images:
        """See Transform."""
        n, height, width, _ = x.shape
        total: Matrices = np.broadcast_to(np.eye(3), (n, 3, 3))
        field: Field | None = None
        for place, step in self.steps:
            matrices = step.matrices(height, width, draw.at(place))
            if matrices is not None:
                # The later a step, the sooner its map meets the result's pixels.
                total = total @ matrices
            field = step.field(height, width, draw.at(place)) or field
        lattice: dict[str, Any] = {}
        if field is not None:
            lattice = {
                "nodes": field.nodes, "row_weights": field.rows, "column_weights": field.columns
            }  # fmt: skip
        last = self.steps[-1][1]
        return _core.warp_images(
            np.ascontiguousarray(x),
            total[:, :2].reshape(n, 6).astype(np.float32),
            **lattice,
            border=last.fill_mode,
            fill=float(last.fill_value),
            threads=draw.threads,
        )


@lru_cache(maxsize=16)
def lattice_weights(extent: int, sigma: float) -> Floats:
    """[extent, K]: what K lattice points, sigma pixels apart, add to each of `extent` pixels.

    A Gaussian of deviation sigma, cut off at 3 sigma; each pixel's weights have the norm 1, so that
    independent numbers of one variance on the lattice give that variance at every pixel.
    """
    count = int(np.ceil((extent - 1) / sigma)) + 7
    points = (np.arange(count) - (count - 1) / 2) * sigma + (extent - 1) / 2
    away = (np.arange(extent)[:, None] - points) / sigma
    weights = np.where(np.abs(away) <= 3, np.exp(-0.5 * away**2), 0.0)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    result: Floats = weights.astype(np.float32)
    result.flags.writeable = False
    return result
