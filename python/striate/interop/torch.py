"""PyTorch's weights in a striate model.

    theirs                        ours
    Conv2d.weight [O, I, H, W]    kernel [H, W, I, O]
    ConvTranspose2d.weight        kernel [H, W, O, I]
      [I, O, H, W]
    Conv2d.weight of groups = I   depthwise kernel [H, W, I, M]
      [I * M, 1, H, W]
    Linear.weight [O, I]          kernel [I, O]; after a Flatten the rows go from C, H, W to H, W, C
    BatchNorm2d.weight, bias,     gamma, beta, moving_mean, moving_variance
      running_mean, running_var
    LayerNorm, GroupNorm          gamma, beta

What a state dict does not hold has to agree already: epsilon and momentum (PyTorch's 0.1 is 0.9
here), strides, padding. striate.applications' variants are made so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from striate import _core
from striate.errors import ArgumentError, FormatError
from striate.interop import places
from striate.interop.places import Place
from striate.interop.report import Match, Report

if TYPE_CHECKING:
    from striate.layers import Weight
    from striate.models import Model

Array = NDArray[Any]
Names = Mapping[str, str] | Callable[[str], str | None]
Modules = Mapping[str, Mapping[str, Array]]

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
# PyTorch's own bookkeeping: how many batches a normalisation has seen.
_IGNORED = ("num_batches_tracked",)

_THEIRS = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def load_torch(
    model: Model,
    weights: Mapping[str, Any] | str | os.PathLike[str],
    names: Names | None = None,
    strict: bool = True,
) -> Report:
    """Sets a model's weights from a PyTorch state dict; `print` the report to see what went where.

    Modules are found by name: by `names`, by the model's own names, or by torchvision's names for
    the networks of striate.applications. Where fewer than half of the layers are found so, modules
    go to the layers whose weights have their shapes, first to first. The report says which it was.

    Args:
        model: is built if it knows its input's shape.
        weights: a state dict (of tensors or arrays), or the path of a safetensors file.
        names: {layer: module} or a function of a layer's name: {"dense": "classifier.6"}.
        strict: whether every weight must be found and every tensor used; False loads what fits.

    Raises:
        ShapeError: weights missing, left over or of another shape, if strict; nothing is loaded.
        FormatError: a pickle, or a damaged file.
    """
    source, state = _state(weights)
    modules = _by_module(state)
    targets = places.places_of(model)
    paired, how = _pair(targets, modules, names, model.name)
    report = Report(source, notes=[how, *_notes(targets)])
    values: list[tuple[Weight, Array]] = []
    used = set()
    for place in targets:
        module = paired.get(place.name)
        tensors = modules.get(module, {}) if module is not None else {}
        for parameter, weight in place.weights.items():
            name = _THEIRS.get(parameter, "")
            if module is None or name not in tensors:
                report.missing.append(weight.path)
                continue
            used.add((module, name))
            theirs, tensor = _joined(module, name), tensors[name]
            if tensor.shape != _their_shape(place, weight):
                report.mismatched.append(
                    f"{weight.path} {weight.shape} takes {_their_shape(place, weight)}, "
                    f"{theirs} is {tensor.shape}"
                )
                continue
            array, change = _converted(tensor, place, weight)
            values.append((weight, array))
            report.matched.append(Match(weight.path, theirs, weight.shape, change))
    report.unexpected = [
        _joined(module, name)
        for module, tensors in modules.items()
        for name in tensors
        if (module, name) not in used
    ]
    if strict:
        report.require_complete(model.name, _MEND)
    for weight, array in values:
        weight.assign(array)
    return report


_MEND = (
    "Is it the same variant and number of classes? strict=False loads what fits, "
    'names={"our_layer": "their.module"} pairs by hand'
)


# Reading


def _state(weights: object) -> tuple[str, dict[str, Array]]:
    """(what to call it, its tensors as arrays)."""
    if isinstance(weights, (str, os.PathLike)):
        path = os.fspath(weights)
        if path.lower().endswith(PICKLES):
            raise FormatError(_refusal(path))
        return path, _core.read_safetensors(path)[1]
    if isinstance(weights, Mapping):
        return "the state dict", {str(name): _array(name, x) for name, x in weights.items()}
    hint = ": pass its state_dict()" if hasattr(weights, "state_dict") else ""
    raise ArgumentError(
        f"load_torch: takes a state dict or the path of a safetensors file, "
        f"got {type(weights).__name__}{hint}"
    )


def _refusal(path: str) -> str:
    target = os.path.splitext(path)[0] + ".safetensors"
    return (
        f"{path}: is a pickle, which can run code when it is read, so striate reads none. Where "
        "PyTorch is installed, this turns it into a safetensors file:\n"
        f'    python -c "import torch, safetensors.torch as s; '
        f's.save_file(torch.load({path!r}, weights_only=True), {target!r})"'
    )


def _array(name: object, value: Any) -> Array:
    """A tensor of PyTorch (which is not imported), or anything that NumPy takes."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value
        value = value.numpy()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"load_torch: {name}: is no tensor: {error}") from None
    if array.dtype.kind not in "fiu":
        raise ArgumentError(f"load_torch: {name}: is {array.dtype}, expected numbers")
    return array


