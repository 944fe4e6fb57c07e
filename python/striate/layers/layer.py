"""What every layer has in common: a name, its description in a graph, and its weights once built.

A layer only describes: `describe` adds nodes to a graph, and the core does the arithmetic. A layer
may be described more than once; its weights are those of the model that was built with it last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate import _core, activations
from striate.errors import ArgumentError
from striate.layers.arguments import refuse_unknown, sample_shape
from striate.layers.weight import Weight, set_all
from striate.naming import snake_case, unique_name
from striate.regularizers import Regularizer


class Layer:
    """A step of a network.

    Args:
        name: unique in its model; by default the class's name and a number: conv2d, conv2d_1, ...
        trainable: False keeps the optimizer from changing the weights.
        input_shape: of one sample, for the first layer of a Sequential.
    """

    can_train = True
    """Whether `trainable` means anything to the weights."""

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
        self._network: _core.Network | None = None
        self._indices: list[int] = []
        self._input_shape: tuple[int, ...] | None = None
        self._output_shape: tuple[int, ...] | None = None

    # Describing

    def describe(self, graph: _core.Graph, x: int) -> int:
        """Adds this layer's nodes after value `x` of the graph; returns the id of its output.

        Raises:
            ShapeError: the shape of `x` does not fit this layer.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how to describe itself")

    def activate(self, graph: _core.Graph, x: int, activation: activations.Named) -> int:
        """The value after this layer's activation; `x` itself if that is linear."""
        if activation.kind == "linear":
            return x
        name = f"{self.name}/{activation.kind}"
        return graph.activation(x, name=name, kind=activation.kind, alpha=activation.alpha)

    def stored_parameters(self, graph: _core.Graph, x: int, values: Sequence[int]) -> int:
        """How many numbers the weights of the nodes that made `values` from `x` take in memory."""
        return sum(graph.cost(value)["parameters"] for value in values)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """(batch, *sample shape) -> (batch, *output shape); the batch may be None."""
        graph = _core.Graph()
        x = graph.input(sample_shape(self.name, tuple(input_shape)[1:]))
        return (input_shape[0], *graph.shape(self.describe(graph, x)))

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

    # Once built

    def bind(
        self,
        network: _core.Network,
        indices: list[int],
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
    ) -> None:
        """Called by the model that built `network`: these of its parameters are this layer's.

        A layer's attribute kernel_regularizer, bias_regularizer .. goes with its weight of that
        name.
        """
        infos = network.parameters()
        for index in indices:
            weight = infos[index]["name"].rsplit("/", 1)[-1]
            regularizer: Regularizer | None = getattr(self, f"{weight}_regularizer", None)
            if regularizer is not None:
                network.set_regularizer(index, regularizer.l1, regularizer.l2)
        self._network = network
        self._indices = indices
        self._input_shape = input_shape
        self._output_shape = output_shape

    @property
    def built(self) -> bool:
        """Whether a model has been built with this layer."""
        return self._network is not None

    @property
    def trainable(self) -> bool:
        """Whether the optimizer changes the weights; setting it acts from the next step on."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        if self._network is not None and self.can_train:
            for index in self._indices:
                self._network.set_trainable(index, self._trainable)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """(None, *shape of one sample)."""
        self._require_built()
        assert self._input_shape is not None
        return (None, *self._input_shape)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """(None, *shape of one output)."""
        self._require_built()
        assert self._output_shape is not None
        return (None, *self._output_shape)

    @property
    def weights(self) -> list[Weight]:
        """The layer's weights, kernel before bias; empty before the layer is built."""
        if self._network is None:
            return []
        infos = self._network.parameters()
        return [Weight(self._network, i, infos[i]) for i in self._indices]

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
        self._require_built()
        assert self._network is not None
        set_all(self._network, self._indices, list(weights), self.name)

    def count_params(self) -> int:
        """How many parameters there are; absent connections of a table are not counted."""
        self._require_built()
        assert self._network is not None
        infos = self._network.parameters()
        return sum(int(infos[i]["count"]) for i in self._indices)

    def _require_built(self) -> None:
        if self._network is None:
            raise ArgumentError(
                f"{self.name}: is not built yet: add it to a model that knows its input shape"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"
