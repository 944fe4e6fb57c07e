"""What every optimizer has: a learning rate, and what happens around its rule.

An optimizer holds settings; its arithmetic and its state are the core's. Once a model is compiled
with it, `learning_rate` reads and sets the rate of the next step.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from striate import _core, schedules
from striate.errors import ArgumentError, warn_once
from striate.schedules import LearningRateSchedule

if TYPE_CHECKING:
    from striate.layers.weight import Weight


class Optimizer:
    """Settings of an update rule, and of what happens around every rule.

    Each step takes the gradient of the loss and its regularizers, averages it over
    gradient_accumulation_steps batches, clips it, decays the weights, and moves them by the rule.

    Args:
        learning_rate: a number, or a schedule of the batch.
        weight_decay: decoupled from the rule (Loshchilov and Hutter, 2019): before each step
            w -= learning_rate * weight_decay * w. See exclude_from_weight_decay.
            A weight's own rate (set_learning_rate_multipliers) does not enter here.
        clipnorm: each weight's gradient is scaled down to at most this L2 norm.
        clipvalue: each entry of a gradient is clipped to [-clipvalue, clipvalue].
        global_clipnorm: all gradients are scaled down together, to at most this L2 norm. At most
            one of the three may be given.
        use_ema: keeps an exponential moving average of the weights. `fit` ends by putting it in the
            weights' place; callbacks.SwapEMAWeights evaluates with it meanwhile.
        ema_momentum: of the average, 0 to 1: average = m * average + (1 - m) * w after each step; a
            number, or a schedule of the batch.
        ema_overwrite_frequency: after every so many steps the weights become their average.
        gradient_accumulation_steps: at least 2: one step for so many batches, by the mean of their
            gradients. A schedule's clock, and Keras's, counts batches; `iterations` counts steps.

    Raises:
        ArgumentError: a value out of its domain, or two ways of clipping.
    """

    kind: ClassVar[str]
    """The core's name."""

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float | LearningRateSchedule = 0.99,
        ema_overwrite_frequency: int | None = None,
        gradient_accumulation_steps: int | None = None,
        loss_scale_factor: float | None = None,
        name: str | None = None,
        lr: float | None = None,
        **unknown: Any,
    ) -> None:
        owner = type(self).__name__
        if unknown:
            raise TypeError(f"{owner}: {next(iter(unknown))} is not an argument of this optimizer")
        if loss_scale_factor is not None:
            raise TypeError(f"{owner}: loss_scale_factor={loss_scale_factor!r} is not supported")
        if lr is not None:
            warn_once("an optimizer's lr= is Keras 2's name: say learning_rate=")
            learning_rate = lr
        self.name = name or self.kind
        self.weight_decay = number(owner, "weight_decay", weight_decay or 0.0, 0.0, math.inf)
        self.clipnorm = clip_limit(owner, "clipnorm", clipnorm)
        self.clipvalue = clip_limit(owner, "clipvalue", clipvalue)
        self.global_clipnorm = clip_limit(owner, "global_clipnorm", global_clipnorm)
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = [f"{name}={value}" for name, value in clips.items() if value is not None]
        if len(given) > 1:
            raise ArgumentError(f"{owner}: gradients are clipped one way, got {', '.join(given)}")
        self.use_ema = bool(use_ema)
        self.ema_momentum = _ema_momentum(owner, ema_momentum)
        self.ema_overwrite_frequency = count(
            owner, "ema_overwrite_frequency", ema_overwrite_frequency, 1
        )
        self.gradient_accumulation_steps = count(
            owner, "gradient_accumulation_steps", gradient_accumulation_steps, 2
        )
        self._excluded_paths: list[str] = []
        self._excluded_names: list[str] = []
        self._multipliers: dict[str, float] = {}
        self._network: _core.Network | None = None
        self._schedule: LearningRateSchedule | None = None
        self._rate = 0.0
        self._set(learning_rate)

    def _set(self, value: float | LearningRateSchedule) -> None:
        if isinstance(value, LearningRateSchedule):
            self._schedule = value
            return
        self._rate = number(type(self).__name__, "learning_rate", value, 0.0, math.inf)
        self._schedule = None

    @property
    def schedule(self) -> LearningRateSchedule | None:
        """The schedule, until a number is assigned to `learning_rate`."""
        return self._schedule

    @property
    def learning_rate(self) -> float:
        """The rate of the next step. Assigning a number sets it, and ends a schedule."""
        if self._schedule is not None and self._python_schedule:
            return float(self._schedule(0 if self._network is None else self._network.iterations))
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
        """Steps taken; with gradient accumulation, the batches over its steps."""
        batches = 0 if self._network is None else int(self._network.iterations)
        return batches // (self.gradient_accumulation_steps or 1)

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

    def exclude_from_weight_decay(
        self, var_list: Iterable[Weight] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Keeps weight decay from some weights; replaces what an earlier call said.

        Args:
            var_list: weights, such as some of model.weights.
            var_names: regular expressions; a weight is excluded whose name has one of them in it:
                ["bias", "gamma", "beta"] leaves the kernels.
        """
        self._exclude([weight.path for weight in var_list or ()], list(var_names or ()))

    def _exclude(self, paths: list[str], names: list[str]) -> None:
        for name in names:
            check_pattern("exclude_from_weight_decay", name)
        self._excluded_paths, self._excluded_names = paths, names
        self._say_what_decays()

    def _say_what_decays(self) -> None:
        if self._network is None:
            return
        for index, info in enumerate(self._network.parameters()):
            name = info["name"].rsplit("/", 1)[-1]
            excluded = info["name"] in self._excluded_paths or any(
                re.search(pattern, name) for pattern in self._excluded_names
            )
            self._network.set_weight_decay(index, not excluded)

    def set_learning_rate_multipliers(self, multipliers: Mapping[str, float]) -> None:
        """Gives some weights a learning rate of their own; replaces what an earlier call said.

        Args:
            multipliers: by regular expression, the factor that the optimizer's learning rate is
                multiplied by for a weight whose path has the expression in it; of several the first
                counts. {"/beta$": 64.0} is for every batch normalisation's beta, {"^predictions/":
                10.0} for one layer. Zero: the weight moves by weight decay alone.

        Raises:
            ArgumentError: no regular expression, or a factor that is not finite or below 0.
        """
        owner = "set_learning_rate_multipliers"
        checked = {}
        for pattern, factor in multipliers.items():
            check_pattern(owner, pattern)
            checked[pattern] = number(owner, f"the multiplier of {pattern!r}", factor, 0, math.inf)
        self._multipliers = checked
        self._say_what_multiplies()

    def _say_what_multiplies(self) -> None:
        if self._network is None:
            return
        for index, info in enumerate(self._network.parameters()):
            found = (f for p, f in self._multipliers.items() if re.search(p, info["name"]))
            self._network.set_learning_rate_multiplier(index, next(found, 1.0))

    def finalize_variable_values(self, var_list: object = None) -> None:
        """With use_ema, puts the weights' averages in their place; `fit` ends with this.

        Args:
            var_list: Keras's; the model's trainable weights are meant in any case.
        """
        if self.use_ema and self._network is not None:
            self._network.overwrite_with_average()

    def use_average(self, on: bool) -> None:
        """With use_ema: puts the weights' averages in their place, and back, for evaluation.

        The next training step goes on from the weights themselves in any case.
        """
        if self._network is not None:
            self._network.use_average(on)

    def options(self) -> dict[str, float | bool]:
        """The rule's options in the core."""
        return {}

    def _common_options(self) -> dict[str, Any]:
        return {
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm or 0.0,
            "clipvalue": self.clipvalue or 0.0,
            "global_clipnorm": self.global_clipnorm or 0.0,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency or 0,
            "gradient_accumulation_steps": self.gradient_accumulation_steps or 1,
        }

    def as_core(self) -> tuple[str, dict[str, Any], schedules.CoreSchedule | None]:
        """(kind, options, schedule), as the core's compile takes them."""
        core_schedule = None if self._schedule is None else self._schedule.as_core()
        rate = self._rate
        if self._python_schedule:
            assert self._schedule is not None
            rate = float(self._schedule(0))
        elif core_schedule is not None:
            rate = _core.schedule_value(core_schedule[0], core_schedule[1], 0)
        options = {"learning_rate": rate, **self._common_options(), **self.options()}
        if isinstance(self.ema_momentum, LearningRateSchedule):
            options["ema_momentum"] = self.ema_momentum.as_core()
        return self.kind, options, core_schedule

    def attach(self, network: _core.Network | None) -> None:
        """Called by the model that compiles with this optimizer."""
        self._network = network
        self._say_what_decays()
        self._say_what_multiplies()
        for index, info in enumerate([] if network is None else network.parameters()):
            assert network is not None
            network.set_orthogonal(index, self._moves_as_matrix(info))

    def _moves_as_matrix(self, info: Mapping[str, Any]) -> bool:
        """Whether Muon's rule is for the parameter, as the core describes it."""
        return False

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, as JSON-able values; a foreign schedule by its rate now."""
        schedule = None if self._schedule is None else schedules.serialize(self._schedule)
        rate: Any = self.learning_rate if schedule is None else schedule
        config = {"learning_rate": rate, **self._settings()}
        config |= {name: getattr(self, name) for name in self._common_options()}
        if isinstance(self.ema_momentum, LearningRateSchedule):
            config["ema_momentum"] = schedules.serialize(self.ema_momentum)
        if self._excluded_paths or self._excluded_names:
            config["exclude_from_weight_decay"] = [self._excluded_paths, self._excluded_names]
        if self._multipliers:
            config["learning_rate_multipliers"] = dict(self._multipliers)
        return config

    def _settings(self) -> dict[str, Any]:
        return dict(self.options())

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Optimizer:
        """The optimizer that `get_config` described."""
        settings = dict(config)
        for name in ("learning_rate", "ema_momentum"):
            if isinstance(settings.get(name), Mapping):
                settings[name] = schedules.get(settings[name])
        multipliers = settings.pop("learning_rate_multipliers", {})
        paths, names = settings.pop("exclude_from_weight_decay", ((), ()))
        optimizer = cls(**settings)
        optimizer._exclude(list(paths), list(names))
        optimizer.set_learning_rate_multipliers(multipliers)
        return optimizer

    def __repr__(self) -> str:
        common = {name: getattr(self, name) for name in self._common_options()}
        if not self.use_ema:
            del common["ema_momentum"]
        given = self.options() | {name: value for name, value in common.items() if value}
        options = "".join(f", {name}={value}" for name, value in given.items())
        return f"{type(self).__name__}(learning_rate={self._schedule or self._rate}{options})"


def check_pattern(owner: str, pattern: str) -> None:
    """Raises ArgumentError unless `pattern` is a regular expression."""
    try:
        re.compile(pattern)
    except (TypeError, re.error) as error:
        raise ArgumentError(f"{owner}: {pattern!r} is not a regular expression: {error}") from None


def _ema_momentum(owner: str, value: float | LearningRateSchedule) -> float | LearningRateSchedule:
    if not isinstance(value, LearningRateSchedule):
        return number(owner, "ema_momentum", value, 0.0, 1.0)
    if schedules.serialize(value) is None or value.as_core() is None:
        raise ArgumentError(
            f"{owner}: ema_momentum is a number or one of striate's own schedules, got "
            f"{type(value).__name__}"
        )
    return value


def number(owner: str, name: str, value: object, low: float, high: float) -> float:
    """`value` as a finite float from `low` to `high`.

    Raises:
        ArgumentError: it is not.
    """
    try:
        real = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ArgumentError(f"{owner}: {name} must be a number, got {value!r}") from None
    if not (low <= real <= high and math.isfinite(real)):
        limits = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise ArgumentError(f"{owner}: {name} must be {limits}, got {value!r}")
    return real


def clip_limit(owner: str, name: str, value: float | None) -> float | None:
    """`value` as a positive float, or None."""
    if value is None:
        return None
    limit = number(owner, name, value, 0.0, math.inf)
    if limit == 0:
        raise ArgumentError(f"{owner}: {name} must be positive, got {value!r}")
    return limit


def count(owner: str, name: str, value: int | None, least: int) -> int | None:
    """`value` as an int of at least `least`, or None."""
    if value is None:
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        whole = operator.index(value)
    except TypeError:
        whole = least - 1
    if whole < least:
        raise ArgumentError(
            f"{owner}: {name} must be an integer of at least {least}, got {value!r}"
        )
    return whole
