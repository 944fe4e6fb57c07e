"""What every model does: compile, fit, evaluate, predict, save."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate import losses
from striate.callbacks import Callback, History
from striate.errors import ArgumentError
from striate.models import evaluation, fitting, saving, summary
from striate.models.arguments import (
    COMPILE_HARMLESS,
    FIT_HARMLESS,
    SUMMARY_HARMLESS,
    ignore_harmless,
    refuse_unknown,
)
from striate.models.assembly import Assembly
from striate.models.compiled import Compiled, Totals
from striate.models.data_adapter import Arrays, class_weighted, input_array, weight_array
from striate.models.training import train_one
from striate.optimizers import SDLM, Optimizer

_FLOAT32 = np.dtype(np.float32)
Path = str | PathLike[str]
Callbacks = Callback | Iterable[Callback] | None


class Model(Assembly):
    """A network that can be trained and run.

    Attributes:
        name: by default the class's, with a number.
        history: of the last `fit`, also of one that was interrupted.
        stop_training: set True by a callback to end `fit` after the present batch.
        samples_seen: by `fit` in the present epoch.
        epochs_trained: by all calls of `fit` together; keys the order of the samples.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.history: History | None = None
        self.stop_training = False
        self.samples_seen = 0
        self.epochs_trained = 0
        self._compiled: Compiled | None = None
        self._check_numerics = False
        self._ready = False  # whether the network is compiled for training
        self._has_curvature = False

    # Compiling

    def compile(
        self,
        optimizer: object = "rmsprop",
        loss: object = None,
        metrics: object = None,
        *,
        check_numerics: bool = False,
        **harmless: Any,
    ) -> None:
        """Chooses the optimizer, the loss and the metrics.

        Args:
            optimizer: an Optimizer or a name.
            loss: a Loss or a name.
            metrics: a list of names ("accuracy"), Metrics or functions of (y_true, y_pred).
            check_numerics: raise NumericsError, with the layer's name, at the first NaN.
            harmless: Keras's run_eagerly, jit_compile, steps_per_execution, auto_scale_loss.

        Raises:
            ArgumentError: an unknown name; the model is then as it was.
        """
        ignore_harmless("compile", harmless, COMPILE_HARMLESS)
        before = self._compiled, self._check_numerics, self._ready
        self._compiled = Compiled(optimizer, loss, metrics)
        self._check_numerics = bool(check_numerics)
        try:
            if self.built:
                self._compiled.resolve(self._output_shape)
                self._ready = False
                if self._compiled.optimizer.is_complete:
                    self.prepare_training(None)
        except Exception:
            self._compiled, self._check_numerics, self._ready = before
            raise
        self._has_curvature = False
        if before[0] is not None and before[0].optimizer is not self._compiled.optimizer:
            before[0].optimizer.attach(None)

    def after_build(self) -> None:
        self._ready = self._has_curvature = False
        if self._compiled is not None:
            self._compiled.optimizer.attach(None)
            self._compiled.resolve(self._output_shape)

    def prepare_training(self, total_steps: int | None) -> None:
        """Compiles the network if that is still to do; `total_steps` fills in OneCycle's."""
        if self._ready:
            return
        compiled = self.compiled
        if total_steps is not None:
            compiled.optimizer.fill_in_steps(total_steps)
        losses.warn_about_softmax(compiled.loss, self.last_activation)
        kind, options, core_schedule = compiled.optimizer.as_core()
        loss = compiled.loss
        self.network.compile(loss.kind, loss.options(), kind, options, core_schedule)
        self.network.check_numerics = self._check_numerics
        compiled.optimizer.attach(self.network)
        self._ready = True

    @property
    def compiled(self) -> Compiled:
        """What `compile` chose.

        Raises:
            ArgumentError: the model is not compiled.
        """
        if self._compiled is None:
            raise ArgumentError(f"{self.name}: call compile(optimizer, loss) first")
        return self._compiled

    @property
    def is_compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._compiled is not None

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer; its learning_rate can be read and set at any time."""
        return self.compiled.optimizer

    @property
    def loss(self) -> losses.Loss:
        """The loss."""
        return self.compiled.loss

    @property
    def metrics_names(self) -> list[str]:
        """ "loss", then the metrics: what `evaluate` returns."""
        assert self.network is not None
        return self.compiled.names

    # Training

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Callbacks = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        **harmless: Any,
    ) -> History:
        """Trains for `epochs` passes through the data.

        The order of the samples depends on the model's seed and on how many epochs it has trained,
        and on nothing else. The last batch of an epoch may be smaller than the others.

        Args:
            x: samples (N, ..), or batches: a generator, a PyDataset, an iterable of (x, y[, w]).
            y: labels, as the loss wants them; not with batches.
            batch_size: 32 by default; one larger than the data makes one batch.
            epochs: the number of the last epoch; from initial_epoch, 0 by default.
            verbose: "auto" a bar on a terminal or in a notebook, else a line an epoch; 0 nothing,
                1 a bar, 2 lines.
            validation_split: this share of the data, its end as given, is for validation.
            validation_data: (x, y), (x, y, sample_weight), or batches.
            class_weight: {class: weight}, multiplied to the sample weights.
            sample_weight: (N,).
            steps_per_epoch: batches an epoch; needed for a generator that never ends.
            validation_freq: validate every so many epochs.
            harmless: Keras 2's workers, use_multiprocessing and max_queue_size.

        Returns:
            The History, which is `history` too; Ctrl-C leaves it there with the epochs so far.

        Raises:
            ShapeError, ArgumentError: data that do not fit; nothing is trained then, but for the
                batches of a source that came before the one that does not fit.
        """
        ignore_harmless("fit", harmless, FIT_HARMLESS)
        validation = fitting.Validation(
            validation_data, validation_split, validation_steps, validation_batch_size,
            validation_freq,
        )  # fmt: skip
        return fitting.fit(
            self, x, y, batch_size, epochs, verbose, callbacks, validation, shuffle, class_weight,
            sample_weight, initial_epoch, steps_per_epoch,
        )  # fmt: skip

    def convert(self, x: Any, y: Any, sample_weight: Any) -> Arrays:
        """Data as the core takes it; builds the model for it if that is still to do.

        Raises:
            ShapeError, ArgumentError: data that do not fit the model or its loss.
        """
        compiled = self.compiled
        self.build_for(x)
        inputs = input_array(x, self.sample_shape, self.name)
        labels = compiled.loss.prepare_labels(y, len(inputs), self._output_shape)
        return Arrays(inputs, labels, weight_array(sample_weight, len(inputs), self.name))

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | dict[str, float]:
        """One optimizer step on one batch; returns what `evaluate` returns, before the step."""
        data = self.convert(x, y, sample_weight)
        weights = class_weighted(class_weight, data.y, data.weights, self.name)
        self.prepare_training(None)
        if isinstance(self.optimizer, SDLM) and not self._has_curvature:
            self.network.estimate_curvature(data.x, None, data.y)
            self._has_curvature = True
        totals = Totals(self.compiled)
        train_one(self, data._replace(weights=weights), totals)
        return _results(totals.logs(), return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> float | list[float] | dict[str, float]:
        """The loss and the metrics of one batch."""
        data = self.convert(x, y, sample_weight)
        self.prepare_training(None)
        totals = Totals(self.compiled)
        evaluation.test_one(self, data, totals)
        return _results(totals.logs(), return_dict)

    def gradients(
        self, x: Any, y: Any, sample_weight: Any = None, training: bool = False
    ) -> tuple[float, list[NDArray[np.float32]], NDArray[np.float32]]:
        """(loss, a gradient for each of `weights`, the gradient of x); nothing is updated.

        Args:
            training: whether dropout is active.
        """
        data = self.convert(x, y, sample_weight)
        self.prepare_training(None)
        return self.network.gradients(data.x, data.y, data.weights, training)

    # Running

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Callbacks = None,
        return_dict: bool = False,
        **harmless: Any,
    ) -> float | list[float] | dict[str, float]:
        """The loss, or [loss, metrics ..], over the data; with return_dict {"loss": .., ..}.

        Takes the data that `fit` takes.
        """
        ignore_harmless("evaluate", harmless, FIT_HARMLESS)
        logs = evaluation.evaluate(self, x, y, batch_size, verbose, sample_weight, steps, callbacks)
        return _results(logs, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = 0,
        steps: int | None = None,
        callbacks: Callbacks = None,
        **harmless: Any,
    ) -> NDArray[np.float32]:
        """The outputs (N, *output shape) for samples (N, *sample shape).

        Args:
            x: an array, or batches as `fit` takes them.
            batch_size: samples a call into the core; all of them by default.
        """
        if harmless:
            ignore_harmless("predict", harmless, FIT_HARMLESS)
        if (
            type(x) is np.ndarray
            and callbacks is None
            and batch_size is None
            and x.dtype == _FLOAT32
            and x.shape[1:] == self._sample_shape
            and x.flags.c_contiguous
            and len(x)
            and self._network is not None
            and steps is None
        ):
            return self._network.predict(x)
        return evaluation.predict(self, x, batch_size, steps, callbacks)

    def predict_on_batch(self, x: Any) -> NDArray[np.float32]:
        """`predict` for one batch."""
        return self.predict(x)

    def __call__(self, x: Any) -> NDArray[np.float32]:
        return self.predict(x)

    def predict_classes(self, x: Any, batch_size: int | None = None) -> NDArray[np.int64]:
        """The answer for each sample, int64 (N,).

        The class of the largest output; of the smallest, where outputs are distances (RBFOutput);
        0 or 1, for a single output (a probability, or a logit after a linear layer).
        """
        outputs = self.predict(x, batch_size)
        outputs = outputs.reshape(len(outputs), -1)
        if outputs.shape[1] == 1:
            threshold = 0.0 if self.last_activation == "linear" else 0.5
            return (outputs[:, 0] > threshold).astype(np.int64)
        answer: NDArray[np.int64] = (
            outputs.argmin(axis=1) if self.outputs_are_distances else outputs.argmax(axis=1)
        )
        return answer

    # Showing and saving

    def summary(
        self,
        line_length: int | None = None,
        print_fn: Callable[[str], object] | None = None,
        connections: bool | None = None,
        **harmless: Any,
    ) -> None:
        """Prints a table of the layers, their output shapes and parameters.

        Args:
            line_length: 80 to 100 columns by default, by the width of the names.
            print_fn: takes each line; print by default.
            connections: whether connections and multiply-accumulates have columns of their own;
                None: where a layer of LeCun et al. 1998 is in the model, who counted them.
            harmless: Keras's positions, expand_nested, show_trainable, layer_range.
        """
        ignore_harmless("summary", harmless, SUMMARY_HARMLESS)
        for line in summary.lines(self, line_length, connections):
            (print_fn or print)(line)

    def save(self, filepath: Path, overwrite: bool = True, **unknown: Any) -> None:
        """Writes architecture, weights and what `compile` chose; load_model reads it back.

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


def _results(logs: dict[str, float], as_dict: bool) -> float | list[float] | dict[str, float]:
    if as_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
