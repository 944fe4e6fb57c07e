"""A model's network and its weights, kept in step with those of models that share layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate import _core, utils
from striate.errors import ArgumentError
from striate.layers import Weight
from striate.layers.parameter_store import ParameterStore
from striate.models.assembly import Assembly
from striate.models.structure import Structure
from striate.models.topology import Topology

PRECISIONS = ("float32", "strict", "bfloat16")


class Weighted(Assembly):
    """Layers put together, and the network that they make.

    The network is made when something asks for it, and its weights are drawn when something needs
    them: until then a model takes no memory.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._seed: int | None = None
        self._store: ParameterStore | None = None
        self._precision = "float32"

    def _take_topology(self, topology: Topology, inputs: Structure, outputs: Structure) -> None:
        """Called when the layers are known, at first or anew; weights that they have stay."""
        super()._take_topology(topology, inputs, outputs)
        self._store = None
        self._seed = self.seed  # takes its number now: seeds go by the order of building
        for layer in self.leaf_layers():
            if layer.stored and layer.newest is None and layer.home is None:
                layer.home = self

    def materialize(self) -> ParameterStore:
        """Makes the network if there is none; layers that have weights already keep them.

        Raises:
            ShapeError: a layer's weights are of other shapes than this model asks for.
        """
        if self._store is not None:
            return self._store
        description = self.description
        for layer in description.names:
            home = layer.home
            if home is not None and home is not self:
                home.materialize()  # initial weights are those of the layer's first model
        network = _core.Network(description.graph, description.outputs, self.seed)
        network.precision = self._precision
        store = ParameterStore(network, description.names, self)
        store.adopt()
        self._store = store
        return store

    def is_current(self, store: ParameterStore) -> bool:
        """Whether this is the model's store, rather than that of a network that was replaced."""
        return store is self._store

    @property
    def network(self) -> _core.Network:
        """The core's network, with the newest weights of layers that other models train.

        Raises:
            ArgumentError: the model is not built.
        """
        store = self._store or self.materialize()
        if store.shared:
            store.refresh()
        return store.network

    def network_to_update(self) -> _core.Network:
        """The core's network, for a call that changes its weights."""
        store = self._store or self.materialize()
        store.begin_update()
        return store.network

    @property
    def seed(self) -> int:
        """Keys the weights, dropout and the order of samples; see set_random_seed.

        It can be set until the network is made.
        """
        if self._seed is None:
            self._seed = utils.next_model_seed()
        return self._seed

    @seed.setter
    def seed(self, value: int) -> None:
        if self._store is not None:
            raise ArgumentError(f"{self.name}: has its weights already, of seed {self._seed}")
        self._seed = int(value) % 2**64

    @property
    def precision(self) -> str:
        """How products may be rounded.

        "float32": 3x3 convolutions of stride 1 may use Winograd's minimal filtering F(4x4, 3x3)
        (Lavin and Gray 2016), two to three times as fast, some 1e-6 of the range apart from the
        sum. "strict": every convolution is the sum over its taps. "bfloat16": as "float32", but the
        other convolutions and, in inference, dense layers round the factors of their products to
        bfloat16, some 0.4 % of a factor, and sum in float32: nearly twice as fast. Weights,
        activations, gradients and the optimizer's numbers stay float32. Networks below 2**21
        parameters (2**19 where kernels are large) train as with "float32".

        Raises:
            ArgumentError: set to another name, or to "bfloat16" where the CPU has no AVX512-BF16
                (or STRIATE_ISA chose other kernels).
        """
        return self._precision

    @precision.setter
    def precision(self, value: str) -> None:
        if value not in PRECISIONS:
            raise ArgumentError(
                f"{self.name}: precision is one of {', '.join(map(repr, PRECISIONS))}; "
                f"got {value!r}"
            )
        if value == "bfloat16" and not _core.has_bfloat16():
            raise ArgumentError(
                f'{self.name}: precision="bfloat16" needs a CPU with AVX512-BF16; '
                f"the kernels in use are for {_core.isa()}"
            )
        self._precision = value
        if self._store is not None:
            self._store.network.precision = value

    def _weight_indices(self) -> list[int]:
        """The network's parameters in the order of `weights`."""
        store = self.materialize()
        return [i for layer in self.leaf_layers() for i in store.indices.get(layer, [])]

    @property
    def weights(self) -> list[Weight]:
        """Every weight, layer by layer, kernel before bias; empty before the model is built."""
        if not self.built:
            return []
        store = self.materialize()
        return [
            Weight(layer, place, store.infos[index])
            for layer in self.leaf_layers()
            for place, index in enumerate(store.indices.get(layer, []))
        ]

    @property
    def trainable(self) -> bool:
        """Whether any layer is; setting it sets every layer, in nested models too."""
        layers = [layer for layer in self.layers if layer.can_train]
        return not layers or any(layer.trainable for layer in layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.layers:
            layer.trainable = value

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replaces all weights, in the order of `weights`.

        Raises:
            ShapeError: the wrong number or shapes; then nothing has changed.
        """
        self.materialize().assign(self._weight_indices(), list(weights), self.name)

    def get_weights(self) -> list[NDArray[np.float32]]:
        """Copies of all weights, in the order of `weights`."""
        return [weight.numpy() for weight in self.weights]

    def count_params(self) -> int:
        """How many parameters there are; absent connections of a table are not counted."""
        return sum(step.cost(self.graph)["parameters"] for step in self.steps)

    def weights_hash(self) -> str:
        """64 bits of hash over all weights, as hex: equal weights, equal hash."""
        return self.network.weights_hash()
