"""Arguments that several layers take, brought to one form and checked."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from striate.errors import ArgumentError, ShapeError

Pair = tuple[int, int]
Padding = str | tuple[Pair, Pair]

# Keras's arguments that have no counterpart here: None is their default, and says nothing.
_KERAS_ONLY = {
    "activity_regularizer": "",
    "bias_constraint": "",
    "bias_regularizer": "an optimizer's weight_decay takes its place",
    "kernel_constraint": "",
    "kernel_regularizer": "an optimizer's weight_decay takes its place",
    "noise_shape": "",
    "beta_constraint": "",
    "beta_regularizer": "",
    "depthwise_constraint": "",
    "depthwise_regularizer": "an optimizer's weight_decay takes its place",
    "gamma_constraint": "",
    "gamma_regularizer": "",
    "pointwise_constraint": "",
    "pointwise_regularizer": "an optimizer's weight_decay takes its place",
}


def integer(owner: str, name: str, value: object, least: int = 1) -> int:
    """`value` as an int of at least `least`; NumPy's integers are taken, floats and bools not."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ArgumentError(f"{owner}: {name} must be an integer, got {value!r}") from None
    if number < least:
        raise ArgumentError(f"{owner}: {name} must be at least {least}, got {number}")
    return number


def pair(owner: str, name: str, value: object) -> Pair:
    """A (vertical, horizontal) pair of positive integers; one integer stands for both."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ArgumentError(
                f"{owner}: {name} must be one integer or (vertical, horizontal), got {value!r}"
            )
        return integer(owner, name, value[0]), integer(owner, name, value[1])
    number = integer(owner, name, value)
    return number, number


def padding(owner: str, value: object) -> Padding:
    """ "valid", "same", or ((top, bottom), (left, right)); an integer pads all four sides."""
    if isinstance(value, str):
        if value.lower() in ("valid", "same"):
            return value.lower()
    elif isinstance(value, (tuple, list)):
        if len(value) == 2 and all(isinstance(v, (tuple, list)) and len(v) == 2 for v in value):
            (top, bottom), (left, right) = value
            sides = [integer(owner, "padding", v, 0) for v in (top, bottom, left, right)]
            return (sides[0], sides[1]), (sides[2], sides[3])
    else:
        p = integer(owner, "padding", value, 0)
        return (p, p), (p, p)
    raise ArgumentError(
        f'{owner}: padding must be "valid", "same", an integer or ((top, bottom), (left, right)), '
        f"got {value!r}"
    )


def sample_shape(owner: str, value: object) -> tuple[int, ...]:
    """A shape of one sample, of positive integers: (28, 28, 1)."""
    if isinstance(value, (int,)) and not isinstance(value, bool):
        value = (value,)
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise ShapeError(f"{owner}: a shape is a tuple of positive integers, got {value!r}")
    if value[0] is None:
        raise ShapeError(
            f"{owner}: shape {tuple(value)} has a batch axis: give the shape of one sample, "
            f"{tuple(value[1:])}"
        )
    if any(size is None for size in value):
        raise ShapeError(
            f"{owner}: shape {tuple(value)} leaves a size open: every size must be known"
        )
    return tuple(integer(owner, "a size in shape", size) for size in value)


def refuse_unknown(owner: str, unknown: Mapping[str, Any]) -> None:
    """Raises TypeError for the first of the arguments that no layer knows; Keras's None passes."""
    for name, value in unknown.items():
        if name in _KERAS_ONLY and value is None:
            continue
        hint = _KERAS_ONLY.get(name, "")
        what = "is not supported" if name in _KERAS_ONLY else "is not an argument of this layer"
        raise TypeError(f"{owner}: {name}={value!r} {what}" + (f": {hint}" if hint else ""))


def number(owner: str, name: str, value: object) -> float:
    """`value` as a float; it must be a finite number."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ArgumentError(f"{owner}: {name} must be a finite number, got {value!r}")
    return float(value)
