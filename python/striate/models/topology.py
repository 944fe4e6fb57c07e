"""From a model's output tensors back to its inputs: which calls it is made of, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from striate.errors import ArgumentError
from striate.layers import InputLayer, Layer, SymbolicTensor
from striate.layers.symbolic import Node
from striate.naming import unique_name


class Topology:
    """The calls between some inputs and some outputs.

    Args:
        owner: the model's name, for messages.
        inputs: tensors from Input, or from anywhere inside a network.
        outputs: tensors that depend on those inputs and on no other.
        input_names: for the inputs; by default their layers' names.

    Attributes:
        nodes: the calls in the order in which they were made, which is an order to run them in.
        entries: an InputLayer for each input.
        layers: each layer once, inputs too, in Keras's order: by depth, the longest way to an
            output first; within a depth as met on the way back from the outputs.

    Raises:
        ArgumentError: an Input that is missing or that leads nowhere, two layers of one name.
    """

    def __init__(
        self,
        owner: str,
        inputs: Sequence[SymbolicTensor],
        outputs: Sequence[SymbolicTensor],
        input_names: Sequence[str] | None = None,
    ) -> None:
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        _check_ends(owner, self.inputs, self.outputs)
        found, met = _walk_back(owner, self.inputs, self.outputs)
        self.nodes = sorted(found, key=lambda node: node.order)
        names = {node.layer.name for node in self.nodes}
        self.entries = [
            _entry(tensor, None if input_names is None else input_names[i], names)
            for i, tensor in enumerate(self.inputs)
        ]
        entries = dict(zip(self.inputs, self.entries, strict=True))
        self.layers = _by_depth(found, met, entries)
        _check_names(owner, self.layers)


def _check_ends(
    owner: str, inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]
) -> None:
    for tensor in inputs:
        if sum(tensor is other for other in inputs) > 1:
            raise ArgumentError(f"{owner}: {tensor.name} is given twice as an input")
    for tensor in outputs:
        if any(tensor is other for other in inputs):
            raise ArgumentError(f"{owner}: {tensor.name} is an input and an output: add a layer")


def _walk_back(
    owner: str, inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]
) -> tuple[list[Node], dict[SymbolicTensor | Layer, int]]:
    """(the calls, each after those that it depends on; the order in which layers were met).

    Inputs count as met under their tensor.
    """
    ends = set(inputs)
    found: list[Node] = []
    done: set[Node] = set()
    met: dict[SymbolicTensor | Layer, int] = {}
    used: set[SymbolicTensor] = set()
    # (tensor, its consumer) to visit, or (None, a node) whose inputs have all been visited.
    stack: list[tuple[SymbolicTensor | None, Node | None]]
    stack = [(tensor, None) for tensor in reversed(outputs)]
    while stack:
        tensor, consumer = stack.pop()
        if tensor is None:
            assert consumer is not None
            if consumer not in done:
                done.add(consumer)
                found.append(consumer)
            continue
        if tensor in ends:
            used.add(tensor)
            met.setdefault(tensor, len(met))
            continue
        node = tensor.node
        if node in done:
            continue
        if not node.inputs:
            what = "an output" if consumer is None else consumer.layer.name
            given = ", ".join(end.name for end in inputs)
            raise ArgumentError(
                f"{owner}: loose end: {what} depends on Input {tensor.name!r} {tensor.shape}, "
                f"which is not among the inputs: {given}"
            )
        met.setdefault(node.layer, len(met))
        stack.append((None, node))
        stack.extend((source, node) for source in reversed(node.inputs))
    for tensor in inputs:
        if tensor not in used:
            raise ArgumentError(
                f"{owner}: loose end: no output depends on the input {tensor.name!r}"
            )
    return found, met


def _entry(tensor: SymbolicTensor, name: str | None, taken: set[str]) -> InputLayer:
    layer = tensor.layer
    if isinstance(layer, InputLayer) and name in (None, layer.name):
        return layer
    shape = [size for size in tensor.shape[1:] if size is not None]
    wanted = name or layer.name
    return InputLayer(shape, name=unique_name("input_layer") if wanted in taken else wanted)


def _by_depth(
    found: Sequence[Node],
    met: Mapping[SymbolicTensor | Layer, int],
    entries: Mapping[SymbolicTensor, InputLayer],
) -> list[Layer]:
    node_depth: dict[Node, int] = {}
    depth: dict[SymbolicTensor | Layer, int] = {}
    for node in reversed(found):
        # A shared layer stands where its deepest call is, and so do the calls before it.
        own = max(node_depth.get(node, 0), depth.get(node.layer, 0))
        node_depth[node] = depth[node.layer] = own
        for tensor in node.inputs:
            if tensor in entries:
                depth[tensor] = max(depth.get(tensor, 0), own + 1)
            else:
                node_depth[tensor.node] = max(node_depth.get(tensor.node, 0), own + 1)
    order = sorted(depth, key=lambda key: (-depth[key], met[key]))
    return [entries[key] if isinstance(key, SymbolicTensor) else key for key in order]


def _check_names(owner: str, layers: Sequence[Layer]) -> None:
    by_name: dict[str, Layer] = {}
    for layer in layers:
        other = by_name.setdefault(layer.name, layer)
        if other is not layer:
            raise ArgumentError(
                f"{owner}: two layers are named {layer.name!r}, {_article(other)} and "
                f"{_article(layer)}: names are unique in a model"
            )


def _article(layer: Layer) -> str:
    kind = type(layer).__name__
    return f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}"
