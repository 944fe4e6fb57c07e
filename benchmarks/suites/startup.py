"""What a peer costs before it does anything: import time, resident memory; striate's wheel.

Import time is the difference of two processes in turn, `import numpy` and `import numpy, PEER`,
medians; all have been run before, so the files are in the page cache. striate loads its parts when
they are first used: a second row has the import of everything that training takes.
"""

import argparse
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import harness
import machine
import report

PEERS = ("torch", "keras", "jax", "onnxruntime", "openvino", "striate")
EVERYTHING = "striate.models, striate.layers, striate.optimizers, striate.applications"
MIB = 2**20

# Keras does not import without a back end: the first that there is.
FIRST_BACKEND = "next((b for b in ('tensorflow', 'jax', 'torch') if u.find_spec(b)), 'tensorflow')"
BEFORE = {
    "keras": "import importlib.util as u, os; "
    f"os.environ.setdefault('KERAS_BACKEND', {FIRST_BACKEND}); "
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wheel", type=Path, help="a built wheel of striate, to show its size")


def imports(peers: list[str]) -> dict[str, str]:
    """{row: what its process imports}."""
    rows = {"numpy": "numpy"} | {peer: f"numpy, {peer}" for peer in peers}
    if "striate" in peers:
        rows["striate, all of it"] = f"numpy, striate, {EVERYTHING}"
    return rows


def run_process(python: str, modules: str, resident: dict[str, list[int]], row: str) -> float:
    """Seconds of a process; notes its resident memory after the import, in bytes."""
    folder = str(Path(__file__).parents[1])
    code = (
        f"{BEFORE.get(row, '')}import {modules}; import sys; sys.path.insert(0, {folder!r}); "
        "from memory_use import resident_bytes; print(resident_bytes(), flush=True)"
    )
    start = time.perf_counter()
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    resident.setdefault(row, []).append(int(done.stdout.split()[-1]))
    return seconds


def rows_of(
    seconds: dict[str, list[float]], resident: dict[str, list[int]]
) -> list[dict[str, Any]]:
    rows = []
    for name, samples in seconds.items():
        over = [a - b for a, b in zip(samples, seconds["numpy"], strict=True)]
        rows.append(
            {
                "import": name,
                "seconds": harness.summary(samples),
                "seconds_over_numpy": harness.summary(over),
                "resident_bytes": harness.summary(resident[name]),
            }
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        over, process = row["seconds_over_numpy"], row["seconds"]
        lines.append(
            [
                row["import"],
                f"{1e3 * process['median']:.0f}",
                f"{1e3 * over['median']:.0f}",
                f"{1e3 * over['min']:.0f}..{1e3 * over['max']:.0f}",
                f"{row['resident_bytes']['median'] / MIB:.0f}",
            ]
        )
    header = ["import", "process, ms", "over numpy, ms", "min..max", "resident, MiB"]
    return report.table(header, lines)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    about: dict[str, Any] = machine.describe(harness.use_cpus(arguments.threads))
    pythons = dict(pair.split("=", 1) for pair in arguments.python)
    resident: dict[str, list[int]] = {}
    calls = {}
    for row, modules in imports(arguments.peers).items():
        python = pythons.get(row.partition(",")[0], sys.executable)
        call = partial(run_process, python, modules, resident, row)
        try:
            call()  # the first warms the page cache
        except subprocess.CalledProcessError as error:
            print(f"left out: {row}: {error.stderr.strip().splitlines()[-1]}")
            continue
        calls[row] = call
        resident.clear()
    seconds = harness.in_turn(calls, arguments.effort.rounds)
    rows = rows_of(seconds, resident)
    wheel = arguments.wheel.stat().st_size if arguments.wheel else None
    print(report.facts(about))
    print(f"\nMedians of {arguments.effort.rounds} rounds")
    print(table(rows))
    if wheel is not None:
        print(f"\nwheel: {wheel / 1e6:.2f} MB")
    return {"machine": about, "rows": rows, "wheel_bytes": wheel}
