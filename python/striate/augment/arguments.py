"""Checks that transforms share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from striate.errors import ArgumentError

FILL_MODES = ("constant", "reflect", "nearest")
INTERPOLATIONS = ("nearest", "box", "bilinear", "bicubic", "lanczos3")


def size_pair(owner: str, name: str, value: int | Sequence[int], least: int = 1) -> tuple[int, int]:
    """(height, width) from an integer or a pair of them.

    Raises:
        ArgumentError: something else, or an extent below `least`.
    """
    pair = tuple(value) if isinstance(value, Iterable) else (value, value)
    if len(pair) != 2 or not all(
        isinstance(v, (int, np.integer)) and not isinstance(v, bool) and v >= least for v in pair
    ):
        raise ArgumentError(
            f"{owner}: {name} is an integer or (height, width), each at least {least}, "
            f"got {value!r}"
        )
    return int(pair[0]), int(pair[1])


def span(
    owner: str,
    name: str,
    value: float | Sequence[float],
    centre: float = 0.0,
    least: float = -math.inf,
) -> tuple[float, float]:
    """(low, high) from a pair, or from one number d: centre - d to centre + d, not below `least`.

    Raises:
        ArgumentError: not numbers, d < 0, low > high, or low < least.
    """
    if isinstance(value, (int, float, np.integer, np.floating)):
        if not 0 <= value < math.inf:
            raise ArgumentError(f"{owner}: {name} as one number is at least 0, got {value!r}")
        return max(centre - float(value), least), centre + float(value)
    pair = tuple(float(v) for v in value)
    if len(pair) != 2 or not (math.isfinite(pair[0]) and math.isfinite(pair[1])):
        raise ArgumentError(f"{owner}: {name} is a number or (low, high), got {value!r}")
    if not least <= pair[0] <= pair[1]:
        floor = "" if least == -math.inf else f", low at least {least:g}"
        raise ArgumentError(f"{owner}: {name}=(low, high) needs low <= high{floor}, got {value!r}")
    return pair[0], pair[1]


def one_of(owner: str, name: str, value: str, choices: Sequence[str]) -> None:
    """Raises ArgumentError unless `value` is among `choices`."""
    if value not in choices:
        raise ArgumentError(f"{owner}: {name} is one of {', '.join(choices)}, got {value!r}")
