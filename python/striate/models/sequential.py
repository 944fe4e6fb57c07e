"""Layers one after another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from striate.errors import ArgumentError, FormatError
from striate.layers import InputLayer, Layer, SymbolicTensor
from striate.layers.symbolic import Node
from striate.models.assembly import Assembly
from striate.models.data_adapter import numbers
from striate.models.model import Model
from striate.models.serialization import deserialize, serialize
from striate.models.structure import Structure
from striate.models.topology import Topology
from striate.models.trainer import Trainer


class Sequential(Model):
    """A stack of layers, or of models.

    It is built at once if the first entry is an Input, or has input_shape=; else by `build`, or by
    the first data that it sees. Layers that are in other models, too, share their weights.

    Args:
        layers: in order; an Input may come first.
        name: by default sequential, sequential_1, ...
    """

    def __init__(
        self,
        layers: Iterable[Layer | SymbolicTensor] | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        Trainer.__init__(self, name)  # a Model's own takes its inputs and outputs
        self._input: SymbolicTensor | None = None
        self._layers: list[Layer] = []
        self._calls: list[Node] = []  # of the layers so far, where the input's shape is known
        for layer in layers or ():
            self._append(layer)
        if not trainable:
            self.trainable = False
        self._try_build()

    def add(self, layer: Layer | SymbolicTensor) -> None:
        """Appends a layer; the layers before it keep their weights.

        Raises:
            TypeError: not a layer.
            ArgumentError: another layer has its name.
            ShapeError: it does not fit; it is then not added.
        """
        before = self._input, list(self._layers)
        self._append(layer)
        try:
            self._try_build()
        except Exception:
            self._input, self._layers = before
            raise

    def pop(self) -> Layer:
        """Removes the last layer and returns it; the layers before it keep their weights."""
        if not self._layers:
            raise ArgumentError(f"{self.name}: has no layer to remove")
        layer = self._layers.pop()
        if len(self._calls) > len(self._layers):
            layer.nodes.remove(self._calls.pop())
        if layer.home is self:
            layer.home = None
        self._topology = self._description = self._store = None
        self._try_build()
        return layer

    def _append(self, layer: Layer | SymbolicTensor) -> None:
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise TypeError(f"{self.name}: {layer.__name__} is a class: add {layer.__name__}(...)")
        if isinstance(layer, SymbolicTensor):
            if not isinstance(layer.layer, InputLayer):
                raise TypeError(
                    f"{self.name}: takes layers and an Input: {layer.name} is what a layer gave"
                )
            layer = layer.layer
        if not isinstance(layer, Layer):
            raise TypeError(f"{self.name}: a layer is a striate.layers.Layer, got {layer!r}")
        if isinstance(layer, InputLayer):
            if self._layers or self._input is not None:
                raise ArgumentError(f"{self.name}: an Input comes first, and only once")
            self._input = layer.nodes[0].outputs[0]
            return
        if any(layer.name == other.name for other in self._layers):
            raise ArgumentError(
                f"{self.name}: two layers are named {layer.name!r}: names are unique in a model"
            )
        self._layers.append(layer)
        if not self.built:
            self._out = Structure("single", [layer.name])

    def _try_build(self) -> None:
        if self._layers and self.known_input_shape() is not None:
            self.build()

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the input."""
        return list(self._layers)

    def known_input_shape(self) -> tuple[int, ...] | None:
        """The shape of a sample, where the layers say it."""
        if self._input is not None:
            return tuple(size for size in self._input.shape[1:] if size is not None)
        if not self._layers:
            return None
        first = self._layers[0]
        if isinstance(first, Assembly) and first.built and len(first.inputs) == 1:
            return first.sample_shape
        return first.given_input_shape

    def build(self, input_shape: Any = None) -> None:
        """Settles every layer's shapes; layers that had weights keep them.

        Args:
            input_shape: (batch or None, *sample shape); not needed where the first layer says it.

        Raises:
            ShapeError: the layers do not fit together; the model is then as it was.
        """
        shape = self.known_input_shape()
        if input_shape is not None:
            given = InputLayer(tuple(input_shape)[1:], name="input").shape
            if shape is not None and given != shape:
                raise ArgumentError(f"{self.name}: input_shape is {shape} already, got {given}")
            shape = given
        if shape is None:
            raise ArgumentError(
                f"{self.name}: the input's shape is not known yet: begin with Input(shape), build "
                "with build(input_shape), or call fit or predict on data"
            )
        if not self._layers:
            raise ArgumentError(f"{self.name}: has no layers")
        first = self._input
        if first is None:
            first = InputLayer(shape, name="input").nodes[0].outputs[0]
        made = self._call_new_layers(first)
        last = self._calls[-1].outputs[0]
        try:
            topology = Topology(self.name, [first], [last])
        except Exception:
            self._undo(made)
            raise
        self._input = first
        names = [topology.entries[0].name], [self._layers[-1].name]
        self._take_topology(topology, *(Structure("single", name) for name in names))

    def _call_new_layers(self, first: SymbolicTensor) -> int:
        made = 0
        try:
            for layer in self._layers[len(self._calls) :]:
                x = self._calls[-1].outputs[0] if self._calls else first
                node = layer.connect([x])
                self._calls.append(node)
                made += 1
                if len(node.outputs) != 1:
                    raise ArgumentError(
                        f"{self.name}: {layer.name} has {len(node.outputs)} outputs: Sequential "
                        "takes layers with one input and one output; use Model(inputs, outputs)"
                    )
        except Exception:
            self._undo(made)
            raise
        return made

    def _undo(self, made: int) -> None:
        for _ in range(made):
            node = self._calls.pop()
            node.layer.nodes.remove(node)

    def build_for(self, x: object) -> None:
        if not self.built:
            shape = self.known_input_shape()
            self.build((None, *(shape or numbers(x, self.name).shape[1:])))

    def get_config(self) -> dict[str, Any]:
        """The stack as JSON-able values, without weights.

        Raises:
            FormatError: a layer is not one of striate's own.
        """
        return {
            "name": self.name,
            "input_shape": list(self.sample_shape),
            "layers": [serialize(layer) for layer in self._layers],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Sequential:
        """The stack that `get_config` described, with fresh weights.

        Raises:
            FormatError: not such a config.
        """
        name, shape, layers = (config.get(key) for key in ("name", "input_shape", "layers"))
        if not isinstance(name, str) or not isinstance(layers, list):
            raise FormatError("Sequential: the config lacks a name or a list of layers")
        try:
            stack: list[Layer] = [InputLayer(shape, name="input")]
            stack.extend(deserialize(entry) for entry in layers)
            return cls(stack, name=name)
        except TypeError as error:
            raise FormatError(f"{name}: {error}") from error
