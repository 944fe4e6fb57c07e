"""How GNU OpenMP's idle threads wait, chosen while the extension loads it.

libgomp's threads spin for milliseconds at the end of a region unless told otherwise. On a machine
whose cores are busy a spinning thread holds the core that the thread it waits for needs: training
LeNet-5 beside one busy process fell to 15,000 images/s, against 33,000 with a short spin; on idle
cores both reach 69,000. The limit can only be given by environment variable, read when libgomp is
loaded; it is put back as it was right after.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

# Iterations, about 20 us: longer than the gap between two training steps.
_SPIN_COUNT = "1000"


@contextmanager
def short_spin() -> Iterator[None]:
    """Around the import of the extension: a short spin, unless the user chose how to wait."""
    if "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ:
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = _SPIN_COUNT
    try:
        yield
    finally:
        del os.environ["GOMP_SPINCOUNT"]
