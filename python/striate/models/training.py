"""`fit`: epochs of batches.

Arrays are converted once; then each batch is one call into the core, which gathers the batch's
rows itself. Between two calls there is nothing but the sums, and the hooks of those callbacks that
have batch hooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from striate import _core
from striate.callbacks.callback import CallbackList
from striate.errors import ArgumentError, warn_once
from striate.models.batch_source import BatchSource
from striate.models.compiled import Totals
from striate.models.data_adapter import Arrays, class_weighted
from striate.models.evaluation import evaluate_data, room_for_outputs
from striate.optimizers import SDLM

if TYPE_CHECKING:
    from striate.models.trainer import Trainer

# Sets the curvature's samples apart from the epoch's order: both are shuffles by (seed, epoch).
_CURVATURE_STREAM = 0x5D1A_9F3B_C2E8_4701


@dataclass
class Run:
    """One call of `fit`, its arguments checked and its data converted."""

    model: Trainer
    data: Arrays | BatchSource
    callbacks: CallbackList
    batch_size: int
    steps: int | None
    total_steps: int | None
    shuffle: bool
    class_weight: Mapping[int, float] | None = None
    validation: Arrays | BatchSource | None = None
    validation_batch_size: int = 32
    validation_freq: int = 1

    def epochs(self, last: int) -> None:
        """Trains the model's initial_epoch to last - 1, with the callbacks' hooks around them."""
        model = self.model
        self.callbacks.call("on_train_begin", {})
        logs: dict[str, float] = {}
        for epoch in range(model.initial_epoch, last):
            if model.stop_training:  # before the run was resumed
                break
            self.callbacks.call("on_epoch_begin", epoch, {})
            model.samples_seen = 0
            totals = (
                self._array_epoch(self.data)
                if isinstance(self.data, Arrays)
                else self._source_epoch(self.data)
            )
            model.epochs_trained += 1
            if totals is None:
                break
            logs = totals.logs()
            if self.validation is not None and (epoch + 1) % self.validation_freq == 0:
                logs |= self._validate(self.validation)
            self.callbacks.call("on_epoch_end", epoch, logs)
            if model.stop_training:
                break
        model.network_to_update()
        model.optimizer.finalize_variable_values()
        self.callbacks.call("on_train_end", logs)

    def _validate(self, data: Arrays | BatchSource) -> dict[str, float]:
        logs = evaluate_data(self.model, data, self.validation_batch_size, self.callbacks)
        return {f"val_{name}": value for name, value in logs.items()}

    def _array_epoch(self, data: Arrays) -> Totals:
        model, (x, y, weights) = self.model, data
        network, samples, size = model.network, data.samples, self.batch_size
        epoch = model.epochs_trained
        if isinstance(model.optimizer, SDLM):
            rows = _core.shuffled(samples, model.seed ^ _CURVATURE_STREAM, epoch)
            network.estimate_curvature(x, rows[: model.optimizer.samples], y)
        order = (
            _core.shuffled(samples, model.seed, epoch)
            if self.shuffle
            else np.arange(samples, dtype=np.int64)
        )
        begin = self.callbacks.hooks("on_train_batch_begin")
        end = self.callbacks.hooks("on_train_batch_end")
        totals = Totals(model.compiled)
        outputs = room_for_outputs(model, totals, size)
        train, add, begin_update = network.train_batch, totals.add, model.materialize().begin_update
        optimizer, rate = model.optimizer, model.optimizer.python_schedule()
        for step, start in enumerate(range(0, samples, size)):
            if step == self.steps:
                break
            rows = order[start : start + size]
            count = len(rows)
            for hook in begin:
                hook(step, {})
            if rate is not None and optimizer.schedule is rate:
                network.learning_rate = float(rate(network.iterations))
            begin_update()
            if outputs is None:
                add(train(x, rows, y, weights), count)
            else:
                made = [array[:count] for array in outputs]
                add(train(x, rows, y, weights, made), count)
                totals.update_metrics([None if one is None else one[rows] for one in y], made)
            if end:
                model.samples_seen = totals.samples
                logs = totals.logs()
                for hook in end:
                    hook(step, logs)
                if model.stop_training:
                    break
        model.samples_seen = totals.samples
        return totals

    def _source_epoch(self, source: BatchSource) -> Totals | None:
        """None if there was no batch."""
        model = self.model
        totals: Totals | None = None  # the first batch may have to build the model
        begin = self.callbacks.hooks("on_train_batch_begin")
        end = self.callbacks.hooks("on_train_batch_end")
        source.call("on_epoch_begin")
        step = -1
        for step, item in enumerate(source.batches(model.seed, model.epochs_trained)):
            batch = convert(model, *item, where=f"batch {step}")
            batch = class_weighted(self.class_weight, batch, model.name)
            model.prepare_training(self.total_steps)
            totals = totals or Totals(model.compiled)
            if isinstance(model.optimizer, SDLM) and step == 0:
                model.network.estimate_curvature(batch.x, None, batch.y)
            for hook in begin:
                hook(step, {})
            train_one(model, batch, totals)
            model.samples_seen = totals.samples
            if end:
                logs = totals.logs()
                for hook in end:
                    hook(step, logs)
                if model.stop_training:
                    break
        source.call("on_epoch_end")
        if totals is None or (self.steps is not None and step + 1 < self.steps):
            if not model.stop_training:
                warn_once(
                    f"{model.name}: the data ran out within epoch {model.epochs_trained + 1}: give "
                    "a generator that goes on, or fewer steps"
                )
        return totals


def train_one(model: Trainer, batch: Arrays, totals: Totals) -> None:
    """One optimizer step on all the samples of `batch`."""
    network = model.network_to_update()
    rate = model.optimizer.python_schedule()
    if rate is not None:
        network.learning_rate = float(rate(network.iterations))
    outputs = room_for_outputs(model, totals, batch.samples)
    result = network.train_batch(batch.x, None, batch.y, batch.weights, outputs)
    if outputs is not None:
        totals.update_metrics(batch.y, outputs)
    totals.add(result, batch.samples)


def convert(model: Trainer, x: Any, y: Any, weights: Any, where: str = "") -> Arrays:
    """A batch or a whole data set as the core takes it; builds the model if it is not built.

    Raises:
        ShapeError, ArgumentError: as input_array, prepare_labels and weight_array.
    """
    try:
        return model.convert(x, y, weights)
    except (ArgumentError, ValueError) as error:
        if where and error.args and isinstance(error.args[0], str):
            error.args = (f"{where}: {error.args[0]}", *error.args[1:])
        raise
