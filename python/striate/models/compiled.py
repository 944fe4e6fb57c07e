"""What `compile` makes of a loss, an optimizer and metrics: the bookkeeping of an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate import losses, metrics, optimizers
from striate.errors import ArgumentError
from striate.losses import Loss
from striate.metrics import Metric, Resolved
from striate.optimizers import Optimizer


class Compiled:
    """A loss, an optimizer and metrics, checked."""

    def __init__(self, optimizer: object, loss: object, metric_list: object) -> None:
        if loss is None:
            raise ArgumentError("compile: a loss is needed, such as loss='mse'")
        self.loss: Loss = losses.get(loss)
        self.optimizer: Optimizer = optimizers.get(optimizer)
        self.given_metrics = _flat(metric_list)
        self._resolved: list[Resolved] | None = None
        self.answers = 1
        """How many answers the core counts as right or wrong in a sample."""
        self.resolve((1,))  # refuses unknown names now; a built model resolves for its own output

    def resolve(self, output_shape: tuple[int, ...]) -> None:
        """Settles what "accuracy" means, once the output's shape is known."""
        found = [metrics.resolve(m, self.loss, output_shape) for m in self.given_metrics]
        names = ["loss", *(resolved.name for resolved in found)]
        for name in names:
            if names.count(name) > 1:
                raise ArgumentError(f"compile: two metrics are named {name!r}: give one a name=")
        self._resolved = found
        # A loss of classes counts right answers at every position of the output.
        self.answers = math.prod(output_shape[:-1]) if self.loss.has_classes else 1

    @property
    def metrics(self) -> list[Resolved]:
        """The metrics in order."""
        assert self._resolved is not None
        return self._resolved

    @property
    def computed(self) -> list[Metric]:
        """Those metrics that need labels and outputs as arrays."""
        return [resolved.metric for resolved in self.metrics if resolved.metric is not None]

    @property
    def names(self) -> list[str]:
        """ "loss", then the metrics."""
        return ["loss", *(resolved.name for resolved in self.metrics)]

    def serializable_metrics(self) -> list[str]:
        """The metrics that a model file can name."""
        return [metric for metric in self.given_metrics if isinstance(metric, str)]


def _flat(metric_list: object) -> list[Any]:
    if metric_list is None:
        return []
    if isinstance(metric_list, Mapping):
        raise ArgumentError("compile: metrics of named outputs need a model with named outputs")
    if isinstance(metric_list, (str, Metric)) or not isinstance(metric_list, Iterable):
        return [metric_list]
    flat: list[Any] = []
    for metric in metric_list:
        flat.extend(metric if isinstance(metric, (list, tuple)) else [metric])
    return flat


class Totals:
    """Sums over the batches of an epoch or an evaluation."""

    __slots__ = ("_answers", "_metrics", "computed", "loss", "right", "samples")

    def __init__(self, compiled: Compiled) -> None:
        self._metrics = compiled.metrics
        self._answers = compiled.answers
        self.computed = compiled.computed
        self.loss = 0.0  # sum over samples
        self.right = 0
        self.samples = 0
        for metric in self.computed:
            metric.reset_state()

    def add(self, loss: float, right: int, samples: int) -> None:
        """Takes in a batch's mean loss and its count of right answers."""
        self.loss += loss * samples
        self.right += right
        self.samples += samples

    def update_metrics(self, y: NDArray[Any], outputs: NDArray[np.float32]) -> None:
        """Takes in a batch for the metrics that are computed from arrays."""
        for metric in self.computed:
            metric.update_state(y, outputs)

    def logs(self) -> dict[str, float]:
        """{"loss": .., "accuracy": ..} so far."""
        samples = self.samples or 1
        logs = {"loss": self.loss / samples}
        for name, metric in self._metrics:
            answers = samples * self._answers
            logs[name] = self.right / answers if metric is None else float(metric.result())
        return logs
