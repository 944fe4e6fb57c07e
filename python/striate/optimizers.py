"""Optimizers, under Keras's names, and LeNet-5's own.

An optimizer holds settings; its arithmetic and its state are the core's. Once a model is compiled
with it, `learning_rate` reads and sets the rate of the next step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from striate import _core, schedules
from striate.errors import ArgumentError, warn_once
from striate.schedules import LearningRateSchedule

__all__ = [
    "SDLM",
    "SGD",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "get",
    "schedules",
]

# Keras's arguments that have no counterpart: their default says nothing.
_KERAS_ONLY = {
    "amsgrad": False, "clipnorm": None, "clipvalue": None, "global_clipnorm": None,
    "use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": None,
    "loss_scale_factor": None, "gradient_accumulation_steps": None,
}  # fmt: skip


class Optimizer:
    """Settings of an update rule.

    Args:
        learning_rate: a number, or a schedule of the step.
    """

    kind: ClassVar[str]
    """The core's name."""

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        *,
        name: str | None = None,
        lr: float | None = None,
        **unknown: Any,
    ) -> None:
        owner = type(self).__name__
        for argument, value in unknown.items():
            if argument not in _KERAS_ONLY:
                raise TypeError(f"{owner}: {argument} is not an argument of this optimizer")
            if value != _KERAS_ONLY[argument]:
                raise TypeError(f"{owner}: {argument}={value!r} is not supported")
        if lr is not None:
            warn_once("an optimizer's lr= is Keras 2's name: say learning_rate=")
            learning_rate = lr
        self.name = name or self.kind
        self._network: _core.Network | None = None
        self._schedule: LearningRateSchedule | None = None
        self._rate = 0.0
        self._set(learning_rate)

    def _set(self, value: float | LearningRateSchedule) -> None:
        if isinstance(value, LearningRateSchedule):
            self._schedule = value
            return
        self._rate = _number(type(self).__name__, "learning_rate", value, 0.0, math.inf)
        self._schedule = None

    @property
    def schedule(self) -> LearningRateSchedule | None:
        """The schedule, until a number is assigned to `learning_rate`."""
        return self._schedule

    @property
    def learning_rate(self) -> float:
        """The rate of the next step. Assigning a number sets it, and ends a schedule."""
        if self._schedule is not None and self._python_schedule:
            return float(self._schedule(self.iterations))
        if self._network is not None:
            return float(self._network.learning_rate)
        if isinstance(self._schedule, schedules.OneCycle):
            return self._schedule.initial_learning_rate
        return self._rate if self._schedule is None else float(self._schedule(0))

    @learning_rate.setter
    def learning_rate(self, value: float | LearningRateSchedule) -> None:
        if isinstance(value, LearningRateSchedule) and self._network is not None:
            raise ArgumentError(
                f"{type(self).__name__}: a schedule is set before compile: compile again, with "
                f"{type(self).__name__}(learning_rate={type(value).__name__}(...))"
            )
        self._set(value)
        if self._network is not None:
            self._network.learning_rate = self._rate

    @property
    def iterations(self) -> int:
        """Steps taken."""
        return 0 if self._network is None else int(self._network.iterations)

    @property
    def _python_schedule(self) -> bool:
        """Whether the schedule is one that the core cannot run."""
        if self._schedule is None or isinstance(self._schedule, schedules.OneCycle):
            return False
        return self._schedule.as_core() is None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left for `fit` to fill in: the steps of a OneCycle."""
        return not (isinstance(self._schedule, schedules.OneCycle) and self._schedule.steps is None)

    def fill_in_steps(self, steps: int) -> None:
        """Gives a OneCycle that lacks them its steps."""
        if not self.is_complete:
            assert self._schedule is not None
            config = self._schedule.get_config() | {"steps": steps}
            self._schedule = schedules.OneCycle(**config)

    def python_schedule(self) -> LearningRateSchedule | None:
        """The schedule, if each step's rate must be set from Python."""
        return self._schedule if self._python_schedule else None

    def options(self) -> dict[str, float | bool]:
        """The core's options, except for the learning rate."""
        return {}

    def as_core(self) -> tuple[str, dict[str, float | bool], schedules.CoreSchedule | None]:
        """(kind, options, schedule), as the core's compile takes them."""
        core_schedule = None if self._schedule is None else self._schedule.as_core()
        rate = self._rate
        if self._python_schedule:
            assert self._schedule is not None
            rate = float(self._schedule(0))
        elif core_schedule is not None:
            rate = _core.schedule_value(core_schedule[0], core_schedule[1], 0)
        return self.kind, {"learning_rate": rate, **self.options()}, core_schedule

    def attach(self, network: _core.Network | None) -> None:
        """Called by the model that compiles with this optimizer."""
        self._network = network

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, as JSON-able values; a foreign schedule by its rate now."""
        schedule = None if self._schedule is None else schedules.serialize(self._schedule)
        rate: Any = self.learning_rate if schedule is None else schedule
        return {"learning_rate": rate, **self._settings()}

    def _settings(self) -> dict[str, Any]:
        return dict(self.options())

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Optimizer:
        """The optimizer that `get_config` described."""
        settings = dict(config)
        if isinstance(settings.get("learning_rate"), Mapping):
            settings["learning_rate"] = schedules.get(settings["learning_rate"])
        return cls(**settings)

    def __repr__(self) -> str:
        options = "".join(f", {name}={value}" for name, value in self.options().items())
        return f"{type(self).__name__}(learning_rate={self._schedule or self._rate}{options})"


def _number(owner: str, name: str, value: object, low: float, high: float) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ArgumentError(f"{owner}: {name} must be a number, got {value!r}") from None
    if not (low <= number <= high and math.isfinite(number)):
        limits = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise ArgumentError(f"{owner}: {name} must be {limits}, got {value!r}")
    return number


class SGD(Optimizer):
    """w -= learning_rate * gradient, with momentum, Nesterov's or plain, and weight decay."""

    kind = "sgd"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum = _number("SGD", "momentum", momentum, 0.0, 1.0)
        self.nesterov = bool(nesterov)
        self.weight_decay = _number("SGD", "weight_decay", weight_decay or 0.0, 0.0, math.inf)

    def options(self) -> dict[str, float | bool]:
        return {
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "weight_decay": self.weight_decay,
        }


