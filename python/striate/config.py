"""What this build and this machine are: to be pasted into a report of a problem."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable

from striate import _core

__all__ = ["config", "show_config"]


def config() -> dict[str, str]:
    """Versions, instruction set, threads and why, as text by name."""
    import numpy

    return {
        "striate": _core.__version__,
        "python": sys.version.split()[0],
        "numpy": numpy.__version__,
        "platform": platform.platform(),
        "compiler": _core.compiler(),
        "instruction set": f"{_core.isa()} (of {', '.join(_core.available_isas())})",
        "threads": f"{_core.num_threads()} ({_core.thread_reason()})",
        "parallel backend": _core.parallel_backend(),
    }


def show_config(print_fn: Callable[[str], object] = print) -> None:
    """Prints `config()`, a line an entry."""
    entries = config()
    width = max(map(len, entries))
    for name, value in entries.items():
        print_fn(f"{name:<{width}}  {value}")
