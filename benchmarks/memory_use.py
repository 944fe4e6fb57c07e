"""What the process itself takes of the machine's memory."""

import os
import resource
import sys
from pathlib import Path


def peak_bytes() -> int:
    """The most that was resident at any time since the process began."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def resident_bytes() -> int:
    """What is resident now; without Linux's /proc, the peak so far."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak_bytes()
    return pages * os.sysconf("SC_PAGE_SIZE")
