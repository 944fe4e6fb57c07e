"""What training shows of itself: a bar on a terminal or in a notebook, else one line an epoch."""

from __future__ import annotations

import sys
import time
from typing import Any

from striate.callbacks.callback import Callback, Logs

_INTERVAL = 0.1  # seconds between updates of the bar


class ProgressBar(Callback):
    """Loss, metrics and images/s.

    Args:
        verbose: "auto" shows a tqdm bar where there is a terminal or a notebook, else one line an
            epoch; 1 always a bar, 2 always lines.
    """

    def __init__(self, verbose: int | str = "auto") -> None:
        self._bars = verbose == 1 or (verbose == "auto" and _interactive())
        self._bar: Any = None
        self._next = 0.0
        self._shown = 0
        self._begin = 0.0
        self._trained = 0.0
        if self._bars:
            self.on_train_batch_end = self._update  # type: ignore[method-assign]

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._begin = time.perf_counter()
        self._trained = 0.0
        if not self._bars:
            return
        from tqdm.auto import tqdm

        self._bar = tqdm(
            total=self.params.get("steps"),
            desc=self._title(epoch),
            unit="batch",
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix} [{elapsed}]"
            if self.params.get("steps")
            else None,
        )
        self._shown = 0
        self._next = self._begin + _INTERVAL

    def _update(self, batch: int, logs: Logs | None = None) -> None:
        now = time.perf_counter()
        if now < self._next or self._bar is None:
            return
        self._next = now + _INTERVAL
        self._show(batch + 1, logs or {}, now)

    def _show(self, batches: int, logs: Logs, now: float) -> None:
        rate = self.model.samples_seen / max(now - self._begin, 1e-9)
        self._bar.set_postfix_str(f"{describe(logs)}, {rate:,.0f} images/s", refresh=False)
        self._bar.update(batches - self._shown)
        self._shown = batches

    def on_test_begin(self, logs: Logs | None = None) -> None:
        # Validation does not count in images/s.
        if self._begin and not self._trained:
            self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        now = time.perf_counter()
        trained = self._trained or now
        if self._bar is not None:
            self._show(self.params.get("steps") or self._shown, logs or {}, trained)
            self.close()
            return
        rate = self.model.samples_seen / max(trained - self._begin, 1e-9)
        print(
            f"{self._title(epoch)}: {now - self._begin:.1f} s, {rate:,.0f} images/s - "
            f"{describe(logs or {}, ' - ')}",
            flush=True,
        )

    def _title(self, epoch: int) -> str:
        return f"Epoch {epoch + 1}/{self.params.get('epochs', '?')}"

    def close(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def describe(logs: Logs, separator: str = ", ") -> str:
    """ "loss: 0.1234, accuracy: 0.9876"."""
    return separator.join(
        f"{name}: {value:.4g}" if abs(value) < 1e-3 else f"{name}: {value:.4f}"
        for name, value in logs.items()
    )


def _interactive() -> bool:
    """Whether a bar can be drawn: stderr is a terminal, or this is a notebook's kernel."""
    if "ipykernel" in sys.modules:
        return True
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # no stderr, or a closed one
        return False
