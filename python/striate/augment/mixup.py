"""Mixup."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.augment.transform import Draw, Floats, Images, Transform
from striate.errors import ArgumentError, ShapeError
from striate.utils import to_categorical


@dataclass(frozen=True)
class MixUp(Transform):
    """Mixes each sample, and its label, with another one of its batch (Zhang et al., "mixup: beyond
    empirical risk minimization", 2018).

    The batch's samples are put into a random circle, and each is mixed with the next one, with a
    share of its own. So what becomes of a sample depends on which others are in its batch, but not
    on their order. Labels come out one-hot, float32 [N, classes]: the loss is
    "categorical_crossentropy".

    Args:
        alpha: shares are drawn from Beta(alpha, alpha): 0.2 mixes little, 1 evenly.
        num_classes: needed where labels are class numbers.
    """

    alpha: float = 0.2
    num_classes: int | None = None

    whole_batch = True

    def __post_init__(self) -> None:
        if not 0 < self.alpha < math.inf:
            raise ArgumentError(f"MixUp: alpha is above 0, got {self.alpha!r}")
        if self.num_classes is not None and self.num_classes < 1:
            raise ArgumentError(f"MixUp: num_classes is at least 1, got {self.num_classes!r}")

    def images(self, x: Images, draw: Draw) -> Images:
        """See Transform."""
        return self.batch(x, None, draw)[0]

    def batch(self, x: Images, y: Any, draw: Draw) -> tuple[Images, Any]:
        """See Transform."""
        u = draw.uniforms(2)
        circle = np.lexsort((draw.samples, u[:, 0]))
        partner = np.empty_like(circle)
        partner[circle] = np.roll(circle, -1)
        share = beta_quantile(self.alpha, u[:, 1])
        mixed = _mix(x.astype(np.float32), partner, share)
        return mixed, None if y is None else _mix(self._one_hot(y), partner, share)

    def _one_hot(self, y: Any) -> Floats:
        labels = np.asarray(y)
        if labels.ndim == 2 and labels.dtype.kind == "f":
            return labels.astype(np.float32)
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise ShapeError(
                f"MixUp: labels are class numbers (N,) or float (N, classes), got {labels.dtype} "
                f"of shape {labels.shape}"
            )
        if self.num_classes is None:
            raise ArgumentError("MixUp: labels that are class numbers need num_classes=")
        return to_categorical(labels, self.num_classes)


def _mix(x: Floats, partner: NDArray[np.intp], share: Floats) -> Floats:
    """share * x + (1 - share) * x[partner], share by row."""
    share = share.reshape(-1, *([1] * (x.ndim - 1)))
    mixed: Floats = x * share + x[partner] * (1 - share)
    return mixed


def beta_quantile(alpha: float, u: Floats) -> Floats:
    """The quantiles of Beta(alpha, alpha) at u: one uniform number makes one share."""
    levels, roots = _lower_half(float(alpha))
    lower = u < 0.5
    v = np.interp(np.where(lower, u, 1 - u), levels, roots)
    x = v ** (1 / alpha)
    return np.where(lower, x, 1 - x).astype(np.float32)


@lru_cache(maxsize=8)
def _lower_half(alpha: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The distribution function of Beta(alpha, alpha) up to 1/2, at values of v = x ** alpha.

    In v the density (1 - x) ** (alpha - 1) / alpha is finite at 0, however small alpha is.
    """
    v = np.linspace(0.0, 0.5**alpha, 4097)
    density = (1 - v ** (1 / alpha)) ** (alpha - 1)
    area = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return area * (0.5 / area[-1]), v
