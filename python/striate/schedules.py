"""Learning-rate schedules: the rate as a function of the optimizer's step.

The built-in ones run in the core. A subclass of LearningRateSchedule with its own `__call__` works
too: `fit` then sets the rate before every step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from striate import _core
from striate.errors import ArgumentError

__all__ = [
    "Constant",
    "CosineDecay",
    "ExponentialDecay",
    "LearningRateSchedule",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PiecewiseLinear",
    "StepDecay",
    "get",
    "lenet5_1998",
]

CoreSchedule = tuple[str, dict[str, Any]]


def _rate(owner: str, name: str, value: float) -> float:
    if not isinstance(value, Real) or not math.isfinite(value) or value < 0:
        raise ArgumentError(f"{owner}: {name} must be a number of at least 0, got {value!r}")
    return float(value)


def _steps(owner: str, name: str, value: float, least: int = 1) -> int:
    if isinstance(value, bool) or int(value) != value or value < least:
        raise ArgumentError(f"{owner}: {name} must be an integer of at least {least}, got {value}")
    return int(value)


class LearningRateSchedule:
    """The learning rate at each step; a subclass says it in `__call__`."""

    def __call__(self, step: int) -> float:
        """The rate of the step that follows `step` earlier ones."""
        core = self.as_core()
        if core is None:
            raise NotImplementedError(f"{type(self).__name__} needs __call__(step)")
        return _core.schedule_value(core[0], core[1], int(step))

    def as_core(self) -> CoreSchedule | None:
        """(kind, options) where the core can run the schedule itself, else None."""
        return None

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, as JSON-able values."""
        raise NotImplementedError(f"{type(self).__name__} has no get_config")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LearningRateSchedule:
        """The schedule that `get_config` described."""
        return cls(**config)


class Constant(LearningRateSchedule):
    """Always `value`."""

    def __init__(self, value: float) -> None:
        self.value = _rate("Constant", "value", value)

    def as_core(self) -> CoreSchedule:
        return "constant", {"value": self.value}

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class StepDecay(LearningRateSchedule):
    """initial * factor ** (step // every): PyTorch's StepLR, by steps."""

    def __init__(self, initial_learning_rate: float, factor: float = 0.1, *, every: int) -> None:
        self.initial_learning_rate = _rate(
            "StepDecay", "initial_learning_rate", initial_learning_rate
        )
        self.factor = _rate("StepDecay", "factor", factor)
        self.every = _steps("StepDecay", "every", every)

    def as_core(self) -> CoreSchedule:
        return "step", {
            "initial": self.initial_learning_rate,
            "factor": self.factor,
            "every": self.every,
        }

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "factor": self.factor,
            "every": self.every,
        }


