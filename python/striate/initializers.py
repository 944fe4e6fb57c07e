"""How weights start: Keras's initializers, and LeCun's of 1998.

An initializer only describes. The values are drawn by the core from a counter-based generator keyed
by the model's seed and the parameter, so they are the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar

from striate.errors import ArgumentError, warn_once
from striate.registry import find

__all__ = [
    "Constant",
    "Dirac",
    "FanInUniform",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
]


class Initializer:
    """A distribution that weights are drawn from."""

    kind: ClassVar[str]
    """The core's name of it."""

    def options(self) -> dict[str, float]:
        """The distribution's parameters, by name."""
        return {}

    def as_core(self) -> tuple[str, dict[str, Any]]:
        """(kind, options), as the core's graph takes an initializer."""
        return self.kind, self.options()

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, as JSON-able values."""
        return dict(self.options())

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Initializer:
        """The initializer that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value:g}" for name, value in self.options().items())
        return f"{type(self).__name__}({options})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((type(self).__name__, tuple(sorted(self.get_config().items()))))


def _finite(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not isinstance(value, Real) or not math.isfinite(value):
            raise ArgumentError(f"{owner}: {name} must be a finite number, got {value!r}")


class _Random(Initializer):
    """An initializer with Keras's `seed` argument."""

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None:
            warn_once(
                "an initializer's seed= has no effect: striate keys every draw by the model's seed "
                "and the parameter; call utils.set_random_seed instead"
            )


class Zeros(Initializer):
    """All zero."""

    kind = "zeros"


class Ones(Initializer):
    """All one."""

    kind = "ones"


class Constant(Initializer):
    """All `value`."""

    kind = "constant"

    def __init__(self, value: float = 0.0) -> None:
        _finite("Constant", value=value)
        self.value = float(value)

    def options(self) -> dict[str, float]:
        return {"value": self.value}


class RandomUniform(_Random):
    """Uniform over [minval, maxval)."""

    kind = "uniform"

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        _finite("RandomUniform", minval=minval, maxval=maxval)
        if minval > maxval:
            raise ArgumentError(f"RandomUniform: minval {minval} is above maxval {maxval}")
        self.minval = float(minval)
        self.maxval = float(maxval)

    def options(self) -> dict[str, float]:
        return {"low": self.minval, "high": self.maxval}

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval}


class RandomNormal(_Random):
    """Normal with this mean and standard deviation."""

    kind = "normal"

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        _finite(type(self).__name__, mean=mean, stddev=stddev)
        if stddev < 0:
            raise ArgumentError(f"{type(self).__name__}: stddev must not be negative, got {stddev}")
        self.mean = float(mean)
        self.stddev = float(stddev)

    def options(self) -> dict[str, float]:
        return {"mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomNormal):
    """Normal, redrawn beyond two standard deviations."""

    kind = "truncated_normal"


class GlorotUniform(_Random):
    """Uniform over +-sqrt(6 / (fan_in + fan_out)): Glorot and Bengio, 2010."""

    kind = "glorot_uniform"


class GlorotNormal(_Random):
    """Truncated normal of variance 2 / (fan_in + fan_out)."""

    kind = "glorot_normal"


class HeUniform(_Random):
    """Uniform over +-sqrt(6 / fan_in): He et al., 2015."""

    kind = "he_uniform"


class HeNormal(_Random):
    """Truncated normal of variance 2 / fan_in."""

    kind = "he_normal"


class LecunUniform(_Random):
    """Uniform over +-sqrt(3 / fan_in)."""

    kind = "lecun_uniform"


class LecunNormal(_Random):
    """Truncated normal of variance 1 / fan_in."""

    kind = "lecun_normal"


class FanInUniform(Initializer):
    """Uniform over +-limit / fan_in: LeCun et al., 1998, with limit 2.4."""

    kind = "fan_in_uniform"

    def __init__(self, limit: float = 2.4) -> None:
        _finite("FanInUniform", limit=limit)
        if limit < 0:
            raise ArgumentError(f"FanInUniform: limit must not be negative, got {limit}")
        self.limit = float(limit)

    def options(self) -> dict[str, float]:
        return {"limit": self.limit}


class VarianceScaling(_Random):
    """Variance `scale` / fan, where fan is what `mode` says: in, out, or the mean of both.

    Args:
        scale: positive.
        mode: "fan_in", "fan_out" or "fan_avg".
        distribution: "truncated_normal", "untruncated_normal" (PyTorch's kaiming_normal_ has those)
            or "uniform".
    """

    kind = "variance_scaling"

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        _finite("VarianceScaling", scale=scale)
        if scale <= 0:
            raise ArgumentError(f"VarianceScaling: scale must be positive, got {scale}")
        for name, value, known in (
            ("mode", mode, ("fan_in", "fan_out", "fan_avg")),
            ("distribution", distribution, ("truncated_normal", "untruncated_normal", "uniform")),
        ):
            if value not in known:
                raise ArgumentError(
                    f"VarianceScaling: {name} is one of {', '.join(known)}, got {value!r}"
                )
        self.scale = float(scale)
        self.mode = mode
        self.distribution = distribution

    def as_core(self) -> tuple[str, dict[str, Any]]:
        return self.kind, {
            "scale": self.scale,
            "mode": self.mode,
            "normal": self.distribution != "uniform",
            "truncated": self.distribution == "truncated_normal",
        }

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution}


