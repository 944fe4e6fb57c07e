"""Models as files: one safetensors file with the weights, and the rest as JSON in its metadata.

    format          "striate"
    format_version  "1"
    striate_version the version that wrote it
    weights         JSON list of the tensors' names ("conv2d/kernel"), in get_weights order
    architecture    JSON {"class": "Sequential" | "Functional", "config": the model's get_config}
                    (absent from save_weights' files)
    compile         JSON of loss, optimizer and metrics, where the model is compiled; for several
                    outputs lists of them, and loss_weights
    training        JSON {"seed": .., "epochs": ..}
    facts           JSON of Model.metadata, where there is any

A file names layers of a closed list; nothing in it is run. It is checked against itself before
memory is taken: the weights that the architecture asks for must be in the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from striate import _core, losses, optimizers, utils
from striate.errors import ArgumentError, FormatError, ShapeError, StriateError, warn_once
from striate.layers import Weight
from striate.models.serialization import deserialize_model, serialize

if TYPE_CHECKING:
    from striate.models.description import Step
    from striate.models.model import Model

FORMAT, VERSION = "striate", "1"
_MAX_VALUE = 2**31  # numbers in one layer's output for one sample

Path = str | os.PathLike[str]
Tensors = dict[str, NDArray[Any]]


def save(model: Model, filepath: Path, overwrite: bool = True) -> None:
    """See Model.save."""
    metadata = {"architecture": json.dumps(serialize(model))}
    if model.is_compiled:
        metadata["compile"] = json.dumps(_compile_config(model))
    metadata["training"] = json.dumps({"seed": model.seed, "epochs": model.epochs_trained})
    if model.metadata:
        metadata["facts"] = json.dumps(model.metadata)
    _write(model, filepath, overwrite, metadata)


def save_weights(model: Model, filepath: Path, overwrite: bool = True) -> None:
    """See Model.save_weights."""
    _write(model, filepath, overwrite, {})


def _write(model: Model, filepath: Path, overwrite: bool, metadata: dict[str, str]) -> None:
    path = os.fspath(filepath)
    if not overwrite and os.path.exists(path):
        raise ArgumentError(f"{model.name}: {path} exists, and overwrite is False")
    weights = model.weights
    names = [weight.path for weight in weights]
    tensors = {weight.path: weight.numpy() for weight in weights}
    _core.write_safetensors(
        path,
        {
            "format": FORMAT,
            "format_version": VERSION,
            "striate_version": _core.__version__,
            "weights": json.dumps(names),
            **metadata,
        },
        tensors,
    )


def _compile_config(model: Model) -> dict[str, Any]:
    optimizer = optimizers.serialize(model.optimizer)
    if optimizer is None:
        warn_once(f"{model.name}: the optimizer is not striate's own, so the file goes without it")
    compiled = model.compiled
    named = compiled.serializable_metrics()
    if sum(map(len, named)) < sum(map(len, compiled.given_metrics)):
        warn_once(f"{model.name}: only metrics given by name are saved")
    by_output = [None if loss is None else losses.serialize(loss) for loss in compiled.losses]
    config: dict[str, Any] = {"loss": by_output, "optimizer": optimizer, "metrics": named}
    if len(by_output) == 1:
        config |= {"loss": by_output[0], "metrics": named[0]}
    if compiled.loss_weights != [1.0] * len(by_output):
        config["loss_weights"] = compiled.loss_weights
    return config


def load_model(filepath: Path, compile: bool = True) -> Model:  # noqa: A002 (Keras's name)
    """The model that `Model.save` wrote: same layers, same weights, same outputs to the bit.

    Args:
        filepath: of the file.
        compile: whether to compile it as it was, if it was; the optimizer starts afresh.

    Raises:
        FormatError: a damaged file, or one that is no model of striate's.
        OSError: the file cannot be read.
    """
    path = os.fspath(filepath)
    metadata, tensors = _core.read_safetensors(path)
    _check_version(path, metadata)
    architecture = _json(path, metadata, "architecture")
    training = _json(path, metadata, "training") if "training" in metadata else {}
    try:
        with utils.seeds_kept():
            model = deserialize_model(architecture)
            model.seed = _whole(path, training, "seed")
            model.epochs_trained = _whole(path, training, "epochs")
            model.metadata = _json(path, metadata, "facts") if "facts" in metadata else {}
            _check_sizes(model.graph, model.steps, tensors)
            _assign(model, path, metadata, tensors)
            if compile and "compile" in metadata:
                _compile(model, _json(path, metadata, "compile"))
    except (StriateError, TypeError, ValueError, KeyError, OverflowError, RecursionError) as error:
        raise FormatError(f"{path}: {error}") from error
    return model


def _check_version(path: str, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise FormatError(f"{path}: is not a striate model, but a safetensors file of other origin")
    if metadata.get("format_version") != VERSION:
        raise FormatError(
            f"{path}: has format version {metadata.get('format_version')!r}, striate "
            f"{_core.__version__} reads {VERSION!r}: a newer striate may have written it"
        )


def _json(path: str, metadata: Mapping[str, str], key: str) -> dict[str, Any]:
    if key not in metadata:
        raise FormatError(
            f"{path}: has no {key}: it holds weights only, for load_weights"
            if key == "architecture"
            else f"{path}: has no {key}"
        )
    try:
        value = json.loads(metadata[key])
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: {key} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise FormatError(f"{path}: {key} is not a JSON object")
    return value


def _whole(path: str, training: Mapping[str, Any], key: str) -> int:
    value = training.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**64:
        raise FormatError(f"{path}: {key} is {value!r}")
    return value


def _check_sizes(graph: _core.Graph, steps: list[Step], tensors: Tensors) -> None:
    """Refuses an architecture whose weights are not in the file, before it takes memory."""
    layers = {step.name for step in steps}
    held: dict[str, int] = {}
    for name, tensor in tensors.items():
        layer = name.rpartition("/")[0]
        while layer and layer not in layers:
            layer = layer.rpartition("/")[0]
        held[layer] = held.get(layer, 0) + tensor.size
    for step in steps:
        needed = step.layer.stored_parameters(graph, step.x, step.values)
        if needed > held.get(step.name, 0):
            raise FormatError(
                f"{step.name}: needs {needed} weights, the file has {held.get(step.name, 0)}"
            )
        count = 1
        for size in step.output_shape:
            count *= size
        if count > _MAX_VALUE:
            raise FormatError(f"{step.name}: an output of {step.output_shape} is too large")


def _compile(model: Model, config: Mapping[str, Any]) -> None:
    named, loss = config.get("metrics", []), config.get("loss")
    several = len(model.outputs) > 1
    lists = named if several and isinstance(named, list) else [named]
    for given in lists:
        if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
            raise FormatError("compile: metrics is not a list of names")
    if config.get("optimizer") is None:
        return
    if several:
        if not isinstance(loss, list):
            raise FormatError("compile: loss is not a list with one for each output")
        loss = [None if one is None else losses.get(one) for one in loss]
    else:
        loss = losses.get(loss)
    weights = config.get("loss_weights")
    if weights is not None and not isinstance(weights, list):
        raise FormatError("compile: loss_weights is not a list")
    optimizer = optimizers.get(config["optimizer"])
    model.compile(optimizer, loss, named, loss_weights=weights)


def load_weights(model: Model, filepath: Path) -> None:
    """See Model.load_weights."""
    path = os.fspath(filepath)
    metadata, tensors = _core.read_safetensors(path)
    if "format" in metadata:
        if metadata["format"] == FORMAT:
            _check_version(path, metadata)
    _assign(model, path, metadata, tensors)


def _assign(model: Model, path: str, metadata: Mapping[str, str], tensors: Tensors) -> None:
    """Gives the tensors to the weights, all or none."""
    weights = model.weights
    names = [weight.path for weight in weights]
    if set(names) != set(tensors):
        order = _order(path, metadata, tensors)
        if len(order) != len(names):
            raise ShapeError(
                f"{path}: holds {len(order)} weights, {model.name} has {len(names)}"
                + _first_difference(weights, order, tensors)
            )
    else:
        order = names
    arrays = [tensors[name] for name in order]
    for name, array in zip(order, arrays, strict=True):
        if array.dtype != np.float32:
            raise FormatError(f"{path}: {name} is {array.dtype}, expected float32")
    try:
        model.set_weights(arrays)
    except ShapeError as error:
        raise ShapeError(f"{path}: {error}") from None


def _first_difference(weights: list[Weight], order: list[str], tensors: Tensors) -> str:
    for weight, name in zip_longest(weights, order):
        if weight is None:
            return f": it has nothing for {name} {tensors[name].shape}"
        if name is None:
            return f": there is nothing for {weight.path} {weight.shape}"
        if weight.shape != tensors[name].shape:
            return (
                f": they differ from {weight.path} {weight.shape} on, where the file has {name} "
                f"{tensors[name].shape}"
            )
    return ""


def _order(path: str, metadata: Mapping[str, str], tensors: Tensors) -> list[str]:
    """The tensors' names in the order in which they were saved, for models with other names."""
    try:
        order = json.loads(metadata.get("weights", ""))
    except (ValueError, RecursionError):
        order = None
    if not isinstance(order, list) or not all(isinstance(name, str) for name in order):
        raise ShapeError(
            f"{path}: the names of its tensors are not the model's, and it does not say their "
            f"order: {', '.join(sorted(tensors)[:8])}"
        )
    if sorted(order) != sorted(tensors):
        raise FormatError(f"{path}: its list of weights does not agree with its tensors")
    return order
