"""The layers that are compared with Keras: class, arguments and input; numbers from NumPy.

Taken by the maker of keras_layers.npz and by the comparison with it. Inputs and weights are
multiples of 1/16 below 2 in magnitude, so that the sums of a convolution are exact.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    layer: str
    options: dict[str, Any]
    input: tuple[int, ...]  # with the batch

    @property
    def name(self) -> str:
        return f"{self.layer}({', '.join(f'{k}={v}' for k, v in self.options.items())})"


def transposed() -> list[Case]:
    cases = []
    for kernel, stride, padding in product((1, 2, 3, 4, 5), (1, 2, 3), ("valid", "same")):
        for more in (None, *range(stride)):
            # An even kernel without output padding: TensorFlow refuses that, Keras does not agree
            # with itself between backends.
            if padding == "same" and more == 0 and kernel % 2 == 0:
                continue
            options = {"filters": 2, "kernel_size": (kernel, 3), "strides": (stride, 2),
                       "padding": padding}  # fmt: skip
            if more is not None:
                options["output_padding"] = (more, 1)
            cases.append(Case("Conv2DTranspose", options, (1, 3, 4, 2)))
    for padding in ("valid", "same"):
        options = {"filters": 3, "kernel_size": 3, "dilation_rate": (2, 3), "padding": padding}
        cases.append(Case("Conv2DTranspose", options, (2, 5, 4, 2)))
    return cases


def depthwise() -> list[Case]:
    cases = []
    for kernel, stride, padding in product((1, 2, 3, 5), (1, 2), ("valid", "same")):
        options = {"kernel_size": kernel, "strides": stride, "padding": padding}
        cases.append(Case("DepthwiseConv2D", options, (2, 7, 6, 3)))
        separable = {"filters": 4, **options}
        cases.append(Case("SeparableConv2D", separable, (2, 7, 6, 3)))
    options = {"kernel_size": (2, 3), "depth_multiplier": 3, "padding": "same"}
    cases.append(Case("DepthwiseConv2D", options, (2, 5, 6, 2)))
    cases.append(Case("SeparableConv2D", {"filters": 4, **options}, (2, 5, 6, 2)))
    cases.append(
        Case("DepthwiseConv2D", {"kernel_size": 3, "dilation_rate": 2, "use_bias": False},
             (2, 7, 8, 2))
    )  # fmt: skip
    return cases


def normalizations() -> list[Case]:
    image = (3, 4, 5, 12)
    layer = [{}, {"axis": 3}, {"axis": [1, 2, 3]}, {"axis": [-2, -1], "epsilon": 0.1},
             {"center": False}, {"scale": False}]  # fmt: skip
    group = [{"groups": 3}, {"groups": 1}, {"groups": -1}, {"groups": 4, "scale": False},
             {"groups": 6, "center": False, "epsilon": 0.5}]  # fmt: skip
    cases = [Case("LayerNormalization", options, image) for options in layer]
    cases += [Case("GroupNormalization", options, image) for options in group]
    cases.append(Case("LayerNormalization", {}, (5, 20)))
    cases.append(Case("GroupNormalization", {"groups": 4}, (5, 20)))
    return cases


CASES = [*transposed(), *depthwise(), *normalizations()]


def numbers(case: Case, shapes: list[tuple[int, ...]]) -> tuple[Array, list[Array]]:
    """The input, and weights of these shapes."""
    random = np.random.Generator(np.random.Philox(CASES.index(case)))

    def draw(shape: tuple[int, ...]) -> Array:
        return (random.integers(-31, 32, size=shape) / 16).astype(np.float32)

    return draw(case.input), [draw(shape) for shape in shapes]