class ExponentialDecay(LearningRateSchedule):
    """initial * decay_rate ** (step / decay_steps); the quotient whole with staircase."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = _rate(name, "initial_learning_rate", initial_learning_rate)
        self.decay_steps = _steps(name, "decay_steps", decay_steps)
        self.decay_rate = _rate(name, "decay_rate", decay_rate)
        self.staircase = bool(staircase)

    def as_core(self) -> CoreSchedule:
        return "exponential", {
            "initial": self.initial_learning_rate,
            "rate": self.decay_rate,
            "every": self.decay_steps,
            "staircase": self.staircase,
        }

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
        }


class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate to alpha times it, over decay_steps.

    With `warmup_target`, the rate first goes in a line from initial_learning_rate to the target,
    over warmup_steps, and decays from there over decay_steps.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = _rate(name, "initial_learning_rate", initial_learning_rate)
        self.decay_steps = _steps(name, "decay_steps", decay_steps)
        self.alpha = _rate(name, "alpha", alpha)
        self.warmup_target = (
            None if warmup_target is None else _rate(name, "warmup_target", warmup_target)
        )
        self.warmup_steps = _steps(name, "warmup_steps", warmup_steps, 0)

    def as_core(self) -> CoreSchedule:
        initial, warmup = self.initial_learning_rate, 0
        if self.warmup_target is not None:
            warmup = self.warmup_steps
            initial = initial if warmup else self.warmup_target
        return "cosine", {
            "initial": initial,
            "steps": self.decay_steps,
            "final_fraction": self.alpha,
            "warmup_steps": warmup,
            "warmup_target": initial if self.warmup_target is None else self.warmup_target,
        }

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


class OneCycle(LearningRateSchedule):
    """Up and down once, by cosines: PyTorch's OneCycleLR (Smith and Topin, 2018).

    From maximum / div_factor up to the maximum over the first `pct_start` of the steps, then down
    to maximum / (div_factor * final_div_factor), where it stays.

    Args:
        steps: of the whole cycle; None lets the first `fit` fill in its epochs * steps an epoch.
    """

    def __init__(
        self,
        max_learning_rate: float,
        steps: int | None = None,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        self.max_learning_rate = _rate("OneCycle", "max_learning_rate", max_learning_rate)
        self.steps = None if steps is None else _steps("OneCycle", "steps", steps)
        if not 0 <= pct_start <= 1:
            raise ArgumentError(f"OneCycle: pct_start must lie from 0 to 1, got {pct_start!r}")
        self.pct_start = float(pct_start)
        for name, value in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
            if not 0 < value < math.inf:
                raise ArgumentError(f"OneCycle: {name} must be positive, got {value!r}")
        self.div_factor = float(div_factor)
        self.final_div_factor = float(final_div_factor)

    @property
    def initial_learning_rate(self) -> float:
        """The rate of the first step."""
        return self.max_learning_rate / self.div_factor

    def as_core(self) -> CoreSchedule:
        if self.steps is None:
            raise ArgumentError(
                "OneCycle: steps is not known: fit fills it in; outside fit, give steps="
            )
        return "one_cycle", {
            "maximum": self.max_learning_rate,
            "steps": self.steps,
            "pct_start": self.pct_start,
            "div_factor": self.div_factor,
            "final_div_factor": self.final_div_factor,
        }

    def get_config(self) -> dict[str, Any]:
        return {
            "max_learning_rate": self.max_learning_rate,
            "steps": self.steps,
            "pct_start": self.pct_start,
            "div_factor": self.div_factor,
            "final_div_factor": self.final_div_factor,
        }


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[i] for steps above boundaries[i - 1] up to and including boundaries[i]."""

    def __init__(
        self,
        boundaries: Sequence[int],
        values: Sequence[float],
        name: str = "PiecewiseConstantDecay",
    ) -> None:
        self.boundaries = [_steps(name, "a boundary", step, 0) for step in boundaries]
        self.values = [_rate(name, "a value", value) for value in values]
        if len(self.values) != len(self.boundaries) + 1:
            raise ArgumentError(
                f"{name}: {len(self.boundaries)} boundaries need {len(self.boundaries) + 1} "
                f"values, got {len(self.values)}"
            )
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ArgumentError(f"{name}: boundaries must increase, got {self.boundaries}")

    def as_core(self) -> CoreSchedule:
        return "piecewise", {"boundaries": self.boundaries, "values": self.values}

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": list(self.boundaries), "values": list(self.values)}


class PiecewiseLinear(LearningRateSchedule):
    """values[i] at step boundaries[i], on straight lines between; constant before and after.

    PiecewiseLinear([0, 23, 100], [0.2, 1.0, 0.0]) is a triangle.
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[float]) -> None:
        name = "PiecewiseLinear"
        self.boundaries = [_steps(name, "a boundary", step, 0) for step in boundaries]
        self.values = [_rate(name, "a value", value) for value in values]
        if len(self.values) != len(self.boundaries) or not self.values:
            raise ArgumentError(
                f"{name}: as many values as boundaries are needed, at least one, got "
                f"{len(self.values)} and {len(self.boundaries)}"
            )
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ArgumentError(f"{name}: boundaries must increase, got {self.boundaries}")

    def as_core(self) -> CoreSchedule:
        return "linear", {"boundaries": self.boundaries, "values": self.values}

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": list(self.boundaries), "values": list(self.values)}


def lenet5_1998(steps_per_epoch: int) -> PiecewiseConstantDecay:
    """LeNet-5's rates, by passes through the data (LeCun et al., 1998, section III-B).

    0.0005 for two passes, 0.0002 for three, 0.0001 for three, 0.00005 for four, then 0.00001.
    """
    steps = _steps("lenet5_1998", "steps_per_epoch", steps_per_epoch)
    last_steps = [passes * steps - 1 for passes in (2, 5, 8, 12)]
    return PiecewiseConstantDecay(last_steps, [0.0005, 0.0002, 0.0001, 0.00005, 0.00001])


_CLASSES: dict[str, type[LearningRateSchedule]] = {
    cls.__name__: cls
    for cls in (
        Constant,
        StepDecay,
        ExponentialDecay,
        CosineDecay,
        OneCycle,
        PiecewiseConstantDecay,
        PiecewiseLinear,
    )
}


def serialize(schedule: LearningRateSchedule) -> dict[str, Any] | None:
    """{"class": .., "config": ..}, or None for a class that is not striate's own."""
    name = type(schedule).__name__
    if _CLASSES.get(name) is not type(schedule):
        return None
    return {"class": name, "config": schedule.get_config()}


def get(identifier: object) -> LearningRateSchedule:
    """A schedule from an object or from what `serialize` made of it."""
    if isinstance(identifier, LearningRateSchedule):
        return identifier
    if isinstance(identifier, Mapping) and identifier.get("class") in _CLASSES:
        return _CLASSES[identifier["class"]].from_config(identifier.get("config", {}))
    raise ArgumentError(f"no schedule {identifier!r}; there are {', '.join(_CLASSES)}")
