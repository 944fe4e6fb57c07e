"""Models as JSON-able values: layers of a closed list, and the calls that join them.

A functional model's config:

    name
    layers    [{"class": .., "config": ..}], the inputs' first, then as they are first called
    nodes     [{"layer": index into layers, "inputs": [[node, output], ..]}], in order; an input's
              node has no inputs; "training": false where the call said so
    inputs, outputs
              {"kind": "single" | "list" | "dict", "names": [..], "tensors": [[node, output], ..]}

A node refers to earlier nodes only, so what is read back has no cycles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from striate import layers
from striate.errors import FormatError
from striate.layers import InputLayer, Layer, SymbolicTensor
from striate.layers.symbolic import Node
from striate.models.structure import Structure

if TYPE_CHECKING:
    from striate.models.model import Model

MOST_LAYERS = 10_000  # of one model in a file


def serialize(layer: Layer) -> dict[str, Any]:
    """{"class": .., "config": ..} of a layer or of a model that is one.

    Raises:
        FormatError: not one of striate's own, so no file could name it.
    """
    from striate.models.model import Model
    from striate.models.sequential import Sequential

    if not isinstance(layer, Model):
        return layers.serialize(layer)
    names = {Model: "Functional", Sequential: "Sequential"}
    name = names.get(type(layer))
    if name is None:
        kind = type(layer).__name__
        raise FormatError(f"{layer.name}: a model file cannot hold {kind}: it is not striate's own")
    return {"class": name, "config": layer.get_config()}


def deserialize(entry: Any) -> Layer:
    """The layer or model that `serialize` described.

    Raises:
        FormatError: no such class, or a config that it does not take.
    """
    name = entry.get("class") if isinstance(entry, Mapping) else None
    if name in ("Functional", "Sequential"):
        return deserialize_model(entry)
    return layers.deserialize(entry)


def deserialize_model(entry: Mapping[str, Any]) -> Model:
    """The model that `serialize` described, with fresh weights.

    Raises:
        FormatError: no model class, or not a config of one.
    """
    from striate.models.model import Model
    from striate.models.sequential import Sequential

    name, config = entry.get("class"), entry.get("config")
    if name not in ("Functional", "Sequential"):
        raise FormatError(f"no model class {name!r}")
    if not isinstance(config, Mapping):
        raise FormatError(f"{name}: the architecture has no config")
    _list(config, "layers", str(name))
    cls = Sequential if name == "Sequential" else Model
    return cls.from_config(config)


def functional_config(model: Model) -> dict[str, Any]:
    """What Model.get_config returns."""
    topology = model.topology
    listed: dict[Layer, int] = {}
    for layer in (*topology.entries, *(node.layer for node in topology.nodes)):
        listed.setdefault(layer, len(listed))
    places: dict[SymbolicTensor, list[int]] = {}
    nodes: list[dict[str, Any]] = []
    for tensor, entry in zip(topology.inputs, topology.entries, strict=True):
        places[tensor] = [len(nodes), 0]
        nodes.append({"layer": listed[entry], "inputs": []})
    for node in topology.nodes:
        for tensor in node.outputs:
            # An input of the model from the middle of another one stays an input.
            places.setdefault(tensor, [len(nodes), tensor.index])
        call = {"layer": listed[node.layer], "inputs": [places[tensor] for tensor in node.inputs]}
        nodes.append(call | ({"training": False} if node.inference else {}))

    def ends(structure: Structure, tensors: list[SymbolicTensor]) -> dict[str, Any]:
        return {
            "kind": structure.kind,
            "names": list(structure.names),
            "tensors": [places[tensor] for tensor in tensors],
        }

    return {
        "name": model.name,
        "layers": [serialize(layer) for layer in listed],
        "nodes": nodes,
        "inputs": ends(model.input_structure, topology.inputs),
        "outputs": ends(model.output_structure, topology.outputs),
    }


def functional_parts(config: Mapping[str, Any]) -> tuple[str, Any, Any]:
    """(name, inputs, outputs) of the model that `functional_config` described.

    Raises:
        FormatError: not such a config.
        ShapeError: its layers do not fit together.
    """
    name = config.get("name")
    if not isinstance(name, str):
        raise FormatError("Functional: the config lacks a name")
    made = [deserialize(entry) for entry in _list(config, "layers", name)]
    calls: list[Node] = []
    used = set()
    for number, entry in enumerate(_list(config, "nodes", name)):
        if not isinstance(entry, Mapping):
            raise FormatError(f"{name}: node {number} is not an object")
        index = entry.get("layer")
        if type(index) is not int or not 0 <= index < len(made):
            raise FormatError(f"{name}: node {number} has no layer {index!r}")
        layer = made[index]
        used.add(index)
        inputs = [
            _tensor(calls, place, f"{name}: node {number} ({layer.name})")
            for place in _list(entry, "inputs", name)
        ]
        calls.append(_call(layer, inputs, entry.get("training"), name))
    if len(used) != len(made):
        raise FormatError(f"{name}: has layers that no node calls")
    return name, _ends(config, "inputs", calls, name), _ends(config, "outputs", calls, name)


def _call(layer: Layer, inputs: list[SymbolicTensor], training: object, owner: str) -> Node:
    if isinstance(layer, InputLayer):
        if inputs:
            raise FormatError(f"{owner}: {layer.name} is an input and has inputs")
        return layer.nodes[0]
    if training not in (None, False):
        raise FormatError(f"{owner}: {layer.name}: training is {training!r}")
    if not inputs or (len(inputs) > 1 and not layer.takes(len(inputs))):
        raise FormatError(f"{owner}: {layer.name} does not take {len(inputs)} inputs")
    return layer.connect(inputs, inference=training is False)


def _tensor(calls: list[Node], place: object, owner: str) -> SymbolicTensor:
    if (
        not isinstance(place, list)
        or len(place) != 2
        or any(type(number) is not int or number < 0 for number in place)
    ):
        raise FormatError(f"{owner}: refers to {place!r}, which is no [node, output]")
    node, output = place
    if node >= len(calls):
        raise FormatError(
            f"{owner}: refers to node {node}, which does not come before it: a graph has no cycles"
        )
    if output >= len(calls[node].outputs):
        raise FormatError(
            f"{owner}: refers to output {output} of {calls[node].layer.name}, which has "
            f"{len(calls[node].outputs)}"
        )
    return calls[node].outputs[output]


def _ends(config: Mapping[str, Any], what: str, calls: list[Node], owner: str) -> Any:
    entry = config.get(what)
    if not isinstance(entry, Mapping):
        raise FormatError(f"{owner}: {what} is not an object")
    kind, names = entry.get("kind"), _list(entry, "names", owner)
    tensors = [
        _tensor(calls, place, f"{owner}: {what}") for place in _list(entry, "tensors", owner)
    ]
    if kind not in ("single", "list", "dict") or not tensors or len(names) != len(tensors):
        raise FormatError(f"{owner}: {what} is no list of named tensors")
    if kind == "single":
        return tensors[0]
    if kind == "list":
        return tensors
    if len({name for name in names if isinstance(name, str)}) != len(tensors):
        raise FormatError(f"{owner}: {what}: the names are not unique strings")
    return dict(zip(names, tensors, strict=True))


def _list(config: Mapping[str, Any], key: str, owner: str) -> list[Any]:
    value = config.get(key)
    if not isinstance(value, list):
        raise FormatError(f"{owner}: {key} is not a list")
    if len(value) > MOST_LAYERS:
        raise FormatError(f"{owner}: claims {len(value)} {key}; {MOST_LAYERS} are the most")
    return value
