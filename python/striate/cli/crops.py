"""The parts of an image that a network is shown when it is tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.augment import CenterCrop, Draw, Resize, Transform
from striate.cli.inputs import Prepare
from striate.errors import ShapeError

VIEWS = (1, 2, 6, 10)
HELP = (
    "1: the centre. 2: and its mirror image. 6: both also moved by a pixel either way. "
    "10: corners, centre and their mirror images. Probabilities are averaged."
)
NAMES = {1: "the centre", 2: "the centre and its mirror image", 6: "six views", 10: "ten crops"}


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


@dataclass(frozen=True)
class SmallViews(Transform):
    """[N, H, W, C] -> [N, 2 or 6, h, w, C]: the centre and, with `moved`, the centre of the image
    moved by one pixel down and right, and up and left (the border mirrored); then the mirror images
    of those (Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU", 2024, without its
    weights). The last step of a pipeline.

    Args:
        size: (height, width) of each.
    """

    size: tuple[int, int]
    moved: bool

    def images(self, x: NDArray[Any], draw: Draw) -> NDArray[Any]:
        """See Transform."""
        height, width = self.size
        cut = CenterCrop(self.size).images(x, draw)
        shown = [cut]
        if self.moved:
            border = np.pad(cut, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
            shown += [border[:, i : i + height, i : i + width] for i in (0, 2)]
        return np.stack(shown + [view[:, :, ::-1] for view in shown], axis=1)


def views(
    size: tuple[int, int], shorter_side: int, crops: int, mode: str
) -> list[Transform]:  # fmt: skip
    """What test images go through: resized, made the network's input, and cut.

    Args:
        size: (height, width) of the network's input.
        shorter_side: of the image when it is cut.
        crops: 1, the centre; 2 and 6, see SmallViews; 10, see TenCrops.
        mode: see inputs.prepare.
    """
    if mode == "lenet5-1998":  # which adds a border, and so comes last
        return [Resize(shorter_side), CenterCrop(size), Prepare(mode)]
    cut: Transform = CenterCrop(size)
    if crops > 1:
        cut = TenCrops(size) if crops == 10 else SmallViews(size, crops == 6)
    return [Resize(shorter_side), Prepare(mode), cut]
