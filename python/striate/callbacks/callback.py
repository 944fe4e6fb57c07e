"""Callbacks: what happens around training, besides training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from striate.models.model import Model
    from striate.models.trainer import Trainer

Logs = dict[str, float]


class Hook(Protocol):
    """A batch hook, bound to its callback."""

    def __call__(self, batch: int, logs: Logs | None = None) -> None: ...


class Callback:
    """A base with Keras's hooks, each doing nothing; override those that you need.

    `logs` holds "loss" and the metrics, so far in the epoch for batch hooks. Hooks of batches are
    called only on callbacks that override them.
    """

    model: Model
    params: Mapping[str, Any]

    def set_params(self, params: Mapping[str, Any]) -> None:
        """ "epochs", "steps", "samples", "batch_size" and "verbose" of this run."""
        self.params = params

    def set_model(self, model: Model) -> None:
        """The model that the hooks may use as self.model."""
        self.model = model

    def get_state(self) -> dict[str, Any]:
        """What a resumed run has to know of the epochs before, for BackupAndRestore.

        By name, JSON-able values or lists of float32 arrays.
        """
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes over what `get_state` gave; called after on_train_begin, where a run resumes."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch; not when training ends by an exception."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch; the first is 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation; logs has the "val_" entries too."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Keras's other name of on_train_batch_begin."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Keras's other name of on_train_batch_end."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training batch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training batch."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before an evaluation or validation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After an evaluation or validation."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of an evaluation or validation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of an evaluation or validation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of a prediction."""


def state_of(callback: Callback, names: Sequence[str]) -> dict[str, Any]:
    """These attributes by name."""
    return {name: getattr(callback, name) for name in names}


def restore_state(callback: Callback, state: Mapping[str, Any], names: Sequence[str]) -> None:
    """Sets these attributes, those that `state` has."""
    for name in names:
        if name in state:
            setattr(callback, name, state[name])


_ALIASES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class CallbackList:
    """Callbacks in order, called as one."""

    def __init__(
        self,
        callbacks: Callback | Iterable[Callback] | None = None,
        *,
        model: Trainer | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        if callbacks is None:
            callbacks = ()
        elif isinstance(callbacks, Callback):
            callbacks = (callbacks,)
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"a callback is a striate.callbacks.Callback, got {callback!r}")
            if params is not None:
                callback.set_params(params)
            if model is not None:
                callback.set_model(cast("Model", model))

    def hooks(self, name: str) -> list[Hook]:
        """The bound hooks of that name of the callbacks that override it; most runs have none."""
        names = [name, _ALIASES.get(name, name)]
        return [
            getattr(callback, name)
            for callback in self.callbacks
            if any(
                n in vars(callback) or getattr(type(callback), n) is not getattr(Callback, n)
                for n in names
            )
        ]

    def call(self, name: str, *arguments: Any) -> None:
        """Calls this hook of every callback, in order."""
        for callback in self.callbacks:
            getattr(callback, name)(*arguments)

    def close(self) -> None:
        """Lets go of what callbacks hold, after an exception too."""
        for callback in self.callbacks:
            close = getattr(callback, "close", None)
            if close is not None:
                close()
