"""Keras's arguments that mean nothing here: taken with a warning, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from striate.errors import warn_once

COMPILE_HARMLESS = ("auto_scale_loss", "jit_compile", "run_eagerly", "steps_per_execution")
FIT_HARMLESS = ("max_queue_size", "use_multiprocessing", "workers")
SUMMARY_HARMLESS = ("layer_range", "positions", "show_trainable")


def ignore_harmless(owner: str, given: Mapping[str, Any], harmless: tuple[str, ...]) -> None:
    """Warns once about arguments of Keras's that change nothing here; refuses all others."""
    for name in given:
        if name not in harmless:
            raise TypeError(f"{owner}: {name} is not an argument that striate knows")
        warn_once(f"{owner}: {name} has no effect in striate")


def refuse_unknown(owner: str, unknown: Mapping[str, Any]) -> None:
    """Refuses arguments that striate does not know; None says nothing, and passes."""
    for name, value in unknown.items():
        if value is not None:
            raise TypeError(f"{owner}: {name} is not an argument that striate knows")
