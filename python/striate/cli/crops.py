"""The parts of an image that a network is shown when it is tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.augment import CenterCrop, Draw, Resize, Transform
from striate.cli.inputs import Prepare
from striate.errors import ShapeError

VIEWS = (1, 10)


@dataclass(frozen=True)
class TenCrops(Transform):
    """[N, H, W, C] -> [N, 10, h, w, C]: the four corners, the centre, and the mirror images of
    those (Krizhevsky et al., 2012). The last step of a pipeline.

    Args:
        size: (height, width) of each.
    """

    size: tuple[int, int]

    def images(self, x: NDArray[Any], draw: Draw) -> NDArray[Any]:
        """See Transform."""
        height, width = self.size
        down, right = x.shape[1] - height, x.shape[2] - width
        if down < 0 or right < 0:
            raise ShapeError(
                f"images of {x.shape[1]} x {x.shape[2]} are smaller than {height} x {width}"
            )
        places = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
        crops = [x[:, top : top + height, left : left + width] for top, left in places]
        crops += [crop[:, :, ::-1] for crop in crops]
        return np.stack(crops, axis=1)


def views(
    size: tuple[int, int], shorter_side: int, crops: int, mode: str
) -> list[Transform]:  # fmt: skip
    """What test images go through: resized, made the network's input, and cut.

    Args:
        size: (height, width) of the network's input.
        shorter_side: of the image when it is cut.
        crops: 1, the centre; 10, see TenCrops.
        mode: see inputs.prepare.
    """
    if mode == "lenet5-1998":  # which adds a border, and so comes last
        return [Resize(shorter_side), CenterCrop(size), Prepare(mode)]
    cut = CenterCrop(size) if crops == 1 else TenCrops(size)
    return [Resize(shorter_side), Prepare(mode), cut]
