"""The functional model: any directed acyclic graph of layers, trained, run, shown and saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, ValuesView
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.errors import ArgumentError
from striate.layers import SymbolicTensor
from striate.models import evaluation, saving, summary
from striate.models.arguments import (
    FIT_HARMLESS,
    SUMMARY_HARMLESS,
    ignore_harmless,
    refuse_unknown,
)
from striate.models.assembly import output_structure
from striate.models.serialization import functional_config, functional_parts
from striate.models.structure import Structure, flat_tensors
from striate.models.topology import Topology
from striate.models.trainer import Callbacks, Trainer

_FLOAT32 = np.dtype(np.float32)
Path = str | PathLike[str]


class Model(Trainer):
    """A network made of the layers between some inputs and some outputs.

        inputs = Input((32, 32, 3))
        x = layers.Conv2D(16, 3, padding="same")(inputs)
        outputs = layers.Add()([x, layers.Conv2D(16, 1)(inputs)])
        model = Model(inputs, outputs)

    Any directed acyclic graph will do, with several inputs and outputs, layers that are called more
    than once, and models called like layers. Models with layers in common share the weights.

    Args:
        inputs: tensors from Input, or from the middle of another model; one, a list or a dict.
        outputs: tensors that depend on those inputs: one, a list or a dict.
        name: by default model, model_1, ...
        trainable: False freezes all the layers.

    Raises:
        TypeError: not tensors.
        ArgumentError: an Input that is missing or leads nowhere, two layers of one name.
    """

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        name: str | None = None,
        *,
        trainable: bool = True,
    ) -> None:
        super().__init__(name)
        if inputs is None or outputs is None:
            raise ArgumentError(
                f"{self.name}: a Model is Model(inputs, outputs), of tensors that Input and layers "
                "gave; a class of one's own with a call method is not supported"
            )
        into, into_kind, into_names = flat_tensors(inputs, "inputs", self.name)
        out, out_kind, out_names = flat_tensors(outputs, "outputs", self.name)
        topology = Topology(self.name, into, out, into_names)
        self._take_topology(
            topology,
            Structure(into_kind, into_names or [entry.name for entry in topology.entries]),
            output_structure(out, out_kind, out_names),
        )
        if not trainable:
            self.trainable = False

    def build(self, input_shape: Any = None) -> None:
        """Nothing to do: a functional model is built when it is made."""

    def build_for(self, x: object) -> None:
        pass

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = 0,
        steps: int | None = None,
        callbacks: Callbacks = None,
        **harmless: Any,
    ) -> Any:
        """The outputs (N, *output shape) for samples (N, *sample shape).

        Several outputs come as a list, or as the dict that they were given as.

        Args:
            x: an array; for several inputs a list or a dict by name; or batches as `fit` takes
                them.
            batch_size: samples a call into the core; all of them by default.
        """
        if harmless:
            ignore_harmless("predict", harmless, FIT_HARMLESS)
        if (
            type(x) is np.ndarray
            and callbacks is None
            and batch_size is None
            and x.dtype is _FLOAT32  # numpy has one; others that are equal go the other way
            and x.shape[1:] == self._only_shape
            and x.flags.c_contiguous
            and len(x)
            and (store := self._store) is not None
            and steps is None
        ):
            if store.shared:
                store.refresh()
            if self._out.kind == "single":
                return store.network.predict(x)
            return self.pack_outputs(store.network.predict([x]))
        return evaluation.predict(self, x, batch_size, steps, callbacks)

    def predict_on_batch(self, x: Any) -> Any:
        """`predict` for one batch."""
        return self.predict(x)

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """`predict` for arrays; for symbolic tensors, this model as a part of another one."""
        if type(inputs) is not np.ndarray:
            given = inputs.values() if isinstance(inputs, Mapping) else inputs
            if isinstance(given, SymbolicTensor) or (
                isinstance(given, (list, tuple, Mapping, ValuesView))
                and any(isinstance(value, SymbolicTensor) for value in given)
            ):
                return super().__call__(inputs, training)
        if training:
            raise ArgumentError(f"{self.name}: training=True is not supported: fit trains")
        return self.predict(inputs)

    def predict_classes(self, x: Any, batch_size: int | None = None) -> NDArray[np.int64]:
        """The answer for each sample, int64 (N,).

        The class of the largest output; of the smallest, where outputs are distances (RBFOutput);
        0 or 1, for a single output (a probability, or a logit after a linear layer). Of several
        outputs, the first one answers.
        """
        outputs = self.predict(x, batch_size)
        if isinstance(outputs, (list, dict)):
            outputs = outputs[0] if isinstance(outputs, list) else next(iter(outputs.values()))
        outputs = outputs.reshape(len(outputs), -1)
        if outputs.shape[1] == 1:
            threshold = 0.0 if self.last_activation == "linear" else 0.5
            above: NDArray[np.int64] = (outputs[:, 0] > threshold).astype(np.int64)
            return above
        answer: NDArray[np.int64] = (
            outputs.argmin(axis=1) if self.outputs_are_distances else outputs.argmax(axis=1)
        )
        return answer

    # Showing and saving

    def get_config(self) -> dict[str, Any]:
        """The layers and the calls that join them as JSON-able values, without weights.

        Raises:
            FormatError: a layer is not one of striate's own.
        """
        return functional_config(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Model:
        """The model that `get_config` described, with fresh weights.

        Raises:
            FormatError: not such a config.
            ShapeError: its layers do not fit together.
        """
        name, inputs, outputs = functional_parts(config)
        return cls(inputs, outputs, name=name)

    def summary(
        self,
        line_length: int | None = None,
        print_fn: Callable[[str], object] | None = None,
        connections: bool | None = None,
        expand_nested: bool = False,
        **harmless: Any,
    ) -> None:
        """Prints a table of the layers: shapes, parameters, multiply-accumulates, activations.

        Multiply-accumulates and bytes of activations are for one sample. Below stands what a batch
        of 32 takes in memory; nothing is allocated to find out.

        Args:
            line_length: 80 to 100 columns by default, by the width of the names; to 120 where a
                column says what each layer is connected to.
            print_fn: takes each line; print by default.
            connections: whether connections have a column, too; None: where a layer of LeCun et
                al. 1998 is in the model, who counted them.
            expand_nested: whether nested models' layers have rows of their own.
            harmless: Keras's positions, show_trainable, layer_range.
        """
        ignore_harmless("summary", harmless, SUMMARY_HARMLESS)
        for line in summary.lines(self, line_length, connections, expand_nested):
            (print_fn or print)(line)

    def save(self, filepath: Path, overwrite: bool = True, **unknown: Any) -> None:
        """Writes architecture, weights, what `compile` chose and `metadata`; load_model reads it.

        The file is a safetensors file. It is written beside the old one and then renamed, so a
        failure leaves the old one whole.

        Raises:
            OSError: the file cannot be written.
            ArgumentError: it exists, and overwrite is False.
        """
        refuse_unknown("save", unknown)
        saving.save(self, filepath, overwrite)

    def save_weights(self, filepath: Path, overwrite: bool = True) -> None:
        """Writes the weights; load_weights reads them into a model of the same layers."""
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: Path, **unknown: Any) -> None:
        """Reads weights that `save` or `save_weights` wrote.

        Tensors go to the weights of their names; where no name agrees, as with automatic names, to
        the weights in the same order.

        Raises:
            FormatError: a damaged file; the model is then as it was.
            ShapeError: weights of other shapes; the model is then as it was.
        """
        refuse_unknown("load_weights", unknown)
        saving.load_weights(self, filepath)
