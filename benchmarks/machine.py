"""What a benchmark says about the machine it ran on."""

import os
import platform
import sys
from datetime import datetime, timezone
from pathlib import Path


def describe(threads: int) -> dict[str, str | int]:
    return {
        "cpu": _cpu_model(),
        "architecture": platform.machine(),
        "cpus": os.cpu_count() or 1,
        "threads": threads,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "load_before": _load(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.argv]),
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _load() -> str:
    """Average of the last minute; above ~0.5 before the start, somebody else is running too."""
    return f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"
