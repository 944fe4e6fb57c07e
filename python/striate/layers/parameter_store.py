"""The parameters of one network by layer, kept in step with other networks of the same layers.

Every model has a network of its own, with flat buffers of its own. A layer that is in several
models (an encoder, a feature extractor, a model inside another one) has one set of weights all the
same: the layer knows which network has written them last, and a network that is about to run takes
over what is newer elsewhere. For a model that shares nothing, that is one look at an empty list.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from striate import _core
from striate.errors import ShapeError
from striate.layers.weight import checked

if TYPE_CHECKING:
    from striate.layers.layer import Layer


class Holder(Protocol):
    """A model, as its network's store sees it."""

    name: str

    def is_current(self, store: ParameterStore) -> bool:
        """Whether this is the model's store, rather than that of a network that was replaced."""


class ParameterStore:
    """A network, and which of its parameters are which layer's.

    Args:
        network: of one model.
        names: of each layer in the network, such as "encoder/dense".
        model: that the network is of.

    Attributes:
        indices: of each layer's parameters in the network, kernel before bias.
        shared: the layers whose weights other networks have changed or may change.
    """

    __slots__ = (
        "__weakref__", "_infos", "_model", "_seen", "_version", "indices", "network", "owner",
        "shared",
    )  # fmt: skip

    def __init__(self, network: _core.Network, names: Mapping[Layer, str], model: Holder) -> None:
        self.network = network
        self.owner = model.name
        self.indices: dict[Layer, list[int]] = {layer: [] for layer in names}
        self.shared: list[Layer] = []
        self._model = weakref.ref(model)
        self._infos: list[dict[str, Any]] | None = None
        self._version = 0
        self._seen: dict[Layer, tuple[weakref.ref[ParameterStore], int]] = {}
        by_name = {name: layer for layer, name in names.items()}
        for index, info in enumerate(self.infos):
            layer = by_name[_layer_name(info["layer"], by_name)]
            self.indices[layer].append(index)
            regularizer = layer.regularizer_of(info["name"].rsplit("/", 1)[-1])
            if regularizer is not None:
                network.set_regularizer(index, regularizer.l1, regularizer.l2)

    @property
    def retired(self) -> bool:
        """Whether the model is gone or has another network now."""
        model = self._model()
        return model is None or not model.is_current(self)

    @property
    def infos(self) -> list[dict[str, Any]]:
        """What the network says of each parameter: name, layer, shape, trainable, count."""
        if self._infos is None:
            self._infos = self.network.parameters()
        return self._infos

    def adopt(self) -> None:
        """Registers with the layers; weights that they have already come with the next refresh.

        Raises:
            ShapeError: a layer's weights have other shapes here; nothing is registered then.
        """
        layers = [layer for layer, indices in self.indices.items() if indices]
        for layer in layers:
            self._check_shapes(layer)
        for layer in layers:
            others = [store for store in layer.stores() if not store.retired]
            for other in others:
                if layer not in other.shared:
                    other.shared.append(layer)
            if layer.newest is None:
                layer.newest, layer.home = self, None
            if others or layer.newest is not self:
                self.shared.append(layer)
            layer.hold([*others, self])
            if not layer.trainable:
                self.set_trainable(layer, False)

    def _check_shapes(self, layer: Layer) -> None:
        newest = layer.newest
        if newest is None:
            return
        there = [newest.infos[i] for i in newest.indices[layer]]
        here = [self.infos[i] for i in self.indices[layer]]
        if [info["shape"] for info in there] != [info["shape"] for info in here]:
            raise ShapeError(
                f"{layer.name}: its weights in {newest.owner} are {_listed(there)}, in "
                f"{self.owner} they would be {_listed(here)}: a layer that models share takes "
                "inputs of one shape"
            )

    def refresh(self) -> None:
        """Takes over what other networks have made of the shared layers' weights."""
        for layer in self.shared:
            newest = layer.newest
            if newest is None or newest is self:
                continue
            seen = self._seen.get(layer)
            if seen is None or seen[0]() is not newest or seen[1] != newest._version:
                self._copy(layer, newest)
            if newest.retired:
                layer.newest = self
        newest = None  # so that a retired store goes with the last layer that knew it
        self.shared = [layer for layer in self.shared if not layer.is_held_only_by(self)]

    def _copy(self, layer: Layer, source: ParameterStore) -> None:
        for to, index in zip(self.indices[layer], source.indices[layer], strict=True):
            self.network.set_parameter(to, source.network.get_parameter(index))
        self._seen[layer] = weakref.ref(source), source._version

    def begin_update(self) -> None:
        """To be called before the network's parameters change: from now on they are the newest."""
        self._version += 1
        if self.shared:
            self.refresh()
            for layer in self.shared:
                layer.newest = self

    def set_trainable(self, layer: Layer, trainable: bool) -> None:
        """Lets the optimizer change this layer's parameters, or not."""
        for name in dict.fromkeys(self.infos[i]["layer"] for i in self.indices[layer]):
            self.network.set_layer_trainable(name, trainable)
        self._infos = None

    def assign(self, indices: list[int], values: list[Any], owner: str) -> None:
        """Sets several parameters, or none if any of `values` does not fit.

        Raises:
            ShapeError: the wrong number or shapes.
        """
        infos = [self.infos[i] for i in indices]
        if len(values) != len(indices):
            raise ShapeError(
                f"{owner}: has {len(indices)} weights ({_listed(infos) or 'none'}), "
                f"got {len(values)}"
            )
        arrays = [
            checked(info["name"], tuple(info["shape"]), value)
            for info, value in zip(infos, values, strict=True)
        ]
        self.begin_update()
        for index, array in zip(indices, arrays, strict=True):
            self.network.set_parameter(index, array)

    def value(self, index: int) -> NDArray[np.float32]:
        """A copy of a parameter."""
        return self.network.get_parameter(index)


def _layer_name(name: str, known: Mapping[str, Any]) -> str:
    """The layer that a node belongs to: "sep" for the node "sep/depthwise"."""
    while name not in known:
        if "/" not in name:
            raise KeyError(name)
        name = name.rpartition("/")[0]
    return name


def _listed(infos: list[dict[str, Any]], most: int = 6) -> str:
    shown = ", ".join(f"{info['name']} {tuple(info['shape'])}" for info in infos[:most])
    return shown + (", .." if len(infos) > most else "")
