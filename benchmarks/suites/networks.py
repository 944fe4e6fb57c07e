"""What deepnets and scaling share: a network in every peer with the same weights, and its cases."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from comparison import Case, Field, Measure
from harness import PeerError, Worker
from numpy.typing import NDArray

FROM_ONNX = ("onnxruntime", "openvino")
FLOPS_A_MAC = {"train": 6, "infer": 2}
WHAT = {"train": "training", "infer": "inference"}

# Of the probabilities' range, by striate's precision.
TOLERANCES = {"float32": 1e-3, "strict": 1e-3}
LOOSE = 0.05
CHECKED_IMAGES = 4
MOST_STEPS = 1000


def prepare(
    workers: Sequence[Worker], network: str, batch: int, side: int, precision: str
) -> dict[str, int]:
    """Makes the network everywhere; its size, once it is known to be the same network.

    Raises:
        SystemExit: it is not.
    """
    sizes = {}
    for worker in workers:
        made = worker.call("prepare", network=network, batch=batch, side=side, precision=precision)
        if made:
            sizes[worker.name] = {**made, "multiply_accumulates": worker.call("count")}
    first = next(iter(sizes.values()), {})
    if any(size != first for size in sizes.values()):
        raise SystemExit(f"{network} is not the same in all peers: {sizes}")
    return first


def share_weights(
    workers: Sequence[Worker], network: str, folder: Path
) -> tuple[list[Worker], list[Worker]]:
    """PyTorch's weights to striate and, as an ONNX file, to the runtimes.

    Returns (those that have the weights, those that have the network); the latter are all but the
    runtimes that got no file, which are named.
    """
    giver = next((worker for worker in workers if worker.name == "torch"), None)
    readers = [worker for worker in workers if worker.name in FROM_ONNX]
    alike = [giver] if giver is not None else []
    path = folder / f"{network}.npz"
    if giver is not None:
        giver.call("save_weights", path=str(path))
        for worker in workers:
            if worker.name == "striate":
                worker.call("load_weights", path=str(path))
                alike.append(worker)
        path.unlink()
    try:
        if readers and giver is None:
            raise PeerError("no ONNX file: PyTorch, which writes it, is not among the peers")
        if readers and giver is not None:
            giver.call("export_onnx", path=str(folder / f"{network}.onnx"))
    except PeerError as error:
        for worker in readers:
            print(f"left out of {network}: {worker.name}: {error}", flush=True)
        return alike, [worker for worker in workers if worker not in readers]
    return alike + readers, list(workers)


def check(workers: Sequence[Worker], batch: int, precision: str, folder: Path) -> dict[str, Any]:
    """How far apart the peers' probabilities are: {peer: share of their range} from the first's.

    The largest of each image must be the same class, but for classes that are closer together than
    the tolerance.

    Raises:
        SystemExit: too far apart.
    """
    outputs: dict[str, NDArray[np.float32]] = {}
    for worker in workers:
        path = folder / f"{worker.name}-outputs.npy"
        worker.call("outputs", path=str(path), batch=min(batch, CHECKED_IMAGES))
        outputs[worker.name] = np.load(path)
    apart: dict[str, float] = {}
    for name, y in outputs.items():
        first = next(iter(outputs.values()))
        scale = float(np.ptp(first))
        tolerance = TOLERANCES.get(precision, LOOSE) if name == "striate" else 1e-3
        apart[name] = float(np.abs(y - first).max()) / scale
        rows = np.arange(len(first))
        lost = first.max(axis=1) - first[rows, y.argmax(axis=1)]
        if not apart[name] <= tolerance or float(lost.max()) > tolerance * scale:
            raise SystemExit(f"{name} gives other probabilities: {apart[name]:.2g} of their range")
    return apart


def case_of(labels: dict[str, Any], what: str, batch: int, macs: int, trial_steps: int = 1) -> Case:
    flops = float(FLOPS_A_MAC[what] * macs * batch)
    return Case(labels, batch, flops, trial_steps, most_steps=MOST_STEPS)


def field(
    workers: Sequence[Worker], case: Case, what: str, threads: Sequence[int], compiled: bool
) -> Field:
    """The case with every peer's settings, each with each number of threads."""
    peers: dict[str, dict[str, Measure]] = {}
    for worker in workers:
        settings = worker.call("settings", what=what, compiled=compiled)
        found: dict[str, Measure] = {
            f"{setting}, threads {n}": partial(_measure, worker, what, setting, n, case.samples)
            for setting in settings
            for n in threads
        }
        if found:
            peers[worker.name] = found
    return case, peers


def _measure(
    worker: Worker, what: str, setting: str, threads: int, batch: int, steps: int
) -> float:
    return float(worker.call(what, setting=setting, threads=threads, batch=batch, steps=steps))


def all_or_half(threads: int) -> list[int]:
    """Each peer takes the number of threads that is fastest for it."""
    return sorted({threads, max(1, threads // 2)}, reverse=True)
