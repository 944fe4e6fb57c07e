"""What striate costs before it does anything: import time, resident memory, the wheel's size.

    python benchmarks/startup.py [--repeats 11] [--wheel FILE]

Import time is the difference of two processes in turn, `import numpy` and `import numpy, striate`,
medians; both have been run before, so the files are in the page cache.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

MEMORY = "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


def run(code: str) -> tuple[float, float]:
    """Seconds of a process that runs `code`, and its peak resident memory in MiB."""
    start = time.perf_counter()
    out = subprocess.run(
        [sys.executable, "-c", code + MEMORY], check=True, capture_output=True, text=True
    )
    return time.perf_counter() - start, int(out.stdout) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--wheel", type=Path, help="a built wheel, to show its size")
    options = parser.parse_args()
    numpy_seconds, seconds, memory = [], [], []
    for _ in range(options.repeats + 1):
        numpy_seconds.append(run("import numpy")[0])
        took, mib = run("import numpy, striate")
        seconds.append(took)
        memory.append(mib)
    # The first pair warms the page cache.
    over = statistics.median(b - a for a, b in zip(numpy_seconds[1:], seconds[1:], strict=True))
    print(f"import striate over import numpy: {1000 * over:.0f} ms")
    print(f"resident after import: {statistics.median(memory[1:]):.0f} MiB")
    if options.wheel:
        print(f"wheel: {options.wheel.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
