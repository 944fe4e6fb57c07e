"""Layers one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from striate import _core
from striate.errors import ArgumentError, FormatError
from striate.layers import InputLayer, Layer, deserialize, serialize
from striate.models.assembly import Step
from striate.models.model import Model


class Sequential(Model):
    """A stack of layers.

    It is built at once if the first entry is an Input, or has input_shape=; else by `build`, or by
    the first data that it sees. Layers taken from a built model bring copies of their weights.

    Args:
        layers: in order; an Input may come first.
        name: by default sequential, sequential_1, ...
    """

    def __init__(
        self,
        layers: Iterable[Layer] | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name)
        self._input: InputLayer | None = None
        self._layers: list[Layer] = []
        for layer in layers or ():
            self._append(layer)
        if not trainable:
            self.trainable = False
        self._try_build()

    def add(self, layer: Layer) -> None:
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
        self._forget()
        self._try_build()
        return layer

    def _append(self, layer: Layer) -> None:
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise TypeError(f"{self.name}: {layer.__name__} is a class: add {layer.__name__}(...)")
        if not isinstance(layer, Layer):
            raise TypeError(f"{self.name}: a layer is a striate.layers.Layer, got {layer!r}")
        if isinstance(layer, InputLayer):
            if self._layers or self._input is not None:
                raise ArgumentError(f"{self.name}: an Input comes first, and only once")
            self._input = layer
            return
        if any(layer.name == other.name for other in self._layers):
            raise ArgumentError(
                f"{self.name}: two layers are named {layer.name!r}: names are unique in a model"
            )
        self._layers.append(layer)

    def _try_build(self) -> None:
        if self._layers and self.known_input_shape() is not None:
            self.build()

    def _forget(self) -> None:
        self._network = None
        self._graph = None
        self._steps = []

    @property
    def layers(self) -> list[Layer]:
        return list(self._layers)

    def known_input_shape(self) -> tuple[int, ...] | None:
        if self._input is not None:
            return self._input.shape
        if self._layers and self._layers[0].given_input_shape is not None:
            return self._layers[0].given_input_shape
        return self._sample_shape or None

    def describe(self, shape: tuple[int, ...]) -> tuple[_core.Graph, int, list[Step]]:
        if not self._layers:
            raise ArgumentError(f"{self.name}: has no layers")
        graph = _core.Graph()
        value = graph.input(shape, self._input.name if self._input is not None else "input")
        steps = []
        for layer in self._layers:
            before, value = value, layer.describe(graph, value)
            steps.append(Step(layer, graph, before, value))
        return graph, value, steps

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
    def from_config(
        cls,
        config: Mapping[str, Any],
        before_build: Callable[[Sequential, _core.Graph, list[Step]], None] | None = None,
    ) -> Sequential:
        """The stack that `get_config` described, with fresh weights.

        Args:
            config: as from get_config.
            before_build: called with the model and its description before memory is taken.

        Raises:
            FormatError: not such a config.
        """
        name, shape, layers = (config.get(key) for key in ("name", "input_shape", "layers"))
        if not isinstance(name, str) or not isinstance(layers, list):
            raise FormatError("Sequential: the config lacks a name or a list of layers")
        model = cls(name=name)
        try:
            model._append(InputLayer(shape, name="input"))
            for entry in layers:
                model._append(deserialize(entry))
        except TypeError as error:
            raise FormatError(f"{name}: {error}") from error
        if before_build is not None:
            assert model._input is not None
            graph, _, steps = model.describe(model._input.shape)
            before_build(model, graph, steps)
        model._try_build()
        return model
