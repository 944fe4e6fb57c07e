"""A model as a core graph: every layer described in order, shared ones with one set of weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from striate import _core
from striate.errors import ArgumentError
from striate.layers import Layer
from striate.layers.symbolic import Node, Shape
from striate.models.topology import Topology

MOST_LAYERS = 10_000  # in one graph, nested models' and every call counted


class Step:
    """One call of a layer in a model's graph.

    Attributes:
        name: of the layer in the graph: "encoder/dense" for one inside a nested model.
        path: the layers from the outermost nested model down to this one.
        inputs, output: the ids of values of the graph.
        values: the ids of the values that it made.
        first: whether this is the layer's first call, so that its weights count here.
    """

    def __init__(
        self,
        graph: _core.Graph,
        name: str,
        path: tuple[Layer, ...],
        inputs: Sequence[int],
        output: int,
        values: range,
        first: bool,
    ) -> None:
        self.name = name
        self.path = path
        self.layer = path[-1]
        self.inputs = list(inputs)
        self.output = output
        self.values = values
        self.first = first
        self.output_shape = tuple(graph.shape(output))

    @property
    def x(self) -> Any:
        """The layer's input values as its `describe` took them."""
        return self.inputs if self.layer.several_inputs else self.inputs[0]

    def cost(self, graph: _core.Graph) -> dict[str, int]:
        """The sum of the call's nodes' costs; no parameters for a call that shares its weights."""
        total = {"macs": 0, "connections": 0, "parameters": 0, "trainable": 0}
        for value in self.values:
            for name, count in graph.cost(value).items():
                total[name] = total.get(name, 0) + count
        if not self.first:
            total["parameters"] = total["trainable"] = 0
        return total


class _Renamed:
    """A graph for a layer that goes by another name there."""

    def __init__(self, graph: _core.Graph, old: str, new: str) -> None:
        self._graph = graph
        self._old = old
        self._new = new

    def __getattr__(self, attribute: str) -> Any:
        method = getattr(self._graph, attribute)

        def with_name(*arguments: Any, **options: Any) -> Any:
            name = options.get("name")
            if name is not None:
                if name == self._old or name.startswith(f"{self._old}/"):
                    name = self._new + name[len(self._old) :]
                options["name"] = name
            return method(*arguments, **options)

        return with_name


class Description:
    """A model's graph, made without taking memory for weights.

    Args:
        topology: of the model.
        owner: its name, for messages.
        shapes: of the inputs, (None, ..), where they are not the model's own.

    Attributes:
        graph: of the core.
        steps: the layers' calls in order, those of nested models among them.
        names: of each layer in the graph.
        inputs, outputs: ids of the graph's values.
    """

    def __init__(
        self, topology: Topology, owner: str, shapes: Sequence[Shape] | None = None
    ) -> None:
        self.graph = _core.Graph()
        self.steps: list[Step] = []
        self.names: dict[Layer, str] = {}
        self._owner = owner
        self._last = -1
        self.inputs = []
        shapes = shapes or [tensor.shape for tensor in topology.inputs]
        for shape, entry in zip(shapes, topology.entries, strict=True):
            sample = [size for size in shape[1:] if size is not None]
            self.inputs.append(self.graph.input(sample, entry.name))
            self._last = self.inputs[-1]
        self.outputs = self._add_all(topology, self.inputs, "", (), False)

    def _add_all(
        self,
        topology: Topology,
        values: Sequence[int],
        prefix: str,
        path: tuple[Layer, ...],
        inference: bool,
    ) -> list[int]:
        at = dict(zip(topology.inputs, values, strict=True))
        for node in topology.nodes:
            x = [at[tensor] for tensor in node.inputs]
            layer, quiet = node.layer, inference or node.inference
            inner = layer.inner_topology()
            if inner is None:
                outputs = [self._add(node, x, prefix, (*path, layer), quiet)]
            else:
                outputs = self._add_all(inner, x, f"{prefix}{layer.name}/", (*path, layer), quiet)
            at.update(zip(node.outputs, outputs, strict=True))
        return [at[tensor] for tensor in topology.outputs]

    def _add(
        self, node: Node, x: list[int], prefix: str, path: tuple[Layer, ...], inference: bool
    ) -> int:
        layer = node.layer
        if len(self.steps) >= MOST_LAYERS:
            raise ArgumentError(
                f"{self._owner}: has more than {MOST_LAYERS} layers, nested ones counted"
            )
        name = self.names.get(layer)
        first = name is None
        if name is None:
            name = self.names[layer] = prefix + layer.name
        graph = self.graph
        target = (
            graph if name == layer.name else cast(_core.Graph, _Renamed(graph, layer.name, name))
        )
        describe = layer.describe_inference if inference else layer.describe
        if not first:
            graph.reuse = True
        try:
            output = describe(target, x if layer.several_inputs else x[0])
        finally:
            if not first:
                graph.reuse = False
        made = range(self._last + 1, max(self._last, output) + 1)
        self._last = max(self._last, output)
        self.steps.append(Step(graph, name, path, x, output, made, first))
        return output
