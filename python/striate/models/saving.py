"""Models as files: one safetensors file with the weights, and the rest as JSON in its metadata.

    format          "striate"
    format_version  "1"
    striate_version the version that wrote it
    weights         JSON list of the tensors' names ("conv2d/kernel"), in get_weights order
    architecture    JSON of Sequential.get_config (absent from save_weights' files)
    compile         JSON of loss, optimizer and metrics, where the model is compiled
    training        JSON {"seed": .., "epochs": ..}

A file names layers of a closed list; nothing in it is run. It is checked against itself before
memory is taken: the weights that the architecture asks for must be in the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from striate import _core, losses, optimizers
from striate.errors import ArgumentError, FormatError, ShapeError, StriateError, warn_once
from striate.layers.weight import set_all

if TYPE_CHECKING:
    from striate.models.assembly import Step
    from striate.models.model import Model
    from striate.models.sequential import Sequential

FORMAT, VERSION = "striate", "1"
_MAX_LAYERS = 10_000
_MAX_VALUE = 2**31  # numbers in one layer's output for one sample

Path = str | os.PathLike[str]
Tensors = dict[str, NDArray[Any]]


def save(model: Model, filepath: Path, overwrite: bool = True) -> None:
    """See Model.save."""
    config = getattr(model, "get_config", None)
    if config is None:
        raise ArgumentError(f"{model.name}: {type(model).__name__} cannot be saved")
    metadata = {"architecture": json.dumps({"class": "Sequential", "config": config()})}
    if model.is_compiled:
        metadata["compile"] = json.dumps(_compile_config(model))
    metadata["training"] = json.dumps({"seed": model.seed, "epochs": model.epochs_trained})
    _write(model, filepath, overwrite, metadata)


def save_weights(model: Model, filepath: Path, overwrite: bool = True) -> None:
    """See Model.save_weights."""
    _write(model, filepath, overwrite, {})


def _write(model: Model, filepath: Path, overwrite: bool, metadata: dict[str, str]) -> None:
    path = os.fspath(filepath)
    if not overwrite and os.path.exists(path):
        raise ArgumentError(f"{model.name}: {path} exists, and overwrite is False")
    infos = model.network.parameters()
    names = [info["name"] for info in infos]
    tensors = {name: model.network.get_parameter(i) for i, name in enumerate(names)}
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
    named = model.compiled.serializable_metrics()
    if len(named) < len(model.compiled.given_metrics):
        warn_once(f"{model.name}: only metrics given by name are saved")
    return {"loss": losses.serialize(model.loss), "optimizer": optimizer, "metrics": named}


def load_model(filepath: Path, compile: bool = True) -> Sequential:  # noqa: A002 (Keras's name)
    """The model that `Model.save` wrote: same layers, same weights, same outputs to the bit.

    Args:
        filepath: of the file.
        compile: whether to compile it as it was, if it was; the optimizer starts afresh.

    Raises:
        FormatError: a damaged file, or one that is no model of striate's.
        OSError: the file cannot be read.
    """
    from striate.models.sequential import Sequential

    path = os.fspath(filepath)
    metadata, tensors = _core.read_safetensors(path)
    _check_version(path, metadata)
    architecture = _json(path, metadata, "architecture")
    if architecture.get("class") != "Sequential":
        raise FormatError(f"{path}: no model class {architecture.get('class')!r}")
    config = architecture.get("config")
    if not isinstance(config, Mapping):
        raise FormatError(f"{path}: the architecture has no config")
    layers = config.get("layers")
    if isinstance(layers, list) and len(layers) > _MAX_LAYERS:
        raise FormatError(f"{path}: claims {len(layers)} layers; {_MAX_LAYERS} are the most")
    training = _json(path, metadata, "training") if "training" in metadata else {}

    def check(model: Sequential, graph: _core.Graph, steps: list[Step]) -> None:
        _check_sizes(graph, steps, tensors)
        model.seed = _whole(path, training, "seed")
        model.epochs_trained = _whole(path, training, "epochs")

    try:
        model = Sequential.from_config(config, check)
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
    held: dict[str, int] = {}
    for name, tensor in tensors.items():
        layer = name.rpartition("/")[0]
        held[layer] = held.get(layer, 0) + tensor.size
    for step in steps:
        needed = step.layer.stored_parameters(graph, step.input, step.values)
        if needed > held.get(step.layer.name, 0):
            raise FormatError(
                f"{step.layer.name}: needs {needed} weights, the file has "
                f"{held.get(step.layer.name, 0)}"
            )
        count = 1
        for size in step.output_shape:
            count *= size
        if count > _MAX_VALUE:
            raise FormatError(f"{step.layer.name}: an output of {step.output_shape} is too large")


def _compile(model: Model, config: Mapping[str, Any]) -> None:
    named = config.get("metrics", [])
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise FormatError("compile: metrics is not a list of names")
    if config.get("optimizer") is None:
        return
    model.compile(optimizers.get(config["optimizer"]), losses.get(config.get("loss")), named)


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
    infos = model.network.parameters()
    names = [info["name"] for info in infos]
    if set(names) != set(tensors):
        order = _order(path, metadata, tensors)
        if len(order) != len(names):
            raise ShapeError(f"{path}: holds {len(tensors)} weights, {model.name} has {len(names)}")
    else:
        order = names
    arrays = [tensors[name] for name in order]
    for name, array in zip(order, arrays, strict=True):
        if array.dtype != np.float32:
            raise FormatError(f"{path}: {name} is {array.dtype}, expected float32")
    try:
        set_all(model.network, list(range(len(names))), arrays, model.name)
    except ShapeError as error:
        raise ShapeError(f"{path}: {error}") from None


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