class Adam(Optimizer):
    """Kingma and Ba, 2015; with weight_decay it is AdamW, as in Keras."""

    kind = "adam"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        owner = type(self).__name__
        self.beta_1 = _number(owner, "beta_1", beta_1, 0.0, 1.0)
        self.beta_2 = _number(owner, "beta_2", beta_2, 0.0, 1.0)
        self.epsilon = _number(owner, "epsilon", epsilon, 0.0, math.inf)
        self.weight_decay = _number(owner, "weight_decay", weight_decay or 0.0, 0.0, math.inf)

    def options(self) -> dict[str, float | bool]:
        moments = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return moments | ({"weight_decay": self.weight_decay} if self.weight_decay else {})

    def as_core(self) -> tuple[str, dict[str, float | bool], schedules.CoreSchedule | None]:
        kind, options, schedule = super().as_core()
        return ("adamw" if self.weight_decay else kind), options, schedule

    def _settings(self) -> dict[str, Any]:
        return {**self.options(), "weight_decay": self.weight_decay}


class AdamW(Adam):
    """Adam with weight decay of its own, w -= learning_rate * weight_decay * w (Loshchilov)."""

    kind = "adamw"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, weight_decay, **kwargs)


class RMSprop(Optimizer):
    """The gradient over the root of its running mean square (Hinton, 2012)."""

    kind = "rmsprop"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho = _number("RMSprop", "rho", rho, 0.0, 1.0)
        self.momentum = _number("RMSprop", "momentum", momentum, 0.0, 1.0)
        self.epsilon = _number("RMSprop", "epsilon", epsilon, 0.0, math.inf)
        self.centered = bool(centered)
        self.weight_decay = _number("RMSprop", "weight_decay", weight_decay or 0.0, 0.0, math.inf)

    def options(self) -> dict[str, float | bool]:
        return {
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
            "weight_decay": self.weight_decay,
        }


class SDLM(Optimizer):
    """Stochastic diagonal Levenberg-Marquardt: LeNet-5's (LeCun et al., 1998, appendix C).

    Each parameter has its own rate, learning_rate / (mu + curvature); `fit` estimates the
    curvature before every epoch.

    Args:
        mu: keeps the rate finite where the curvature vanishes.
        samples: how many random samples the estimate takes.
    """

    kind = "sdlm"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.0005,
        mu: float = 0.02,
        samples: int = 500,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.mu = _number("SDLM", "mu", mu, 0.0, math.inf)
        if self.mu == 0:
            raise ArgumentError("SDLM: mu must be positive")
        if not isinstance(samples, int) or samples < 1:
            raise ArgumentError(f"SDLM: samples must be a positive integer, got {samples!r}")
        self.samples = samples

    def options(self) -> dict[str, float | bool]:
        return {"mu": self.mu}

    def _settings(self) -> dict[str, Any]:
        return {"mu": self.mu, "samples": self.samples}


_CLASSES: dict[str, type[Optimizer]] = {
    cls.__name__: cls for cls in (SGD, Adam, AdamW, RMSprop, SDLM)
}


def serialize(optimizer: Optimizer) -> dict[str, Any] | None:
    """{"class": .., "config": ..}, or None for a class that is not striate's own."""
    name = type(optimizer).__name__
    if _CLASSES.get(name) is not type(optimizer):
        return None
    return {"class": name, "config": optimizer.get_config()}


def get(identifier: object) -> Optimizer:
    """An optimizer from an object, a class, a name ("adam", "Adam") or a config.

    Raises:
        ArgumentError: no such optimizer.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()  # type: ignore[call-arg]
    if isinstance(identifier, str):
        for name, cls in _CLASSES.items():
            if identifier.lower() == name.lower():
                return cls()  # type: ignore[call-arg]
    if isinstance(identifier, Mapping) and identifier.get("class") in _CLASSES:
        return _CLASSES[identifier["class"]].from_config(identifier.get("config", {}))
    raise ArgumentError(f"no optimizer {identifier!r}; there are {', '.join(_CLASSES)}")
