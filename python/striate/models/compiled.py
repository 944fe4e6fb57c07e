"""What `compile` makes of losses, an optimizer and metrics: the bookkeeping of an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate import losses, metrics, optimizers
from striate.errors import ArgumentError
from striate.losses import Loss
from striate.metrics import Metric, Resolved
from striate.models.structure import Structure
from striate.optimizers import Optimizer


class Compiled:
    """An optimizer, and a loss, its weight and metrics for each output, checked.

    Args:
        optimizer: an Optimizer or a name.
        loss: one for all outputs, or a list or dict with one for each; None for an output without.
        metric_list: of a single output; for several outputs a list or dict of lists.
        loss_weights: a number, or a list or dict of them.
        outputs: the model's.
    """

    def __init__(
        self,
        optimizer: object,
        loss: object,
        metric_list: object,
        loss_weights: object,
        outputs: Structure,
    ) -> None:
        self.outputs = outputs
        self.losses = _losses(loss, outputs)
        self.loss_weights = _loss_weights(loss_weights, self.losses, outputs)
        self.optimizer: Optimizer = optimizers.get(optimizer)
        # Callbacks may set another rate, or end the schedule.
        self.given_rate = self.optimizer.schedule or self.optimizer.learning_rate
        self.given_metrics = _metrics(metric_list, outputs)
        for given, of_output, name in zip(
            self.given_metrics, self.losses, outputs.names, strict=True
        ):
            if given and of_output is None:
                raise ArgumentError(
                    f"compile: output {name!r} has metrics but no loss, so it gets no labels"
                )
        self._resolved: list[tuple[int, Resolved]] | None = None
        self.answers = [1] * len(outputs)
        """By output, how many answers the core counts as right or wrong in a sample."""
        # Refuses unknown names now; a built model resolves for its own outputs.
        self.resolve([(1,)] * len(outputs))

    def resolve(self, output_shapes: Sequence[tuple[int, ...]]) -> None:
        """Settles what "accuracy" means, once the outputs' shapes are known."""
        found = []
        for output, (given, shape) in enumerate(
            zip(self.given_metrics, output_shapes, strict=True)
        ):
            loss = self.losses[output]
            for metric in given:
                assert loss is not None
                name, computed = metrics.resolve(metric, loss, shape)
                found.append((output, Resolved(self._prefixed(output, name), computed)))
        names = [*self.loss_names, *(resolved.name for _, resolved in found)]
        for name in names:
            if names.count(name) > 1:
                raise ArgumentError(f"compile: two metrics are named {name!r}: give one a name=")
        self._resolved = found
        # A loss of classes counts right answers at every position of the output.
        self.answers = [
            math.prod(shape[:-1]) if loss is not None and loss.has_classes else 1
            for loss, shape in zip(self.losses, output_shapes, strict=True)
        ]

    def _prefixed(self, output: int, name: str) -> str:
        return name if len(self.outputs) == 1 else f"{self.outputs.names[output]}_{name}"

    @property
    def loss_names(self) -> list[str]:
        """ "loss"; then one of each output's, where several outputs have one."""
        outputs = self.reported
        return ["loss", *(f"{self.outputs.names[output]}_loss" for output in outputs)]

    @property
    def reported(self) -> list[int]:
        """The outputs whose losses are reported one by one: all with a loss, if several have."""
        having = [output for output, loss in enumerate(self.losses) if loss is not None]
        return having if len(having) > 1 else []

    @property
    def metrics(self) -> list[tuple[int, Resolved]]:
        """(output, metric) in order."""
        assert self._resolved is not None
        return self._resolved

    @property
    def names(self) -> list[str]:
        """ "loss", the outputs' losses, then the metrics."""
        return [*self.loss_names, *(resolved.name for _, resolved in self.metrics)]

    def core_losses(self) -> list[tuple[str, dict[str, float | bool], float] | None]:
        """By output, (kind, options, weight), as the core's compile takes them."""
        return [
            None if loss is None else (loss.kind, loss.options(), weight)
            for loss, weight in zip(self.losses, self.loss_weights, strict=True)
        ]

    def serializable_metrics(self) -> list[list[str]]:
        """By output, the metrics that a model file can name."""
        return [[m for m in given if isinstance(m, str)] for given in self.given_metrics]


def _losses(loss: object, outputs: Structure) -> list[Loss | None]:
    given: list[object]
    if isinstance(loss, Mapping) and "class" not in loss:
        given = outputs.by_name(loss, "loss of output", "compile")
    elif isinstance(loss, (list, tuple)):
        single = len(outputs) == 1 and len(loss) == 1
        given = list(loss) if single else outputs.listed(loss, "output", "compile: loss")
    else:
        given = [loss] * len(outputs)
    found = [None if one is None else losses.get(one) for one in given]
    if not any(found):
        raise ArgumentError("compile: a loss is needed, such as loss='mse'")
    return found


