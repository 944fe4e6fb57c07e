"""Logs as a table in a file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from striate.callbacks.callback import Callback, Logs


class CSVLogger(Callback):
    """Writes a line an epoch: the epoch, from 0, then the logs in alphabetical order.

    Args:
        filename: where to; written through after each epoch.
        separator: between columns.
        append: to an existing file, whose header is then not repeated.
    """

    def __init__(self, filename: str | Path, separator: str = ",", append: bool = False) -> None:
        self.filename = Path(filename)
        self.separator = separator
        self.append = append
        self._keys: list[str] | None = None
        self._file: TextIO | None = None
        self._header = True

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._header = not (self.append and self.filename.exists() and self.filename.stat().st_size)
        self._keys = None
        self._file = open(  # noqa: SIM115 (closed by on_train_end, or by close)
            self.filename, "a" if self.append else "w", newline="", encoding="utf-8"
        )

    def get_state(self) -> dict[str, Any]:
        """The file itself: a later epoch may have been logged, but not kept."""
        if self._file is None:
            return {}
        with open(self.filename, newline="", encoding="utf-8") as file:  # line ends as they are
            return {"keys": self._keys, "text": file.read()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        if self._file is None or "text" not in state:
            return
        self._keys = state["keys"]
        self._file.seek(0)
        self._file.truncate()
        self._file.write(state["text"])
        self._file.flush()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        assert self._file is not None
        logs = logs or {}
        writer: Any = csv.writer(self._file, delimiter=self.separator)
        if self._keys is None:
            self._keys = sorted(logs)
            if self._header:
                writer.writerow(["epoch", *self._keys])
        writer.writerow([epoch, *(logs.get(key, "NA") for key in self._keys)])
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
