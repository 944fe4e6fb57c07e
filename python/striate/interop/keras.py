"""Keras's weights in a striate model. Layouts agree: HWIO, [I, O], flattened as H, W, C.

What a weight file does not hold has to agree already: batch normalisation's epsilon and momentum
(Keras's defaults are striate's), strides, padding. A .keras file and a whole-model .h5 do say
epsilon and momentum, and they are compared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from striate.errors import ArgumentError
from striate.interop import hdf5, places
from striate.interop.hdf5 import Stored, StoredArray, WeightFile
from striate.interop.places import Place
from striate.interop.report import Match, Report
from striate.naming import snake_case

if TYPE_CHECKING:
    from striate.layers import Layer, Weight
    from striate.models import Model

Array = NDArray[Any]

_MEND = (
    "Is it the same variant and number of classes? Keras's ResNets are "
    'ResNet50(variant="keras") and its like; strict=False loads what fits'
)


def load_keras(
    model: Model, weights: str | os.PathLike[str] | Sequence[Any], strict: bool = True
) -> Report:
    """Sets a model's weights from Keras's; `print` the report to see what went where.

    Layers are found by the names that people gave them; what is left goes as Keras does it: the
    first Conv2D of the file is the model's first Conv2D, in the order of Keras's model.layers.

    Args:
        model: is built if it knows its input's shape.
        weights: a .weights.h5, a .keras file, a legacy .h5, or the list that get_weights gave.
        strict: whether every weight must be found and every array used; False loads what fits.

    Raises:
        ShapeError: weights missing, left over or of another shape, or another epsilon, if strict;
            nothing is loaded.
        FormatError: a damaged file, or one that reaches out of itself.
        MissingExtraError: a file, and h5py is not installed.
    """
    if isinstance(weights, (str, os.PathLike)):
        return _from_file(model, os.fspath(weights), strict)
    if not isinstance(weights, Sequence):
        raise ArgumentError(
            "load_keras: takes the path of a weight file or the list that get_weights gave, "
            f"got {type(weights).__name__}"
        )
    return _from_list(model, weights, strict)


def _from_file(model: Model, path: str, strict: bool) -> Report:
    targets = {place.name: place for place in places.places_of(model)}
    size = sum(4 * weight.size for place in targets.values() for weight in place.weights.values())
    with hdf5.open_weights(path, size) as file:
        report = Report(path)
        pairs = _pair(model, "", file.layers, targets, report)
        values = _matched(targets, pairs, report)
        used = {id(stored) for stored in pairs.values()}
        report.unexpected = [array.path for array in _unused(file.layers, used)]
        _compare_settings(targets, pairs, file, report)
        if strict:
            report.require_complete(model.name, _MEND)
        # All of them are read before the first is set: a damaged file leaves the model as it was.
        arrays = [array.read() for _, array in values]
    for (weight, _), array in zip(values, arrays, strict=True):
        weight.assign(array)
    return report


def _from_list(model: Model, weights: Sequence[Any], strict: bool) -> Report:
    report = Report("the list of weights", notes=["the order is that of Keras's get_weights"])
    by_name = {place.name: place for place in places.places_of(model)}
    ordered = [by_name[name] for name in places.keras_order(model)]
    ours = [weight for place in ordered for weight in place.weights.values()]
    arrays = [np.asarray(value) for value in weights]
    values = []
    for number, (weight, array) in enumerate(zip(ours, arrays, strict=False)):
        if array.shape == weight.shape and array.dtype.kind in "fiu":
            values.append((weight, array))
            report.matched.append(Match(weight.path, f"weights[{number}]", weight.shape))
        else:
            report.mismatched.append(
                f"{weight.path} is {weight.shape}, weights[{number}] is {array.dtype} {array.shape}"
            )
    report.missing = [weight.path for weight in ours[len(arrays) :]]
    report.unexpected = [f"weights[{number}]" for number in range(len(ours), len(arrays))]
    _note_settings(by_name.values(), report)
    if strict:
        report.require_complete(model.name, _MEND)
    for weight, array in values:
        weight.assign(array)
    return report


# Pairing


def _pair(
    model: Any, prefix: str, stored: list[Stored], targets: Mapping[str, Place], report: Report
) -> dict[str, Stored]:
    """{our layer: what the file has of it}, for the layers of a model and of those inside it."""
    ours = [layer for layer in model.layers if _has_weights(prefix + layer.name, targets)]
    theirs = [layer for layer in stored if any(layer.all_arrays())]
    found = {}
    for layer, match in _matches(ours, theirs, model.name, report):
        name = prefix + layer.name
        if name in targets:
            found[name] = match
        else:
            found |= _pair(layer, f"{name}/", match.inner, targets, report)
    return found


def _has_weights(name: str, targets: Mapping[str, Place]) -> bool:
    return name in targets or any(target.startswith(f"{name}/") for target in targets)


def _matches(
    ours: list[Layer], theirs: list[Stored], model: str, report: Report
) -> list[tuple[Layer, Stored]]:
    """Pairs by the names that people gave; then by class, first to first.

    Automatic names say nothing: conv2d_3 is another layer in every process.
    """
    given = {stored.name: stored for stored in theirs}
    pairs = [
        (layer, given[layer.name])
        for layer in ours
        if layer.name in given and not _is_automatic(layer)
    ]
    named = len(pairs)
    taken = {id(stored) for _, stored in pairs}
    waiting: dict[str, list[Stored]] = {}
    for stored in sorted(theirs, key=lambda stored: stored.number):
        if id(stored) not in taken:
            waiting.setdefault(stored.kind, []).append(stored)
    placed = {id(layer) for layer, _ in pairs}
    for layer in ours:
        # A legacy file says no class: what it has stands in the model's order.
        queue = waiting.get(_kind(layer)) or waiting.get("")
        if id(layer) not in placed and queue:
            pairs.append((layer, queue.pop(0)))
    report.notes.append(
        f"{model}: {named} layers were paired by name, {len(pairs) - named} by class, in order"
    )
    return pairs


def _is_automatic(layer: Layer) -> bool:
    return re.fullmatch(rf"{_kind(layer)}(_\d+)?", layer.name) is not None


def _kind(layer: Any) -> str:
    """As Keras names the layer's group."""
    kind = snake_case(type(layer).__name__)
    return "functional" if kind == "model" else kind