def _loss_weights(
    loss_weights: object, of_outputs: Sequence[Loss | None], outputs: Structure
) -> list[float]:
    given: list[Any]
    if loss_weights is None:
        given = [1.0] * len(outputs)
    elif isinstance(loss_weights, Mapping):
        given = outputs.by_name(loss_weights, "loss weight of output", "compile", outputs.names)
    elif isinstance(loss_weights, (list, tuple)):
        single = len(outputs) == 1 and len(loss_weights) == 1
        given = (
            list(loss_weights)
            if single
            else outputs.listed(loss_weights, "output", "compile: loss_weights")
        )
    else:
        given = [loss_weights] * len(outputs)
    weights = []
    for value, loss, name in zip(given, of_outputs, outputs.names, strict=True):
        if value is not None and loss is None and isinstance(loss_weights, Mapping):
            raise ArgumentError(f"compile: output {name!r} has a loss weight but no loss")
        try:
            weight = 1.0 if value is None else float(value)
        except (TypeError, ValueError):
            weight = np.nan
        if not 0 <= weight < np.inf:
            raise ArgumentError(
                f"compile: a loss weight is a number of at least 0, got {value!r} for {name!r}"
            )
        weights.append(weight)
    return weights


def _metrics(metric_list: object, outputs: Structure) -> list[list[Any]]:
    if metric_list is None:
        return [[] for _ in outputs.names]
    if isinstance(metric_list, Mapping):
        given = outputs.by_name(metric_list, "metrics of output", "compile", outputs.names)
        return [_flat(one) for one in given]
    if len(outputs) == 1:
        return [_flat(metric_list)]
    if not isinstance(metric_list, (list, tuple)) or len(metric_list) != len(outputs):
        raise ArgumentError(
            f"compile: metrics of {len(outputs)} outputs ({', '.join(outputs.names)}) are a list "
            f"with an entry for each, or a dict by name, got {metric_list!r}"
        )
    return [_flat(one) for one in metric_list]


def _flat(metric_list: object) -> list[Any]:
    if metric_list is None:
        return []
    if isinstance(metric_list, (str, Metric)) or not isinstance(metric_list, Iterable):
        return [metric_list]
    flat: list[Any] = []
    for metric in metric_list:
        flat.extend(metric if isinstance(metric, (list, tuple)) else [metric])
    return flat


class Totals:
    """Sums over the batches of an epoch or an evaluation."""

    __slots__ = (
        "_answers", "_metrics", "_names", "_reported", "computed", "loss", "losses", "right",
        "samples",
    )  # fmt: skip

    def __init__(self, compiled: Compiled) -> None:
        self._metrics = compiled.metrics
        self._answers = compiled.answers
        self._names = compiled.loss_names
        self._reported = compiled.reported
        # (output, metric) of those metrics that need labels and outputs as arrays
        self.computed: list[tuple[int, Metric]] = [
            (output, resolved.metric)
            for output, resolved in compiled.metrics
            if resolved.metric is not None
        ]
        self.loss = 0.0  # sums over samples
        self.losses = [0.0] * len(compiled.outputs)
        self.right = [0] * len(compiled.outputs)
        self.samples = 0
        for _, metric in self.computed:
            metric.reset_state()

    def add(self, result: tuple[float, Sequence[float], Sequence[int]], samples: int) -> None:
        """Takes in a batch's mean loss, each output's, and their counts of right answers."""
        loss, by_output, right = result
        self.loss += loss * samples
        self.samples += samples
        for output in self._reported:
            self.losses[output] += by_output[output] * samples
        for output, count in enumerate(right):
            self.right[output] += count

    def update_metrics(self, y: Sequence[Any], outputs: Sequence[NDArray[np.float32]]) -> None:
        """Takes in a batch for the metrics that are computed from arrays."""
        for output, metric in self.computed:
            metric.update_state(y[output], outputs[output])

    def logs(self) -> dict[str, float]:
        """{"loss": .., "accuracy": ..} so far."""
        samples = self.samples or 1
        sums = [self.loss, *(self.losses[output] for output in self._reported)]
        logs = {name: total / samples for name, total in zip(self._names, sums, strict=True)}
        for output, (name, metric) in self._metrics:
            answers = samples * self._answers[output]
            logs[name] = self.right[output] / answers if metric is None else float(metric.result())
        return logs
