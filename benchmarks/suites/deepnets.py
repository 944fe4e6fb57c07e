"""The deep networks: training, and inference of a batch and of one image, 224x224.

    resnet50    "v1.5", as in torchvision: a bottleneck strides in its 3x3 convolution
    googlenet   torchvision's, with batch normalisation, without the auxiliary heads
    alexnet     "one-weird-trick", as in torchvision
    vgg16       configuration D

One step: forward, softmax cross-entropy, backward, SGD with momentum 0.9, on a batch of random
images that stays in memory, the same in all peers. Inference: the class probabilities. PyTorch runs
eagerly with channels_last tensors and fused SGD, and with --compile in torch.compile too; ONNX
Runtime and OpenVINO run what PyTorch exports. Each peer takes the number of threads that is fastest
for it: all CPUs or half of them. All have the same weights, and must give the same probabilities
before anything is timed.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import comparison
import harness
import machine
import report
from comparison import Row
from harness import Worker

from suites import networks

PEERS = ("torch", "onnxruntime", "openvino", "striate")
NETWORKS = ("resnet50", "googlenet", "alexnet", "vgg16")
LABELS = ("network", "what", "batch")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--networks", type=lambda text: text.split(","),
        help=f"default: {','.join(NETWORKS)}; quick: alexnet; also vgg19, resnet18 to resnet152",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, help="default: 16; quick: 2")
    parser.add_argument("--precision", default="float32", help='striate\'s: "float32", "strict"')
    parser.add_argument("--compile", action="store_true", help="try torch.compile, too")
    parser.add_argument("--inference-only", action="store_true")


def measure(
    workers: Sequence[Worker], network: str, batch: int, macs: int, threads: int,
    arguments: argparse.Namespace,
) -> list[Row]:  # fmt: skip
    limit = harness.fma_limit(workers)
    cases = [] if arguments.inference_only else [("train", batch)]
    cases += [("infer", size) for size in sorted({batch, 1}, reverse=True)]
    rows = []
    for what, size in cases:
        labels = {"network": network, "what": networks.WHAT[what], "batch": str(size)}
        case = networks.case_of(labels, what, size, macs)
        field = networks.field(
            workers, case, what, networks.all_or_half(threads), arguments.compile
        )
        rows += comparison.measure([field], limit, arguments.effort)
    return rows


def measure_all(
    workers: Sequence[Worker], arguments: argparse.Namespace, threads: int, folder: Path
) -> tuple[list[Row], dict[str, Any]]:
    """(the rows of all networks, what was found out about each)."""
    rows, sizes = [], {}
    batch = arguments.batch or (2 if arguments.quick else 16)
    for network in arguments.networks or (["alexnet"] if arguments.quick else NETWORKS):
        size: dict[str, Any] = networks.prepare(workers, network, batch, 224, arguments.precision)
        alike, ready = networks.share_weights(workers, network, folder)
        size["apart"] = networks.check(alike, batch, arguments.precision, folder)
        sizes[network] = size
        macs = size["multiply_accumulates"]
        found = measure(ready, network, batch, macs, threads, arguments)
        print(f"{comparison.table(found, LABELS)}\n", flush=True)
        rows += found
        for worker in workers:
            worker.call("forget")
        for file in folder.glob(f"{network}.onnx*"):
            file.unlink()
    return rows, sizes


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    threads = harness.use_cpus(arguments.threads)
    about: dict[str, Any] = machine.describe(threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with harness.working(
            arguments.peers, "deepnets", threads, folder, arguments.python
        ) as workers:
            about |= harness.versions(workers)
            rows, sizes = measure_all(workers, arguments, threads, folder)
    peak = comparison.fma_limit(rows)
    print(report.facts(about | {"precision": arguments.precision}))
    if peak:
        print(f"FMA limit:    {peak['median']:.0f} GFLOP/s ({peak['min']:.0f}..{peak['max']:.0f})")
    for network, size in sizes.items():
        apart = ", ".join(f"{peer} {value:.1e}" for peer, value in size["apart"].items())
        print(f"{network}: probabilities apart, of their range: {apart or 'not compared'}")
    print(f"\n224x224; medians of {arguments.effort.rounds} rounds")
    print(comparison.table(rows, LABELS))
    return {
        "machine": about, "precision": arguments.precision, "networks": sizes,
        "fma_limit_gflops": peak, "rows": rows,
    }  # fmt: skip
