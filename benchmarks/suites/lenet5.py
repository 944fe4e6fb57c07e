"""LeNet-5: training at several batch sizes, inference, and one image from call to answer.

The network: 28x28x1, conv 6@5x5 "same", ReLU, max pool 2, conv 16@5x5 "valid", ReLU, max pool 2,
dense 120, 84 (ReLU), 10; softmax cross-entropy; SGD with momentum 0.9. float32 arrays in memory,
all batches full, and in every pass a new random permutation. Inference: images in, probabilities
out, the median of the calls.

All peers start from the same weights. Before anything is timed, their probabilities for the same
images must agree, and again after three training steps.
"""

import argparse
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import comparison
import harness
import lenet5_data
import machine
import numpy as np
import report
from comparison import Case, Effort, Field, Row
from harness import PeerError, Worker

PEERS = ("torch", "keras", "jax", "onnxruntime", "openvino", "striate")
FROM_ONNX = ("onnxruntime", "openvino")
LABELS = ("what", "batch")

# Multiply-adds for one image forward: c1, c3, c5, f6, output.
C1 = 28 * 28 * 6 * 25
FORWARD = C1 + 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10
assert FORWARD == 416_520
# Training: forward, the weights' gradients and the inputs' gradients each cost as much, except that
# nobody needs the gradient by the image. Two FLOPs a multiply-add; all else is not counted.
FLOPS = {"train": 2 * (3 * FORWARD - C1), "infer": 2 * FORWARD}

TRIAL_IMAGES, MOST_STEPS = 8192, 2000
CHECKED_IMAGES, CHECKED_STEPS = 64, 3
TOLERANCE = 1e-4  # of probabilities


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batches", type=lambda text: [int(b) for b in text.split(",")],
        help="of training (default: 1,32,128,256; quick: 32)",
    )  # fmt: skip
    parser.add_argument("--infer-batch", type=int, default=256)
    parser.add_argument("--images", type=int, default=60_000, help="how many there are")
    parser.add_argument("--data", help='folder with MNIST (default: STRIATE_DATA), or "synthetic"')


def give_onnx(workers: list[Worker], folder: Path) -> None:
    """Has PyTorch's peer write the file that others read; without it, they are left out."""
    readers = [worker for worker in workers if worker.name in FROM_ONNX]
    if not readers:
        return
    writer = next((worker for worker in workers if worker.name == "torch"), None)
    try:
        if writer is None:
            raise PeerError("no ONNX file: PyTorch, which writes it, is not among the peers")
        writer.call("export_onnx", path=str(folder / "lenet5.onnx"))
    except PeerError as error:
        for worker in readers:
            print(f"left out: {worker.name}: {error}")
            worker.close()
            workers.remove(worker)


def check(workers: Sequence[Worker], folder: Path) -> dict[str, float]:
    """The largest difference between peers' probabilities, by the steps trained before.

    Raises:
        SystemExit: it is above the tolerance.
    """
    found = {}
    for steps in (0, CHECKED_STEPS):
        outputs = {}
        for worker in workers:
            if steps and not worker.call("settings", what="train"):
                continue
            path = folder / f"{worker.name}-{steps}.npy"
            worker.call("outputs", path=str(path), images=CHECKED_IMAGES, steps=steps)
            outputs[worker.name] = np.load(path)
        first = next(iter(outputs.values()), np.zeros(()))
        apart = {name: float(np.abs(y - first).max()) for name, y in outputs.items()}
        found[f"after {steps} steps"] = max(apart.values(), default=0.0)
        if found[f"after {steps} steps"] > TOLERANCE:
            raise SystemExit(f"peers do not do the same thing, after {steps} steps: {apart}")
    return found


def field(workers: Sequence[Worker], what: str, batch: int, images: int, quick: bool) -> Field:
    most = images // batch if what == "train" else MOST_STEPS
    most = max(1, min(most, 20 if quick else MOST_STEPS))
    case = Case(
        {"what": "training" if what == "train" else "inference", "batch": str(batch)},
        samples=batch,
        flops=float(FLOPS[what] * batch),
        trial_steps=min(max(1, TRIAL_IMAGES // batch), most // 2 or 1),
        most_steps=most,
    )
    peers = {}
    for worker in workers:
        settings = worker.call("settings", what=what)
        peers[worker.name] = {
            name: partial(_measure, worker, what, name, batch) for name in settings
        }
    return case, peers


def _measure(worker: Worker, what: str, setting: str, batch: int, steps: int) -> float:
    return float(worker.call(what, setting=setting, batch=batch, steps=steps))


def measure(workers: Sequence[Worker], arguments: argparse.Namespace, images: int) -> list[Row]:
    effort: Effort = arguments.effort
    batches = arguments.batches or ([32] if arguments.quick else [1, 32, 128, 256])
    make = partial(field, workers, images=images, quick=arguments.quick)
    limit = harness.fma_limit(workers)
    rows = []
    for fields in (
        [make(what="train", batch=batch) for batch in batches],
        [make(what="infer", batch=batch) for batch in (arguments.infer_batch, 1)],
    ):
        rows += comparison.measure(fields, limit, effort)
    return rows


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    threads = harness.use_cpus(arguments.threads)
    about: dict[str, Any] = machine.describe(threads)
    data = lenet5_data.folder_named(arguments.data)
    x, y, about["data"] = lenet5_data.load(data, arguments.images)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lenet5_data.save(folder, x, y)
        start = partial(harness.working, arguments.peers, "lenet5", threads, folder)
        with start(arguments.python) as workers:
            about |= harness.versions(workers)
            give_onnx(workers, folder)
            about["apart"] = check(workers, folder)
            rows = measure(workers, arguments, len(x))
    peak = comparison.fma_limit(rows)
    print(report.facts(about))
    if peak:
        most = peak["median"] * 1e9 / FLOPS["train"]
        print(f"FMA limit:    {peak['median']:.0f} GFLOP/s: at most {most:,.0f} images/s trained")
    print(f"\nMedians of {arguments.effort.rounds} rounds")
    print(comparison.table(rows, LABELS))
    return {
        "machine": about, "flops_an_image": FLOPS, "fma_limit_gflops": peak, "rows": rows
    }  # fmt: skip