class Dirac(VarianceScaling):
    """Kernels that pass their inputs on: output c, of the first so many as there are inputs, is
    input c, by a one at the kernel's centre among zeros (PyTorch's dirac_).

    Outputs beyond the inputs are drawn with variance `scale` / fan, as by VarianceScaling; the
    defaults are those that PyTorch draws convolutions with.
    """

    kind = "dirac"

    def __init__(
        self,
        scale: float = 1 / 3,
        mode: str = "fan_in",
        distribution: str = "uniform",
        seed: int | None = None,
    ) -> None:
        super().__init__(scale, mode, distribution, seed)


class Orthogonal(_Random):
    """Orthonormal columns, times gain; rows, where there are fewer (Saxe et al., 2014).

    All axes but the last count as rows: a kernel (KH, KW, C, filters) is a matrix of KH KW C rows.
    From the QR factorization of a normal matrix, which takes long for very large weights: the first
    Dense of a VGG-16, 25088 x 4096, minutes.
    """

    kind = "orthogonal"

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        _finite("Orthogonal", gain=gain)
        self.gain = float(gain)

    def options(self) -> dict[str, float]:
        return {"gain": self.gain}


OrthogonalInitializer = Orthogonal  # Keras's other name

_CLASSES: dict[str, type[Initializer]] = {
    cls.__name__: cls
    for cls in (
        Zeros, Ones, Constant, RandomUniform, RandomNormal, TruncatedNormal, GlorotUniform,
        GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, FanInUniform, VarianceScaling,
        Dirac, Orthogonal,
    )
}  # fmt: skip
_NAMES: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "zero": Zeros,
    "ones": Ones,
    "one": Ones,
    "constant": Constant,
    "random_uniform": RandomUniform,
    "uniform": RandomUniform,
    "random_normal": RandomNormal,
    "normal": RandomNormal,
    "truncated_normal": TruncatedNormal,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "fan_in_uniform": FanInUniform,
    "variance_scaling": VarianceScaling,
    "dirac": Dirac,
    "orthogonal": Orthogonal,
}


def serialize(initializer: Initializer) -> dict[str, Any]:
    """{"class": .., "config": ..}, as model files keep it."""
    return {"class": type(initializer).__name__, "config": initializer.get_config()}


def get(identifier: object) -> Initializer:
    """An initializer from an object, a class, a name ("he_normal", "HeNormal") or a config.

    Raises:
        ArgumentError: no such initializer.
    """
    return find(identifier, Initializer, _CLASSES, _NAMES, "initializer")
