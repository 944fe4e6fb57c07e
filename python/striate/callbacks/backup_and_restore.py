"""Training that goes on where it was interrupted."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from striate.callbacks.callback import Callback, Logs
from striate.errors import ArgumentError


class BackupAndRestore(Callback):
    """Saves the state of training after each epoch; a `fit` that is begun again goes on from there.

        model.fit(x, y, epochs=30, callbacks=[BackupAndRestore("backup")])

    Run the same script again after a crash, a power cut or Ctrl-C, and it ends with the weights
    that it would have had, to the bit: on the same instruction set (see `striate info`), with the
    same version, whatever the number of threads. The state is weights, optimizer, step, epoch,
    dropout, averages, history, and what other callbacks remember (Callback.get_state). Data that
    come from a generator must come again as they did; arrays and Loaders do.

    Each file appears whole or not at all, and two are kept: if the newest is damaged, the one
    before it is taken.

    Args:
        backup_dir: a folder for this run alone, made where there is none.
        save_freq: "epoch"; nothing else is offered.
        double_checkpoint: Keras's; two files are kept in any case.
        delete_checkpoint: whether the files are removed once `fit` has come to its end.

    Raises:
        ArgumentError: from `fit`, where the network, the data, the optimizer or another setting is
            not what the files were made with; the message names the first difference.
        FormatError: all the files are damaged.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        if save_freq != "epoch":
            raise ArgumentError(
                f'BackupAndRestore: save_freq is "epoch": striate resumes after whole epochs, '
                f"got {save_freq!r}"
            )
        if not os.fspath(backup_dir):
            raise ArgumentError("BackupAndRestore: backup_dir names no folder")
        self.backup_dir = Path(backup_dir).expanduser()
        self.delete_checkpoint = bool(delete_checkpoint)
        self.others: Sequence[Callback] = ()
        """The run's other callbacks, whose states are kept too; `fit` sets them."""
        self.settings: Mapping[str, Any] = {}
        """The data and the arguments that must be the same again; `fit` sets them."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        from striate.models import checkpoint  # which needs this module

        self._signature = checkpoint.signature(self.model, self.settings)
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        found = checkpoint.newest(self.backup_dir)
        if found is not None:
            checkpoint.restore(self.model, found, self._signature, self.others)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        from striate.models import checkpoint

        checkpoint.save(self.model, self.backup_dir, epoch, self._signature, self.others)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.delete_checkpoint:
            from striate.models import checkpoint

            checkpoint.remove_all(self.backup_dir)
