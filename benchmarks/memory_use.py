"""What the process itself takes of the machine's memory."""

import os
import resource
import sys
from pathlib import Path


def peak_bytes() -> int:
    """The most that was resident at any time since the program began.

    Linux's VmHWM: its ru_maxrss remembers the process that started this one, too.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def resident_bytes() -> int:
    """What is resident now; without Linux's /proc, the peak so far."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak_bytes()
    return pages * os.sysconf("SC_PAGE_SIZE")