def _by_module(state: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    """{"layer1.0.conv1": {"weight": ..}}, in the state's order."""
    modules: dict[str, dict[str, Array]] = {}
    parallel = bool(state) and all(name.startswith("module.") for name in state)  # DataParallel
    for name, tensor in state.items():
        module, _, parameter = name.removeprefix("module." if parallel else "").rpartition(".")
        if parameter not in _IGNORED:
            modules.setdefault(module, {})[parameter] = tensor
    return modules


def _joined(module: str, name: str) -> str:
    return f"{module}.{name}" if module else name


# Pairing


def _pair(
    targets: list[Place],
    modules: Modules,
    names: Names | None,
    model: str,
) -> tuple[dict[str, str], str]:
    """({layer: module}, how they were found)."""
    layers = [place.name for place in targets]
    if names is not None:
        return _given(layers, modules, names, model), "names: as given"
    tables = {
        "the same names": {layer: layer.replace("/", ".") for layer in layers},
        "torchvision's names": _torchvision(layers, modules),
    }
    for how, table in tables.items():
        found = {layer: module for layer, module in table.items() if module in modules}
        if 2 * len(found) >= len(layers):
            return found, f"names: {how}"
    return _by_shape(targets, modules), (
        "names: none in common, so layers and modules were paired by their shapes, in order; "
        "where several have the same shapes, check the table"
    )


def _given(
    layers: list[str], modules: Mapping[str, object], names: Names, model: str
) -> dict[str, str]:
    if callable(names):
        found = {layer: names(layer) for layer in layers}
    else:
        unknown = [layer for layer in names if layer not in layers]
        if unknown:
            raise ArgumentError(
                f"load_torch: {model} has no layer with weights named {', '.join(unknown)}; "
                f"there are {', '.join(layers)}"
            )
        found = dict(names)
    pairs = {layer: module for layer, module in found.items() if module is not None}
    absent = [module for module in pairs.values() if module not in modules]
    if absent:
        raise ArgumentError(
            f"load_torch: no module {', '.join(absent[:8])}; there are {', '.join(modules)}"
        )
    return pairs


def _torchvision(layers: list[str], modules: Mapping[str, object]) -> dict[str, str]:
    """By the table of the application that finds most modules."""
    from striate.applications import alexnet, cifar_resnet, googlenet, resnet, vgg

    tables = [
        network.torch_names(layers) for network in (alexnet, vgg, googlenet, resnet, cifar_resnet)
    ]
    return max(tables, key=lambda table: sum(module in modules for module in table.values()))


def _by_shape(targets: list[Place], modules: Modules) -> dict[str, str]:
    """Each layer gets the first module left over whose tensors have its shapes.

    A safetensors file is in the order of the alphabet, so numbers in names are compared as numbers.
    """
    waiting = sorted(modules, key=_natural) if _is_sorted(modules) else list(modules)
    found = {}
    for place in targets:
        wanted = {
            _THEIRS.get(parameter, ""): _their_shape(place, weight)
            for parameter, weight in place.weights.items()
        }
        for module in waiting:
            if {name: x.shape for name, x in modules[module].items()} == wanted:
                found[place.name] = module
                waiting.remove(module)
                break
    return found


def _is_sorted(modules: Mapping[str, object]) -> bool:
    names = list(modules)
    return names == sorted(names)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


# Converting


def _their_shape(place: Place, weight: Weight) -> tuple[int, ...]:
    """The shape that PyTorch has for this weight."""
    shape = weight.shape
    if len(shape) == 4 and place.kind == "DepthwiseConv2D":
        height, width, channels, multiplier = shape
        return channels * multiplier, 1, height, width
    if len(shape) == 4:
        return shape[3], shape[2], shape[0], shape[1]
    return shape[::-1]


def _converted(tensor: Array, place: Place, weight: Weight) -> tuple[Array, str]:
    """(the tensor as this weight wants it, what was done to it)."""
    change = ""
    array = tensor
    if len(weight.shape) == 4:
        array = tensor.transpose(2, 3, 1, 0).reshape(weight.shape)
        change = "[I, O, H, W] -> HWOI" if place.kind == "Conv2DTranspose" else "OIHW -> HWIO"
    elif len(weight.shape) == 2:
        array = tensor.T
        change = "[O, I] -> [I, O]"
    if place.features is not None and array.shape[0] == len(place.features):
        array = array[place.features]
        change = f"{change}, CHW -> HWC" if change else "CHW -> HWC"
    return np.ascontiguousarray(array, np.float32), change


def _notes(targets: list[Place]) -> list[str]:
    settings = sorted({place.normalisation for place in targets if place.normalisation})
    return [
        f"batch normalisation: epsilon {epsilon:g}, momentum {momentum:g} are the model's; a state "
        f"dict does not say them (PyTorch's defaults: 1e-05 and, by our count, 0.9)"
        for epsilon, momentum in settings
    ]
