"""The arguments of `fit`, checked and made into a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from striate.callbacks import BackupAndRestore, Callback, CallbackList, History, ProgressBar
from striate.errors import ArgumentError
from striate.models.batch_source import BatchSource, is_batch_source, unpack
from striate.models.data_adapter import Arrays, class_weighted, split
from striate.models.evaluation import EVALUATION_BATCH, check_count
from striate.models.training import Run

if TYPE_CHECKING:
    from striate.models.trainer import Trainer


class Validation(NamedTuple):
    """The arguments of `fit` that are about validation."""

    data: Any
    split: float
    steps: int | None
    batch_size: int | None
    freq: int


def fit(
    model: Trainer,
    x: Any,
    y: Any,
    batch_size: int | None,
    epochs: int,
    verbose: int | str,
    callbacks: Callback | Iterable[Callback] | None,
    validation: Validation,
    shuffle: bool,
    class_weight: Mapping[int, float] | None,
    sample_weight: Any,
    initial_epoch: int,
    steps_per_epoch: int | None,
) -> History:
    """`Model.fit`."""
    size = 32 if batch_size is None else check_count(model.name, "batch_size", batch_size)
    _check_counts(model, epochs, initial_epoch, steps_per_epoch, validation, verbose)
    data: Arrays | BatchSource
    held_out = _validation_source(model, validation)
    if is_batch_source(x):
        data = _source(model, x, y, sample_weight, shuffle, steps_per_epoch, validation)
        steps = data.steps
    else:
        data = model.convert(x, y, sample_weight)
        if validation.split:
            if held_out is None:
                data, held_out = split(data, validation.split, model.name)
            else:
                raise ArgumentError(f"{model.name}: give validation_split or validation_data")
        data = class_weighted(class_weight, data, model.name)
        steps = _array_steps(model, data.samples, size, steps_per_epoch)
    if not isinstance(held_out, (Arrays, BatchSource)):
        held_out = None if held_out is None else model.convert(*held_out)
    total = None if steps is None else steps * (epochs - initial_epoch)
    if isinstance(data, Arrays) or model.built:
        model.prepare_training(total)
    history = History()
    params = {
        "epochs": epochs,
        "steps": steps,
        "samples": data.samples if isinstance(data, Arrays) else None,
        "batch_size": size,
        "verbose": verbose,
    }
    listed = _all(callbacks, verbose, history)
    for callback in listed:
        if isinstance(callback, BackupAndRestore):
            callback.settings = _settings(data, size, steps, bool(shuffle), class_weight)
    hooks = CallbackList(listed, model=model, params=params)
    run = Run(
        model, data, hooks, size, steps, total, bool(shuffle), class_weight, held_out,
        validation.batch_size or EVALUATION_BATCH, validation.freq,
    )  # fmt: skip
    model.stop_training = False
    model.initial_epoch = initial_epoch
    model.history = history
    try:
        run.epochs(epochs)
    finally:
        hooks.close()
    return history


def _all(
    callbacks: Callback | Iterable[Callback] | None, verbose: int | str, history: History
) -> list[Callback]:
    """The caller's callbacks, then what shows progress, then the history of what they logged.

    Last comes what keeps the state of the others.
    """
    given = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
    backups = [callback for callback in given if isinstance(callback, BackupAndRestore)]
    others = [callback for callback in given if callback not in backups]
    others += [ProgressBar(verbose)] if verbose else []
    others.append(history)
    for backup in backups:
        backup.others = others
    return [*others, *backups]


def _settings(
    data: Arrays | BatchSource,
    batch_size: int,
    steps: int | None,
    shuffle: bool,
    class_weight: Mapping[int, float] | None,
) -> dict[str, Any]:
    """What a resumed `fit` must be called with again, but for the model; JSON-able."""
    settings: dict[str, Any] = {}
    if isinstance(data, Arrays):
        settings |= {"batch_size": batch_size, "shuffle": shuffle}
    settings |= {"data": data.identity(), "steps": steps}
    if class_weight is not None and not isinstance(data, Arrays):  # which hold them as weights
        settings["class_weight"] = {str(label): float(w) for label, w in class_weight.items()}
    return settings


def _check_counts(
    model: Trainer,
    epochs: int,
    initial_epoch: int,
    steps_per_epoch: int | None,
    validation: Validation,
    verbose: int | str,
) -> None:
    check_count(model.name, "epochs", epochs)
    check_count(model.name, "initial_epoch + 1", initial_epoch + 1)
    for name, value in (
        ("steps_per_epoch", steps_per_epoch),
        ("validation_steps", validation.steps),
        ("validation_batch_size", validation.batch_size),
        ("validation_freq", validation.freq),
    ):
        if value is not None:
            check_count(model.name, name, value)
    if verbose not in ("auto", 0, 1, 2):
        raise ArgumentError(f'{model.name}: verbose is "auto", 0, 1 or 2, got {verbose!r}')


def _array_steps(model: Trainer, samples: int, size: int, given: int | None) -> int:
    available = -(-samples // size)
    if given is not None and given > available:
        raise ArgumentError(
            f"{model.name}: steps_per_epoch={given}, but {samples} samples make only {available} "
            f"batches of {size}"
        )
    return available if given is None else given


def _source(
    model: Trainer,
    x: Any,
    y: Any,
    sample_weight: Any,
    shuffle: bool,
    steps: int | None,
    validation: Validation,
) -> BatchSource:
    model.compiled  # noqa: B018 (raises if there is none, before the first batch is drawn)
    if y is not None or sample_weight is not None:
        raise ArgumentError(
            f"{model.name}: y and sample_weight go with arrays; each batch of a source has its own"
        )
    if validation.split:
        raise ArgumentError(
            f"{model.name}: validation_split needs arrays; give validation_data instead"
        )
    return BatchSource(x, steps, bool(shuffle), model.name)


def _validation_source(
    model: Trainer, validation: Validation
) -> BatchSource | tuple[Any, Any, Any] | None:
    if validation.data is None:
        return None
    if is_batch_source(validation.data):
        return BatchSource(validation.data, validation.steps, owner=model.name)
    x, y, weights = unpack(validation.data, f"{model.name}: validation_data")
    if y is None:
        raise ArgumentError(
            f"{model.name}: validation_data is (x, y), (x, y, sample_weight) or batches"
        )
    return x, y, weights
