"""How small an image may be before a network's windows no longer fit."""

from __future__ import annotations

from collections.abc import Callable

from striate.errors import ShapeError
from striate.layers import SymbolicTensor
from striate.layers.symbolic import Shape
from striate.models.description import Description
from striate.models.topology import Topology
from striate.naming import names_kept
from striate.utils import seeds_kept

_LARGEST = 1024


def smallest_input(
    build: Callable[[tuple[int, int, int]], object], channels: int = 3, largest: int = _LARGEST
) -> int | None:
    """The smallest n for which `build((n, n, channels))` raises no ShapeError.

    Only shapes are worked out: no weights are drawn, and neither automatic names nor the seeds of
    models built later change. What fits an image must fit every larger one.

    Args:
        build: makes the network, or describes it in any other way that checks its shapes.
        channels: of the image.
        largest: sizes beyond are not tried; None if this one is too small, too.
    """

    with names_kept(), seeds_kept():
        return _smallest(lambda size: build((size, size, channels)), largest)


def _smallest(attempt: Callable[[int], object], largest: int) -> int | None:
    def fits(size: int) -> bool:
        try:
            attempt(size)
        except ShapeError:
            return False
        return True

    low, high = 0, 1  # low does not fit; high is the next to try
    while not fits(high):
        if high >= largest:
            return None
        low, high = high, min(2 * high, largest)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def size_hint(x: SymbolicTensor, attempt: Callable[[Shape], object]) -> str:
    """What the message that `x` does not fit a layer goes on with, if the image is too small.

    Args:
        x: a tensor of a network.
        attempt: raises ShapeError if a tensor of that shape does not fit the layer either.
    """
    image = _only_input(x)
    if image is None or image.ndim != 4:
        return ""
    _, height, width, channels = image.shape

    def try_size(size: int) -> None:
        shape: Shape = (None, size, size, channels)
        if x is not image:
            described = Description(Topology("", [image], [x]), "", [shape])
            shape = (None, *described.graph.shape(described.outputs[0]))
        attempt(shape)

    size = _smallest(try_size, _LARGEST)
    if size is None or size <= min(height or 0, width or 0):
        return ""
    return (
        f" ({image.name} is {height} x {width}; up to here the network needs at least "
        f"{size} x {size})"
    )


def _only_input(x: SymbolicTensor) -> SymbolicTensor | None:
    """The one Input that `x` depends on; None where there are several."""
    found: set[SymbolicTensor] = set()
    seen = {x}
    stack = [x]
    while stack:
        tensor = stack.pop()
        if not tensor.node.inputs:
            found.add(tensor)
        new = set(tensor.node.inputs) - seen
        seen |= new
        stack.extend(new)
    return found.pop() if len(found) == 1 else None