def _unused(stored: list[Stored], used: set[int]) -> Iterator[StoredArray]:
    for layer in stored:
        if id(layer) not in used:
            yield from layer.arrays
            yield from _unused(layer.inner, used)


def _matched(
    targets: Mapping[str, Place], pairs: Mapping[str, Stored], report: Report
) -> list[tuple[Weight, StoredArray]]:
    values = []
    for name, place in targets.items():
        stored = pairs[name].arrays if name in pairs else []
        weights = list(place.weights.values())
        report.missing += [weight.path for weight in weights[len(stored) :]]
        report.mismatched += [
            f"{name} has {len(weights)} weights, no place for {array.path}"
            for array in stored[len(weights) :]
        ]
        for weight, array in zip(weights, stored, strict=False):
            if array.shape == weight.shape:
                values.append((weight, array))
                report.matched.append(Match(weight.path, array.path, weight.shape))
            else:
                report.mismatched.append(
                    f"{weight.path} is {weight.shape}, {array.path} is {array.shape}"
                )
    return values


# Batch normalisation's settings


def _compare_settings(
    targets: Mapping[str, Place], pairs: Mapping[str, Stored], file: WeightFile, report: Report
) -> None:
    """Compares epsilon and momentum where the file says them, and says so where it does not."""
    if file.config is None:
        _note_settings(targets.values(), report)
        return
    theirs = dict(_settings(file.config))
    for name, place in targets.items():
        ours = place.normalisation
        other = theirs.get((pairs[name].name or "") if name in pairs else "")
        if ours is None or other is None:
            continue
        if abs(ours[0] - other[0]) > 1e-6 * abs(ours[0]):
            report.mismatched.append(f"{name} has epsilon {ours[0]:g}, the file {other[0]:g}")
        if abs(ours[1] - other[1]) > 1e-6 * abs(ours[1]):
            report.notes.append(
                f"{name} has momentum {ours[1]:g}, the file {other[1]:g}: it matters in training"
            )


def _settings(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[float, float]]]:
    """(layer, (epsilon, momentum)) for each BatchNormalization of a model's configuration."""
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else None
    for layer in layers if isinstance(layers, list) else []:
        options = layer.get("config") if isinstance(layer, dict) else None
        if not isinstance(options, dict):
            continue
        if layer.get("class_name") == "BatchNormalization":
            name, epsilon, momentum = (options.get(k) for k in ("name", "epsilon", "momentum"))
            if isinstance(name, str) and _is_number(epsilon) and _is_number(momentum):
                yield name, (float(epsilon), float(momentum))  # type: ignore[arg-type]
        elif "layers" in options:
            yield from _settings(layer)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _note_settings(targets: Iterable[Place], report: Report) -> None:
    for epsilon, momentum in sorted({p.normalisation for p in targets if p.normalisation}):
        report.notes.append(
            f"batch normalisation: epsilon {epsilon:g}, momentum {momentum:g} are the model's; "
            "weights alone do not say them (Keras's defaults: 0.001 and 0.99)"
        )
