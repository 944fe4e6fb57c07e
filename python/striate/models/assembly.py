"""A network put together from layers: what it is built from, and the weights it then has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate import _core, utils
from striate.errors import ArgumentError
from striate.layers import InputLayer, Layer, RBFOutput, Weight
from striate.layers.weight import set_all
from striate.models.data_adapter import numbers
from striate.naming import snake_case, unique_name


class Step:
    """A layer's place in a built model: its values in the graph, and the shapes around it."""

    def __init__(self, layer: Layer, graph: _core.Graph, before: int, after: int) -> None:
        self.layer = layer
        self.input = before
        self.values = range(before + 1, after + 1)  # values are numbered as they are added
        self.input_shape = tuple(graph.shape(before))
        self.output_shape = tuple(graph.shape(after))

    def cost(self, graph: _core.Graph) -> dict[str, int]:
        """The sum of the layer's nodes' costs."""
        total = {"macs": 0, "connections": 0, "parameters": 0, "trainable": 0}
        for value in self.values:
            for name, count in graph.cost(value).items():
                total[name] = total.get(name, 0) + count
        return total


class Assembly(ABC):
    """Layers that a subclass puts in order, and the network that they make.

    Attributes:
        name: by default the class's, with a number.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name or unique_name(snake_case(type(self).__name__))
        self._seed: int | None = None
        self._graph: _core.Graph | None = None
        self._network: _core.Network | None = None
        self._steps: list[Step] = []
        self._sample_shape: tuple[int, ...] = ()
        self._output_shape: tuple[int, ...] = ()

    # Building

    @abstractmethod
    def describe(self, shape: tuple[int, ...]) -> tuple[_core.Graph, int, list[Step]]:
        """The model as a graph, for samples of this shape: (graph, output value, its layers)."""

    @property
    @abstractmethod
    def layers(self) -> list[Layer]:
        """The layers in order, without the input."""

    @abstractmethod
    def known_input_shape(self) -> tuple[int, ...] | None:
        """The shape of a sample, where the layers say it."""

    def build(self, input_shape: Sequence[int | None] | None = None) -> None:
        """Makes the network and its initial weights; layers that had weights keep them.

        Args:
            input_shape: (batch or None, *sample shape); not needed where the first layer says it.

        Raises:
            ShapeError: the layers do not fit together; the model is then as it was.
        """
        shape = self.known_input_shape()
        if input_shape is not None:
            given = InputLayer(tuple(input_shape)[1:], name="input").shape  # type: ignore[arg-type]
            if shape is not None and given != shape:
                raise ArgumentError(f"{self.name}: input_shape is {shape} already, got {given}")
            shape = given
        if shape is None:
            raise ArgumentError(
                f"{self.name}: the input's shape is not known: begin with Input(shape), build with "
                "build(input_shape), or call fit or predict on data"
            )
        graph, output, steps = self.describe(shape)
        network = _core.Network(graph, output, self.seed)
        self._adopt(graph, network, steps)
        self._sample_shape = shape
        self._output_shape = tuple(graph.shape(output))
        self.after_build()

    @abstractmethod
    def after_build(self) -> None:
        """Called when there is a new network."""

    def _adopt(self, graph: _core.Graph, network: _core.Network, steps: list[Step]) -> None:
        infos = network.parameters()
        for step in steps:
            layer = step.layer
            indices = [i for i, info in enumerate(infos) if info["layer"] == layer.name]
            old = layer.get_weights()
            if len(old) == len(indices) and all(
                a.shape == tuple(infos[i]["shape"]) for a, i in zip(old, indices, strict=True)
            ):
                for array, index in zip(old, indices, strict=True):
                    network.set_parameter(index, array)
            layer.bind(network, indices, step.input_shape, step.output_shape)
        self._graph, self._network, self._steps = graph, network, steps

    def build_for(self, x: object) -> None:
        """Builds the model for data like `x`, unless it is built."""
        if self._network is None:
            shape = self.known_input_shape()
            self.build((None, *(shape or numbers(x, self.name).shape[1:])))

    @property
    def built(self) -> bool:
        """Whether the network exists."""
        return self._network is not None

    @property
    def network(self) -> _core.Network:
        """The core's network.

        Raises:
            ArgumentError: the model is not built.
        """
        if self._network is None:
            self.build()
        assert self._network is not None
        return self._network

    @property
    def graph(self) -> _core.Graph:
        """The core's graph."""
        assert self.network is not None and self._graph is not None
        return self._graph

    @property
    def steps(self) -> list[Step]:
        """The layers in their places."""
        assert self.network is not None
        return self._steps

    @property
    def seed(self) -> int:
        """Keys the weights, dropout and the order of samples; see set_random_seed.

        It can be set until the model is built.
        """
        if self._seed is None:
            self._seed = utils.next_model_seed()
        return self._seed

    @seed.setter
    def seed(self, value: int) -> None:
        if self._network is not None:
            raise ArgumentError(f"{self.name}: is built already, with seed {self._seed}")
        self._seed = int(value) % 2**64

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        assert self.network is not None
        return self._sample_shape

    @property
    def output_size(self) -> int:
        """How many numbers come out for one sample."""
        return int(np.prod(self._output_shape, dtype=np.int64))

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """(None, *shape of one sample)."""
        return (None, *self.sample_shape)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """(None, *shape of one output)."""
        assert self.network is not None
        return (None, *self._output_shape)

    @property
    def last_activation(self) -> str:
        """What squashes the outputs: "softmax", "linear" ..; "unknown" where no layer says."""
        last = self._steps[-1].layer
        named = getattr(last, "activation", None)
        if hasattr(last, "as_activation"):
            named = last.as_activation()
        return "unknown" if named is None else str(named.kind)

    @property
    def outputs_are_distances(self) -> bool:
        """Whether the smallest output is the answer, as after an RBFOutput."""
        return bool(self.layers) and isinstance(self.layers[-1], RBFOutput)

    # Layers and weights

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that place.

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
        for layer in layers:
            if layer.name == name:
                return layer
        names = ", ".join(layer.name for layer in layers)
        raise ArgumentError(f"{self.name}: no layer {name!r}; there are {names}")

    @property
    def weights(self) -> list[Weight]:
        """Every weight, layer by layer, kernel before bias; empty before the model is built."""
        if self._network is None:
            return []
        infos = self._network.parameters()
        return [Weight(self._network, i, info) for i, info in enumerate(infos)]

    @property
    def trainable_weights(self) -> list[Weight]:
        """Those of the weights that the optimizer changes."""
        return [weight for weight in self.weights if weight.trainable]

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """Those of the weights that stay as they are."""
        return [weight for weight in self.weights if not weight.trainable]

    @property
    def trainable(self) -> bool:
        """Whether any layer is; setting it sets every layer."""
        return any(layer.trainable for layer in self.layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.layers:
            layer.trainable = value

    def get_weights(self) -> list[NDArray[np.float32]]:
        """Copies of all weights, in the order of `weights`."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replaces all weights, in the order of `weights`.

        Raises:
            ShapeError: the wrong number or shapes; then nothing has changed.
        """
        network = self.network
        set_all(network, list(range(len(network.parameters()))), list(weights), self.name)

    def count_params(self) -> int:
        """How many parameters there are; absent connections of a table are not counted."""
        return sum(int(info["count"]) for info in self.network.parameters())

    def weights_hash(self) -> str:
        """64 bits of hash over all weights, as hex: equal weights, equal hash."""
        return self.network.weights_hash()

    def memory(self, batch_size: int, training: bool = True) -> dict[str, int]:
        """Bytes that the network takes, by purpose, for batches of this size."""
        return self.network.memory(batch_size, training)
