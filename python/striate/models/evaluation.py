"""`evaluate` and `predict`: the network run forwards over data."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from striate.callbacks.callback import CallbackList
from striate.callbacks.progress_bar import describe
from striate.errors import ArgumentError, ShapeError
from striate.models.batch_source import BatchSource, is_batch_source
from striate.models.compiled import Totals
from striate.models.data_adapter import Arrays

if TYPE_CHECKING:
    from striate.models.trainer import Trainer

# Batch sizes do not change results, so evaluation takes larger ones than training does.
EVALUATION_BATCH = 256


def evaluate_data(
    model: Trainer,
    data: Arrays | BatchSource,
    batch_size: int,
    callbacks: CallbackList,
    steps: int | None = None,
) -> dict[str, float]:
    """The loss and the metrics over `data`: {"loss": .., "accuracy": ..}."""
    callbacks.call("on_test_begin", {})
    totals: Totals | None = None  # the first batch may have to build the model
    begin = callbacks.hooks("on_test_batch_begin")
    end = callbacks.hooks("on_test_batch_end")
    batches = (
        _slices(data, batch_size, steps) if isinstance(data, Arrays) else _converted(model, data)
    )
    for step, batch in enumerate(batches):
        for hook in begin:
            hook(step, {})
        totals = totals or Totals(model.compiled)
        test_one(model, batch, totals)
        if end:
            logs = totals.logs()
            for hook in end:
                hook(step, logs)
    if totals is None:
        raise ArgumentError(
            f"{model.name}: no batch to evaluate: a generator can be read only once; give a "
            "PyDataset, or one that goes on with the number of steps"
        )
    logs = totals.logs()
    callbacks.call("on_test_end", logs)
    return logs


def _converted(model: Trainer, source: BatchSource) -> Any:
    for item in source.batches(model.seed, 0):
        batch = model.convert(*item)
        model.prepare_training(None)  # the first batch may have built the model
        yield batch


def _slices(data: Arrays, size: int, steps: int | None) -> Any:
    for step, start in enumerate(range(0, data.samples, size)):
        if step == steps:
            return
        yield data.rows(slice(start, start + size))


def test_one(model: Trainer, batch: Arrays, totals: Totals) -> None:
    """Adds one batch's loss and metrics to `totals`."""
    outputs = room_for_outputs(model, totals, batch.samples)
    result = model.network.test_batch(batch.x, None, batch.y, batch.weights, outputs)
    if outputs is not None:
        totals.update_metrics(batch.y, outputs)
    totals.add(result, batch.samples)


def room_for_outputs(
    model: Trainer, totals: Totals, samples: int
) -> list[NDArray[np.float32]] | None:
    """Room for a batch's outputs, where a metric wants to see them."""
    if not totals.computed:
        return None
    return [np.empty((samples, *shape), np.float32) for shape in model.output_sample_shapes]


def evaluate(
    model: Trainer,
    x: Any,
    y: Any,
    batch_size: int | None,
    verbose: int | str,
    sample_weight: Any,
    steps: int | None,
    callbacks: Any,
) -> dict[str, float]:
    """`Model.evaluate`, always as a dict."""
    if batch_size is not None:
        check_count(model.name, "batch_size", batch_size)
    hooks = CallbackList(callbacks, model=model, params={"steps": steps})
    began = time.perf_counter()
    data: Arrays | BatchSource
    if is_batch_source(x):
        if y is not None:
            raise ArgumentError(
                f"{model.name}: y goes with arrays; a source of batches has its own"
            )
        data = BatchSource(x, steps, owner=model.name)
    else:
        data = model.convert(x, y, sample_weight)
        model.prepare_training(None)
    logs = evaluate_data(model, data, batch_size or EVALUATION_BATCH, hooks, steps)
    if verbose:
        print(f"{time.perf_counter() - began:.1f} s - {describe(logs, ' - ')}", flush=True)
    return logs


def predict(
    model: Trainer, x: Any, batch_size: int | None, steps: int | None, callbacks: Any
) -> Any:
    """`Model.predict` for whatever is not one float32 array, contiguous, of the right shape."""
    if batch_size is not None:
        check_count(model.name, "batch_size", batch_size)
    hooks = CallbackList(callbacks, model=model, params={"steps": steps})
    begin = hooks.hooks("on_predict_batch_begin")
    end = hooks.hooks("on_predict_batch_end")
    hooks.call("on_predict_begin", {})
    outputs: list[list[NDArray[np.float32]]] = []
    for step, batch in enumerate(_inputs(model, x, batch_size, steps)):
        for hook in begin:
            hook(step, {})
        outputs.append(model.network.predict(batch))
        for hook in end:
            hook(step, {})
    hooks.call("on_predict_end", {})
    if not outputs:
        raise ShapeError(f"{model.name}: x is empty: there is nothing to predict")
    if len(outputs) == 1:
        return model.pack_outputs(outputs[0])
    return model.pack_outputs([np.concatenate(parts) for parts in zip(*outputs, strict=True)])


def _inputs(model: Trainer, x: Any, batch_size: int | None, steps: int | None) -> Any:
    if is_batch_source(x):
        for item in BatchSource(x, steps, owner=model.name).batches(model.seed, 0):
            yield model.convert_inputs(item[0])
        return
    arrays = model.convert_inputs(x)
    samples = len(arrays[0])
    size = batch_size or samples
    for step, start in enumerate(range(0, samples, size)):
        if step == steps:
            return
        yield [array[start : start + size] for array in arrays]


def check_count(owner: str, name: str, value: object) -> int:
    """`value` as a positive int.

    Raises:
        ArgumentError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ArgumentError(f"{owner}: {name} must be a positive integer, got {value!r}")
    return int(value)
