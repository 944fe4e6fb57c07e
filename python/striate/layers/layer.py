"""What every layer has in common: a name, its description in a graph, its calls and its weights.

A layer only describes: `describe` adds nodes to a graph, and the core does the arithmetic. Called
on a symbolic tensor it makes a symbolic tensor; called twice, it is shared. Its weights live in the
networks of the models that it is part of; `parameter_store` keeps those in step.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from striate import _core, activations
from striate.errors import ArgumentError, ShapeError
from striate.layers.arguments import refuse_unknown, sample_shape
from striate.layers.parameter_store import ParameterStore
from striate.layers.symbolic import Node, Shape, SymbolicTensor, symbolic
from striate.layers.weight import Weight
from striate.naming import snake_case, unique_name
from striate.regularizers import Regularizer


class Home(Protocol):
    """The first model that a layer is part of: its network draws the initial weights."""

    def materialize(self) -> ParameterStore:
        """Makes the network, if there is none yet."""


class Layer:
    """A step of a network.

    Args:
        name: unique in its model; by default the class's name and a number: conv2d, conv2d_1, ...
        trainable: False keeps the optimizer from changing the weights.
        input_shape: of one sample, for the first layer of a Sequential.
    """

    can_train = True
    """Whether `trainable` means anything to the weights."""
    several_inputs = False
    """Whether it is called on a list of tensors, as Add and Concatenate are."""

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Sequence[int] | None = None,
        dtype: str | None = None,
        **unknown: Any,
    ) -> None:
        kind = type(self).__name__
        refuse_unknown(kind, unknown)
        if dtype not in (None, "float32"):
            raise ArgumentError(f"{kind}: striate computes in float32, got dtype={dtype!r}")
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ArgumentError(f'{kind}: a name is a non-empty string without "/", got {name!r}')
        self.name = name if name is not None else unique_name(snake_case(kind))
        self._trainable = bool(trainable)
        self.given_input_shape = None if input_shape is None else sample_shape(kind, input_shape)
        self.nodes: list[Node] = []
        self.newest: ParameterStore | None = None
        self._stores: list[weakref.ref[ParameterStore]] = []
        # The first model with this layer, until some network holds the weights: its network draws
        # the initial ones, whichever model is used first.
        self.home: Home | None = None
        self.stored: int | None = None  # numbers in the weights, known from the first call on
        self.alone: Any = None  # a model of this layer only, for calls on arrays

    # Describing

    def describe(self, graph: _core.Graph, x: Any) -> int:
        """Adds this layer's nodes after value `x` of the graph; returns the id of its output.

        Args:
            x: the id of a value, or a list of them for a layer that takes several.

        Raises:
            ShapeError: the shape of `x` does not fit this layer.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how to describe itself")

    def describe_inference(self, graph: _core.Graph, x: Any) -> int:
        """As `describe`, for a layer that was called with training=False."""
        return self.describe(graph, x)

    def activate(self, graph: _core.Graph, x: int, activation: activations.Named) -> int:
        """The value after this layer's activation; `x` itself if that is linear."""
        if activation.kind == "linear":
            return x
        name = f"{self.name}/{activation.kind}"
        return graph.activation(x, name=name, kind=activation.kind, alpha=activation.alpha)

    def stored_parameters(self, graph: _core.Graph, x: Any, values: Sequence[int]) -> int:
        """How many numbers the weights of the nodes that made `values` from `x` take in memory."""
        return sum(graph.cost(value)["parameters"] for value in values)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """(batch, *sample shape), or a list of those -> (batch, *output shape).

        The batch may be None.
        """
        shapes = input_shape if self.several_inputs else [input_shape]
        return (shapes[0][0], *self._try(shapes)[0])

    def _try(self, shapes: Sequence[Shape]) -> tuple[tuple[int, ...], int]:
        """(the output's shape for one sample, numbers in the weights) for inputs (batch, ..)."""
        graph = _core.Graph()
        values = [
            graph.input(sample_shape(self.name, tuple(shape)[1:]), f"{self.name}/input{i}")
            for i, shape in enumerate(shapes)
        ]
        x = values if self.several_inputs else values[0]
        y = self.describe(graph, x)
        parameters = self.stored_parameters(graph, x, range(values[-1] + 1, y + 1))
        return tuple(graph.shape(y)), parameters

    # Calling

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """A symbolic tensor for a symbolic tensor, an array for an array; lists where it takes one.

        Args:
            inputs: symbolic tensors of a network that is being put together, or arrays (N, ..) to
                be run through the layer as it is.
            training: False fixes a symbolic call to what the layer does in inference.

        Raises:
            ShapeError: the inputs' shapes do not fit this layer.
        """
        if training:
            raise ArgumentError(
                f"{self.name}: training=True is not supported: only fit and train_on_batch train"
            )
        values = self.flatten_inputs(inputs)
        if symbolic(values, self.name):
            return self.pack_outputs(self.connect(values, training is False).outputs)
        return self.run(values)

    def flatten_inputs(self, inputs: Any) -> list[Any]:
        """The inputs of a call as a list."""
        listed = isinstance(inputs, (list, tuple)) and any(
            isinstance(value, (SymbolicTensor, np.ndarray)) for value in inputs
        )
        if self.several_inputs:
            if not listed:
                raise ArgumentError(f"{self.name}: takes a list of tensors, got {inputs!r}")
            return list(inputs)
        if not listed:
            return [inputs]
        if len(inputs) != 1:
            raise ArgumentError(
                f"{self.name}: takes one input, got {len(inputs)}: merge them first, with "
                "Concatenate or Add"
            )
        return [inputs[0]]

    def takes(self, count: int) -> bool:
        """Whether it can be called on that many tensors."""
        return self.several_inputs or count == 1

    def pack_outputs(self, outputs: Sequence[Any]) -> Any:
        """The outputs of a call as the caller gets them."""
        return outputs[0]

    def connect(self, inputs: Sequence[SymbolicTensor], inference: bool = False) -> Node:
        """A call on symbolic tensors."""
        try:
            shapes = self.shapes_after([tensor.shape for tensor in inputs])
        except ShapeError as error:
            raise ShapeError(f"{error}{self._hint(inputs)}") from None
        node = Node(self, inputs, shapes, inference=inference)
        self.nodes.append(node)
        return node

    def _hint(self, inputs: Sequence[SymbolicTensor]) -> str:
        """What a message about the inputs' shapes goes on with."""
        from striate.models.smallest_input import size_hint

        if len(inputs) > 1:
            named = " and ".join(f"{tensor.name} {tensor.shape}" for tensor in inputs)
            return f" (its inputs are {named})"
        return size_hint(inputs[0], self.check_input)

    def check_input(self, shape: Shape) -> None:
        """Raises ShapeError if an input of that shape does not fit."""
        self._try([shape])

    def shapes_after(self, shapes: list[Shape]) -> list[Shape]:
        """The shapes of a call's outputs.

        Raises:
            ShapeError: the inputs do not fit, or ask for other weights than an earlier call's did.
        """
        shape, parameters = self._try(shapes)
        if self.stored not in (None, parameters):
            before = self.nodes[0].inputs[0].shape if self.nodes else "other inputs"
            raise ShapeError(
                f"{self.name}: its weights are made for inputs {before}, got {shapes[0]}: a layer "
                "that is called again keeps its weights, so its inputs have the same features"
            )
        self.stored = parameters
        return [(None, *shape)]

    def run(self, values: list[Any]) -> Any:
        """A call on arrays: the layer's output for each sample, as in inference."""
        from striate.models.alone import run_alone

        return run_alone(self, values)

    @property
    def input(self) -> Any:
        """The symbolic tensor that it was first called on, or the list of them."""
        node = self._first_node()
        return list(node.inputs) if self.several_inputs else node.inputs[0]

    @property
    def output(self) -> Any:
        """What it gave when it was first called."""
        return self.pack_outputs(self._first_node().outputs)

    def _first_node(self) -> Node:
        if not self.nodes:
            raise ArgumentError(
                f"{self.name}: has no input and no output yet: it is not part of a model that "
                "knows its input's shape"
            )
        return self.nodes[0]

    def inner_topology(self) -> Any:
        """The calls that this layer consists of, if it is a model; else None."""
        return None

    # Configuration

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes to make this layer again, as JSON-able values."""
        config: dict[str, Any] = {"name": self.name, "trainable": self._trainable}
        if self.given_input_shape is not None:
            config["input_shape"] = list(self.given_input_shape)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Layer:
        """The layer that `get_config` described."""
        return cls(**config)

    # Weights

    def regularizer_of(self, weight: str) -> Regularizer | None:
        """The penalty on the weight of that name: an attribute kernel_regularizer .., if any."""
        regularizer: Regularizer | None = getattr(self, f"{weight}_regularizer", None)
        return regularizer

    def stores(self) -> list[ParameterStore]:
        """The networks that hold this layer's weights."""
        return [store for reference in self._stores if (store := reference()) is not None]

    def is_held_only_by(self, store: ParameterStore) -> bool:
        """Whether no other network holds the weights, nor newer ones."""
        return self.newest is store and all(
            reference() in (None, store) for reference in self._stores
        )

    def hold(self, stores: Sequence[ParameterStore]) -> None:
        """Called by a new network: these hold the weights from now on."""
        self._stores = [weakref.ref(store) for store in stores]

    def store(self) -> ParameterStore | None:
        """The network with the newest weights; None before the layer is part of a model."""
        if self.newest is not None:
            return self.newest
        home = self.home
        if home is None and self.nodes and self.stored:
            from striate.models.alone import model_of

            home = model_of(self, [tensor.shape for tensor in self.nodes[0].inputs])
        return None if home is None else home.materialize()

    def require_store(self) -> ParameterStore:
        """`store`, where the layer has weights.

        Raises:
            ArgumentError: the layer is not part of a model yet.
        """
        store = self.store()
        if store is None:
            raise ArgumentError(
                f"{self.name}: is not built yet: add it to a model that knows its input shape"
            )
        return store

    def _has_no_weights(self) -> bool:
        return self.built and not self.stored

    @property
    def built(self) -> bool:
        """Whether the shapes of the input and so of the weights are known."""
        return bool(self.nodes)

    @property
    def trainable(self) -> bool:
        """Whether the optimizer changes the weights; setting it acts from the next step on."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        if self.can_train:
            for store in self.stores():
                store.set_trainable(self, self._trainable)

    @property
    def input_shape(self) -> Any:
        """(None, *shape of one sample), or a list of those."""
        node = self._first_node()
        shapes = [tensor.shape for tensor in node.inputs]
        return shapes if self.several_inputs else shapes[0]

    @property
    def output_shape(self) -> Any:
        """(None, *shape of one output)."""
        return self._first_node().outputs[0].shape

    @property
    def weights(self) -> list[Weight]:
        """The layer's weights, kernel before bias; empty before the layer is built."""
        store = self.store()
        if store is None:
            return []
        return [Weight(self, place, store.infos[i]) for place, i in enumerate(store.indices[self])]

    @property
    def trainable_weights(self) -> list[Weight]:
        """Those of the weights that the optimizer changes."""
        return [weight for weight in self.weights if weight.trainable]

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """Those of the weights that stay as they are."""
        return [weight for weight in self.weights if not weight.trainable]

    def get_weights(self) -> list[NDArray[np.float32]]:
        """Copies of the weights, kernel (HWIO or [in, out]) before bias."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replaces all the weights.

        Raises:
            ShapeError: the wrong number or shapes; then nothing has changed.
        """
        if self._has_no_weights():
            if weights:
                raise ShapeError(f"{self.name}: has no weights, got {len(weights)}")
            return
        store = self.require_store()
        store.assign(store.indices[self], list(weights), self.name)

    def count_params(self) -> int:
        """How many parameters there are; absent connections of a table are not counted."""
        if self._has_no_weights():
            return 0
        store = self.require_store()
        return sum(int(store.infos[i]["count"]) for i in store.indices[self])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"
