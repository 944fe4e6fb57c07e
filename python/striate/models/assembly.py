"""Layers put together: what they are, what goes in and comes out, and the graph they make."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from striate import _core
from striate.errors import ArgumentError, ShapeError
from striate.layers import Layer, RBFOutput, SymbolicTensor
from striate.layers.symbolic import Shape
from striate.models.description import Description, Step
from striate.models.structure import Structure, numbered
from striate.models.topology import Topology


class Assembly(Layer):
    """Layers that a subclass puts together; itself a layer, for models around it.

    Attributes:
        name: by default the class's, with a number.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)
        self._topology: Topology | None = None
        self._description: Description | None = None
        self._only_shape: tuple[int, ...] | None = None  # of a sample, where there is one input
        self._in = Structure("single", ["input"])
        self._out = Structure("single", ["output"])

    # Building

    @abstractmethod
    def build(self, input_shape: Any = None) -> None:
        """Settles the shapes, where that is still to do."""

    @abstractmethod
    def build_for(self, x: object) -> None:
        """Builds the model for data like `x`, unless it is built."""

    def _take_topology(self, topology: Topology, inputs: Structure, outputs: Structure) -> None:
        """Called when the layers are known, at first or anew."""
        self._topology = topology
        self._in, self._out = inputs, outputs
        self._only_shape = self.sample_shape if len(inputs) == 1 else None
        self._description = None

    @property
    def built(self) -> bool:
        """Whether the layers and their shapes are known."""
        return self._topology is not None

    @property
    def topology(self) -> Topology:
        """The calls that the model is made of.

        Raises:
            ArgumentError: the model is not built, and cannot be without data.
        """
        if self._topology is None:
            self.build()
        assert self._topology is not None
        return self._topology

    def inner_topology(self) -> Topology:
        return self.topology

    @property
    def description(self) -> Description:
        """The model as a graph of the core."""
        topology = self.topology
        if self._description is None:
            self._description = Description(topology, self.name)
        return self._description

    @property
    def graph(self) -> _core.Graph:
        """The core's graph."""
        return self.description.graph

    @property
    def steps(self) -> list[Step]:
        """The layers' calls in the order in which they run, nested models' among them."""
        return self.description.steps

    # As a layer

    def flatten_inputs(self, inputs: Any) -> list[Any]:
        if not self.built:
            return [inputs[0] if isinstance(inputs, (list, tuple)) else inputs]
        if len(self._in) == 1:
            if not self._in.is_wrapped(inputs, len(self.topology.inputs[0].shape)):
                return [inputs]
            if not isinstance(inputs, dict):
                return [inputs[0]]
        if isinstance(inputs, dict):
            return self._in.by_name(inputs, "input", self.name)
        return self._in.listed(inputs, "input", self.name)

    def pack_outputs(self, outputs: Sequence[Any]) -> Any:
        return self._out.pack(outputs)

    def shapes_after(self, shapes: list[Shape]) -> list[Shape]:
        if not self.built:
            self.build(shapes[0])
        topology = self.topology
        if not self.takes(len(shapes)):
            raise ArgumentError(f"{self.name}: takes {len(self._in)} inputs, got {len(shapes)}")
        if shapes == [tensor.shape for tensor in topology.inputs]:
            return [tensor.shape for tensor in topology.outputs]
        there = Description(topology, self.name, shapes)
        for here, step in zip(self.steps, there.steps, strict=True):
            made = here.cost(self.graph)["parameters"], step.cost(there.graph)["parameters"]
            if made[0] != made[1]:
                raise ShapeError(
                    f"{self.name}: {step.layer.name} would have {made[1]:,} parameters for inputs "
                    f"{_listed(shapes)}, it has {made[0]:,}: the model is made for "
                    f"{_listed([tensor.shape for tensor in topology.inputs])}"
                )
        return [(None, *there.graph.shape(value)) for value in there.outputs]

    def check_input(self, shape: Shape) -> None:
        self.shapes_after([shape])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The outputs' shapes for inputs (None, ..), as they were given: one, a list or a dict."""
        if isinstance(input_shape, dict):
            shapes = self._in.by_name(input_shape, "input", self.name)
        elif input_shape and isinstance(input_shape[0], (tuple, list)):
            shapes = self._in.listed(input_shape, "input", self.name)
        else:
            shapes = [input_shape]
        return self._out.pack(self.shapes_after([(None, *shape[1:]) for shape in shapes]))

    def takes(self, count: int) -> bool:
        return count == len(self._in)

    # Inputs and outputs

    @property
    def input_structure(self) -> Structure:
        """How the inputs were given."""
        return self._in

    @property
    def output_structure(self) -> Structure:
        """How the outputs were given."""
        return self._out

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The input tensors."""
        return list(self.topology.inputs)

    @property
    def outputs(self) -> list[SymbolicTensor]:
        """The output tensors."""
        return list(self.topology.outputs)

    @property
    def input(self) -> Any:
        """The input tensors as they were given: one, a list or a dict."""
        return self._in.pack(self.inputs)

    @property
    def output(self) -> Any:
        """The output tensors as they were given: one, a list or a dict."""
        return self._out.pack(self.outputs)

    @property
    def input_names(self) -> list[str]:
        """What a dict of data calls the inputs."""
        return list(self._in.names)

    @property
    def output_names(self) -> list[str]:
        """What a dict of targets, losses or metrics calls the outputs: their layers' names."""
        return list(self._out.names)

    @property
    def sample_shapes(self) -> list[tuple[int, ...]]:
        """The shape of one sample of each input."""
        return [_known(tensor.shape) for tensor in self.topology.inputs]

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample, of the first input where there are several."""
        return self.sample_shapes[0]

    @property
    def output_sample_shapes(self) -> list[tuple[int, ...]]:
        """The shape of each output for one sample."""
        return [_known(tensor.shape) for tensor in self.topology.outputs]

    @property
    def input_shape(self) -> Any:
        """(None, *shape of one sample); as the inputs were given, where there are several."""
        return self._in.pack([tensor.shape for tensor in self.inputs])

    @property
    def output_shape(self) -> Any:
        """(None, *shape of one output); as the outputs were given, where there are several."""
        return self._out.pack([tensor.shape for tensor in self.outputs])

    def last_activations(self) -> list[str]:
        """What squashes each output: "softmax", "linear" ..; "unknown" where no layer says."""
        found = []
        for layer in self._output_layers():
            named = getattr(layer, "activation", None)
            if layer is not None and hasattr(layer, "as_activation"):
                named = layer.as_activation()
            found.append("unknown" if named is None else str(named.kind))
        return found

    def _output_layers(self) -> list[Layer | None]:
        by_output = {step.output: step.layer for step in self.steps}
        return [by_output.get(value) for value in self.description.outputs]

    @property
    def last_activation(self) -> str:
        """What squashes the first output."""
        return self.last_activations()[0]

    @property
    def outputs_are_distances(self) -> bool:
        """Whether the smallest output is the answer, as after an RBFOutput."""
        return self.built and isinstance(self._output_layers()[0], RBFOutput)

    # Layers

    @property
    def layers(self) -> list[Layer]:
        """The layers, nested models and inputs among them, in Keras's order."""
        return list(self.topology.layers)

    def leaf_layers(self) -> list[Layer]:
        """The layers in order, with a nested model's own in its place; each one once."""
        found: dict[Layer, None] = {}
        for layer in self.layers:
            inner = layer.leaf_layers() if isinstance(layer, Assembly) else [layer]
            found.update(dict.fromkeys(inner))
        return list(found)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that place; "encoder/dense" for one in a nested model.

        Raises:
            ArgumentError: there is none.
        """
        layers = self.layers
        if (name is None) == (index is None):
            raise ArgumentError(f"{self.name}: get_layer takes a name or an index")
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ArgumentError(f"{self.name}: no layer {index}: there are {len(layers)}")
            return layers[index]
        assert name is not None
        first, _, rest = name.partition("/")
        for layer in layers:
            if layer.name == first:
                if not rest:
                    return layer
                if isinstance(layer, Assembly):
                    return layer.get_layer(rest)
        names = ", ".join(layer.name for layer in layers)
        raise ArgumentError(f"{self.name}: no layer {name!r}; there are {names}")


def output_structure(tensors: Sequence[SymbolicTensor], kind: str, names: object) -> Structure:
    """How outputs were given; those without names of their own go by their layers'."""
    if isinstance(names, list):
        return Structure(kind, names)
    return Structure(kind, numbered([tensor.layer.name for tensor in tensors]))


def _known(shape: Shape) -> tuple[int, ...]:
    return tuple(size for size in shape[1:] if size is not None)


def _listed(shapes: Sequence[Shape]) -> str:
    return ", ".join(map(str, shapes))
