"""Random translation, rotation, scaling, squeezing and shearing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.augment.arguments import FILL_MODES, one_of, span
from striate.augment.transform import Draw
from striate.augment.warp import Geometric, Matrices


@dataclass(frozen=True)
class RandomAffine(Geometric):
    """Squeezes, scales, shears, rotates and moves each image, about its centre and in this order.

    Every amount is drawn evenly from its range; a single number d stands for the range -d .. d, and
    for scale and squeeze for 1 - d .. 1 + d. These are the distortions that LeNet-5 was trained
    with (LeCun et al. 1998, III-C).

    Args:
        degrees: of rotation, counter-clockwise.
        translate: as a fraction of the width and of the height; or ((low, high) of x, (low, high)
            of y), x to the right and y down.
        scale: both sides are multiplied by it.
        squeeze: the width is multiplied, the height divided by it.
        shear: degrees by which upright lines lean to the left.
        fill_mode: what is seen beyond an image: "constant", fill_value; "reflect", the mirror
            image without its edge pixels (dcb|abcd|cba); "nearest", the edge pixels.
        fill_value: for "constant".
    """

    degrees: float | Sequence[float] = 0.0
    translate: float | Sequence[float | Sequence[float]] = 0.0
    scale: float | Sequence[float] = (1.0, 1.0)
    squeeze: float | Sequence[float] = (1.0, 1.0)
    shear: float | Sequence[float] = 0.0
    fill_mode: str = "constant"
    fill_value: float = 0.0

    def __post_init__(self) -> None:
        self.ranges()
        one_of("RandomAffine", "fill_mode", self.fill_mode, FILL_MODES)

    def ranges(self) -> list[tuple[float, float]]:
        """(low, high) of degrees, of translation in x and in y, of scale, squeeze and shear."""
        name = "RandomAffine"
        across, down = (
            self.translate
            if isinstance(self.translate, Sequence)
            else (self.translate, self.translate)
        )
        tiny = 1e-3  # a smaller image than this could not be read from
        return [
            span(name, "degrees", self.degrees),
            span(name, "translate", across),
            span(name, "translate", down),
            span(name, "scale", self.scale, 1.0, tiny),
            span(name, "squeeze", self.squeeze, 1.0, tiny),
            span(name, "shear", self.shear),
        ]

    def matrices(self, height: int, width: int, draw: Draw) -> Matrices:
        """See Geometric."""
        low, high = np.array(self.ranges()).T
        u = draw.uniforms(len(low)).astype(np.float64)
        degrees, across, down, scale, squeeze, shear = (low + u * (high - low)).T
        return inverse_affine(
            (height, width),
            degrees,
            np.stack([across * width, down * height], axis=1),
            np.stack([scale * squeeze, scale / squeeze], axis=1),
            shear,
        )


def inverse_affine(
    size: tuple[int, int],
    degrees: np.ndarray,
    shift: np.ndarray,
    scale: np.ndarray,
    shear: np.ndarray,
) -> Matrices:
    """[N, 3, 3]: where the pixels of images that were scaled, sheared, turned and moved come from.

    Args:
        size: (height, width), whose centre stays where it is but for the shift.
        degrees: [N], counter-clockwise.
        shift: [N, 2], pixels to the right and down.
        scale: [N, 2], of the width and of the height.
        shear: [N], degrees by which upright lines lean to the left.
    """
    n = len(degrees)
    turn, lean = np.deg2rad(degrees), np.tan(np.deg2rad(shear))
    cos, sin = np.cos(turn), np.sin(turn)
    back = np.zeros((n, 3, 3))
    # inverse(scale) @ inverse(shear) @ inverse(rotation), rows pointing down.
    back[:, 0, 0] = (cos - lean * sin) / scale[:, 0]
    back[:, 0, 1] = (-sin - lean * cos) / scale[:, 0]
    back[:, 1, 0] = sin / scale[:, 1]
    back[:, 1, 1] = cos / scale[:, 1]
    back[:, 2, 2] = 1.0
    centre = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    moved = centre + shift
    back[:, :2, 2] = centre - (back[:, :2, :2] @ moved[:, :, None])[:, :, 0]
    return back
