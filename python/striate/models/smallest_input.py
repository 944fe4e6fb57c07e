"""How small an image may be before a network's windows no longer fit."""

from __future__ import annotations

from collections.abc import Callable

from striate.errors import ShapeError
from striate.naming import names_kept
from striate.utils import seeds_kept


def smallest_input(
    build: Callable[[tuple[int, int, int]], object], channels: int = 3, largest: int = 1024
) -> int | None:
    """The smallest n for which `build((n, n, channels))` raises no ShapeError.

    Only shapes are worked out: no weights are drawn, and neither automatic names nor the seeds of
    models built later change. What fits an image must fit every larger one.

    Args:
        build: makes the network, or describes it in any other way that checks its shapes.
        channels: of the image.
        largest: sizes beyond are not tried; None if this one is too small, too.
    """

    def fits(size: int) -> bool:
        try:
            build((size, size, channels))
        except ShapeError:
            return False
        return True

    with names_kept(), seeds_kept():
        low, high = 0, 1  # low does not fit; high is the next to try
        while not fits(high):
            if high >= largest:
                return None
            low, high = high, min(2 * high, largest)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if fits(middle) else (middle, high)
    return high
