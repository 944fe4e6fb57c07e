"""Training and evaluation: what every model does between compile and evaluate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from striate import losses
from striate.callbacks import Callback, History
from striate.errors import ArgumentError
from striate.models import evaluation, fitting
from striate.models.arguments import COMPILE_HARMLESS, FIT_HARMLESS, ignore_harmless
from striate.models.compiled import Compiled, Totals
from striate.models.data_adapter import (
    Arrays,
    Inputs,
    class_weighted,
    input_arrays,
    label_arrays,
    weight_arrays,
)
from striate.models.structure import Structure
from striate.models.topology import Topology
from striate.models.training import train_one
from striate.models.weighted import Weighted
from striate.optimizers import SDLM, Optimizer
from striate.profiling import Profile, profile_network

Callbacks = Callback | Iterable[Callback] | None
Frozen = TypeVar("Frozen", bound="Trainer")


class Trainer(Weighted):
    """A network that can be trained.

    Attributes:
        history: of the last `fit`, also of one that was interrupted.
        stop_training: set True by a callback to end `fit` after the present batch.
        samples_seen: by `fit` in the present epoch.
        epochs_trained: by all calls of `fit` together; keys the order of the samples.
        initial_epoch: of the present `fit`; BackupAndRestore sets it, as the run goes on.
        metadata: facts that go with the model into its file, JSON-able by name; `striate train`
            puts the classes' names there, for one.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.history: History | None = None
        self.stop_training = False
        self.samples_seen = 0
        self.epochs_trained = 0
        self.initial_epoch = 0
        self.metadata: dict[str, Any] = {}
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
        loss_weights: object = None,
        check_numerics: bool = False,
        precision: str | None = None,
        **harmless: Any,
    ) -> None:
        """Chooses the optimizer, the loss and the metrics.

        Args:
            optimizer: an Optimizer or a name.
            loss: a Loss or a name, for every output; or a list or a dict by output name with one
                for each, None for an output that is not trained.
            metrics: a list of names ("accuracy"), Metrics or functions of (y_true, y_pred); for
                several outputs a list or a dict of such lists.
            loss_weights: what each output's loss counts in the sum: a list or a dict of numbers.
            check_numerics: raise NumericsError, with the layer's name, at the first NaN.
            precision: see `precision`, which this sets; None leaves it as it is.
            harmless: Keras's run_eagerly, jit_compile, steps_per_execution, auto_scale_loss.

        Raises:
            ArgumentError: an unknown name; the model is then as it was.
        """
        ignore_harmless("compile", harmless, COMPILE_HARMLESS)
        if self.frozen:
            raise ArgumentError(
                f"{self.name}: is frozen, for inference alone: load it anew to train"
            )
        before = self._compiled, self._check_numerics, self._ready
        if precision is not None:
            self.precision = precision
        self._compiled = Compiled(optimizer, loss, metrics, loss_weights, self._out)
        self._check_numerics = bool(check_numerics)
        try:
            if self.built:
                self._compiled.resolve(self.output_sample_shapes)
                self._ready = False
                if self._compiled.optimizer.is_complete:
                    self.prepare_training(None)
        except Exception:
            self._compiled, self._check_numerics, self._ready = before
            raise
        self._has_curvature = False
        if before[0] is not None and before[0].optimizer is not self._compiled.optimizer:
            before[0].optimizer.attach(None)

    def _take_topology(self, topology: Topology, inputs: Structure, outputs: Structure) -> None:
        super()._take_topology(topology, inputs, outputs)
        self._ready = self._has_curvature = False
        if self._compiled is not None:
            self._compiled.optimizer.attach(None)
            self._compiled.resolve(self.output_sample_shapes)

    def prepare_training(self, total_steps: int | None) -> None:
        """Compiles the network if that is still to do; `total_steps` fills in OneCycle's."""
        if self._ready:
            return
        compiled = self.compiled
        if total_steps is not None:
            compiled.optimizer.fill_in_steps(total_steps)
        for loss, activation in zip(compiled.losses, self.last_activations(), strict=True):
            if loss is not None:
                losses.warn_about_softmax(loss, activation)
        kind, options, core_schedule = compiled.optimizer.as_core()
        network = self.materialize().network
        network.compile(compiled.core_losses(), kind, options, core_schedule)
        network.check_numerics = self._check_numerics
        compiled.optimizer.attach(network)
        self._ready = True

    def freeze(self: Frozen) -> Frozen:
        """Readies the model for inference alone, and returns it.

        Gives back the optimizer's numbers, gradients and training's activations: what is left are
        the weights and, from the next call on, what inference needs (batch normalisations folded
        into the weights in front of them, packed once). `predict`, `evaluate`, `save` and setting
        weights go on as before; to evaluate, compile first. Training, `gradients` and `compile`
        raise. With use_ema, put the averages in place first (SwapEMAWeights,
        overwrite_with_average).
        """
        if self._compiled is not None:
            self.prepare_training(1)
            self._compiled.optimizer.attach(None)
        self.network.freeze()
        return self

    @property
    def frozen(self) -> bool:
        """Whether `freeze` was called."""
        return self._store is not None and self._store.network.frozen

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
    def loss(self) -> Any:
        """The loss; a list or a dict of them for several outputs, as those were given."""
        return self.pack_outputs(self.compiled.losses)

    @property
    def metrics_names(self) -> list[str]:
        """ "loss", each output's loss, then the metrics: what `evaluate` returns."""
        assert self.topology is not None
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
            x: samples (N, ..), for several inputs a list or a dict by name; or batches: a
                generator, a PyDataset, an iterable of (x, y[, w]).
            y: labels, as the loss wants them, for several outputs a list or a dict by name; not
                with batches.
            batch_size: 32 by default; one larger than the data makes one batch.
            epochs: the number of the last epoch; from initial_epoch, 0 by default.
            verbose: "auto" a bar on a terminal or in a notebook, else a line an epoch; 0 nothing,
                1 a bar, 2 lines.
            validation_split: this share of the data, its end as given, is for validation.
            validation_data: (x, y), (x, y, sample_weight), or batches.
            class_weight: {class: weight}, multiplied to the sample weights.
            sample_weight: (N,); for several outputs, a list or a dict of those, too.
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
        inputs = self.convert_inputs(x)
        samples, outputs = len(inputs[0]), self._out
        labels = label_arrays(
            y, compiled.losses, samples, self.output_sample_shapes, outputs, self.name
        )
        weights = weight_arrays(sample_weight, samples, compiled.losses, outputs, self.name)
        return Arrays(inputs, labels, weights)

    def convert_inputs(self, x: Any) -> list[Inputs]:
        """By input, samples as the core takes them; builds the model if that is still to do.

        Raises:
            ShapeError, ArgumentError: data that do not fit the model.
        """
        self.build_for(x)
        return input_arrays(x, self.sample_shapes, self._in, self.name)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | dict[str, float]:
        """One optimizer step on one batch; returns what `evaluate` returns, before the step."""
        data = class_weighted(class_weight, self.convert(x, y, sample_weight), self.name)
        self.prepare_training(None)
        if isinstance(self.optimizer, SDLM) and not self._has_curvature:
            self.network.estimate_curvature(data.x, None, data.y)
            self._has_curvature = True
        totals = Totals(self.compiled)
        train_one(self, data, totals)
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
    ) -> tuple[float, list[NDArray[np.float32]], Any]:
        """(loss, a gradient for each of `weights`, the gradient of x); nothing is updated.

        The gradient of x is a list or a dict for several inputs, as those were given.

        Args:
            training: whether dropout is active.
        """
        data = self.convert(x, y, sample_weight)
        self.prepare_training(None)
        loss, by_parameter, dx = self.network.gradients(data.x, data.y, data.weights, training)
        return loss, [by_parameter[i] for i in self._weight_indices()], self._in.pack(dx)

    def profile(self, x: Any, y: Any = None, *, repeats: int = 5) -> Profile:
        """Where a batch's time goes, layer by layer; print it.

        Args:
            x: one batch.
            y: its targets: a training step is timed then, without its update, of a compiled model;
                else a prediction.
            repeats: runs, of which medians are taken.

        Raises:
            ArgumentError: not compiled, or repeats < 1.
        """
        evaluation.check_count(self.name, "repeats", repeats)
        if y is None:
            arrays = self.convert_inputs(x)
            return profile_network(self.network, arrays, None, len(arrays[0]), repeats)
        data = self.convert(x, y, None)
        self.prepare_training(None)
        return profile_network(self.network, data.x, data.y, len(data.x[0]), repeats)

    def memory(self, batch_size: int, training: bool = True) -> dict[str, int]:
        """Bytes by purpose, and their "total", at the peak of a step on batches of this size.

        Nothing is run for it, and what it counts is not allocated yet. In training a network of
        2^21 parameters and more, gradients lie where activations have died: "activations" is what
        these take beside the gradients.

        Args:
            batch_size: samples a batch.
            training: whether for `fit`, of a compiled model; else for `predict`.
        """
        evaluation.check_count(self.name, "batch_size", batch_size)
        if training:
            self.prepare_training(None)
        return self.materialize().network.memory(batch_size, training)

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


def _results(logs: dict[str, float], as_dict: bool) -> float | list[float] | dict[str, float]:
    if as_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
