"""How fast the deep networks train and run, in striate and in PyTorch, measured in turn in one run.

    python benchmarks/deepnets.py [--networks resnet50,googlenet,alexnet,vgg16] [--batch 16]
                                  [--rounds 5] [--threads N] [--json FILE] [--python torch=PYTHON]

    resnet50    "v1.5", as in torchvision: a bottleneck strides in its 3x3 convolution
    googlenet   torchvision's, with batch normalisation, without the auxiliary heads
    alexnet     "one-weird-trick", as in torchvision
    vgg16       configuration D

One step: forward, softmax cross-entropy, backward, SGD with momentum 0.9, on a batch of random
images of 224x224 that stays in memory, the same in both. PyTorch runs eagerly with channels_last
tensors and fused SGD. Each peer takes the number of threads that is fastest for it: all CPUs or
half of them. Inference: the class probabilities of the same batch.

GFLOP/s count 6 FLOP a multiply-accumulate of the convolutions and dense layers in training and 2 in
inference, by their definition: an algorithm that multiplies less, like Winograd's, gets the same
count, so the share of the machine's multiply-add limit may pass 100 %.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import harness
import machine
import numpy as np
import report
from harness import PeerError, Worker

PEERS = ("torch", "striate")
NETWORKS = ("resnet50", "googlenet", "alexnet", "vgg16")
FLOPS_A_MAC = {"train": 6, "infer": 2}
WHAT = {"train": "training", "infer": "inference"}
CLASSES = 1000

# A sample is so many steps that it takes about a second, and no more than these.
SAMPLE_SECONDS, MOST_STEPS = 1.0, 10
TRIALS = 2


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--networks", type=lambda text: text.split(","), default=list(NETWORKS),
        help="also vgg19 and resnet152",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5, help="medians are shown")
    parser.add_argument("--threads", type=int, help="CPUs to use (default: all there are)")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument(
        "--python", action="append", default=[], metavar="PEER=PYTHON",
        help="the interpreter that has this peer (default: this one)",
    )  # fmt: skip
    return parser.parse_args()


def save_batch(folder: Path, batch: int) -> None:
    """Normalised images [batch, 224, 224, 3] and labels, for the workers to load."""
    random = np.random.Generator(np.random.Philox(2015))
    np.save(folder / "images.npy", random.standard_normal((batch, 224, 224, 3), dtype=np.float32))
    np.save(folder / "labels.npy", random.integers(0, CLASSES, batch))


def prepare(workers: Sequence[Worker], network: str) -> dict[str, int]:
    """Makes the network everywhere; its size, once it is known to be the same network."""
    sizes = {}
    for worker in workers:
        made = worker.call("prepare", network=network)
        sizes[worker.name] = {**made, "multiply_accumulates": worker.call("count")}
    first = next(iter(sizes.values()))
    if any(size != first for size in sizes.values()):
        raise SystemExit(f"{network} is not the same in all peers: {sizes}")
    return first


def fastest_threads(worker: Worker, what: str, threads: int) -> tuple[int, float]:
    """(number of threads, seconds a step), by the faster of two short trials in turn."""
    candidates = sorted({threads, max(1, threads // 2)}, reverse=True)
    worker.call(what, threads=threads, steps=1)  # allocates
    trials = harness.in_turn(
        {n: partial(worker.call, what, threads=n, steps=1) for n in candidates}, TRIALS
    )
    best = min(candidates, key=lambda n: min(trials[n]))
    return best, min(trials[best])


def measure(
    workers: Sequence[Worker], threads: int, rounds: int
) -> tuple[dict[tuple[str, str], dict[str, Any]], list[float]]:
    """By (what, peer), seconds a step of the network that is prepared; the FMA limits between."""
    measurements: dict[Any, Callable[[], float]] = {}
    results: dict[tuple[str, str], dict[str, Any]] = {}
    for what in WHAT:
        for worker in workers:
            best, seconds = fastest_threads(worker, what, threads)
            steps = min(max(1, round(SAMPLE_SECONDS / seconds)), MOST_STEPS)
            results[what, worker.name] = {"threads": best, "steps_a_sample": steps}
            measurements[what, worker.name] = partial(worker.call, what, threads=best, steps=steps)
    peak = harness.fma_peak(workers)
    if peak is not None:
        measurements["peak"] = peak
    samples = harness.in_turn(measurements, rounds)
    for key, result in results.items():
        result["seconds_a_step"] = harness.summary(samples[key])
    return results, samples.get("peak", [])


def rows_of(
    network: str, results: dict[tuple[str, str], dict[str, Any]], macs: int, batch: int
) -> list[dict[str, Any]]:
    """What was measured with what follows from it; ratios are to PyTorch in the same rounds."""
    rows = []
    for (what, peer), result in results.items():
        seconds = result["seconds_a_step"]
        row = {
            "network": network,
            "what": WHAT[what],
            "peer": peer,
            **result,
            "images_per_second": batch / seconds["median"],
            "gflops": FLOPS_A_MAC[what] * macs * batch / seconds["median"] / 1e9,
        }
        other = results.get((what, "torch"))
        if other is not None and peer != "torch":
            theirs = other["seconds_a_step"]
            row["ratio"] = theirs["median"] / seconds["median"]
            row["ratio_by_round"] = [
                a / b for a, b in zip(theirs["samples"], seconds["samples"], strict=True)
            ]
        rows.append(row)
    return rows


def table(rows: Sequence[dict[str, Any]], batch: int, peak: float | None) -> str:
    lines = []
    for row in rows:
        seconds = row["seconds_a_step"]
        by_round = row.get("ratio_by_round")
        lines.append(
            [
                row["network"],
                row["what"],
                row["peer"],
                f"{row['images_per_second']:.1f}",
                f"{batch / seconds['max']:.1f}..{batch / seconds['min']:.1f}",
                f"{row['ratio']:.2f}" if by_round else "-",
                f"{min(by_round):.2f}..{max(by_round):.2f}" if by_round else "-",
                f"{row['gflops']:.0f}",
                f"{row['gflops'] / peak:.1%}" if peak else "-",
                str(row["threads"]),
            ]
        )
    header = [
        "network", "", "peer", "images/s", "min..max", "to torch", "by round", "GFLOP/s",
        "of FMA limit", "threads",
    ]  # fmt: skip
    return report.table(header, lines)


def measure_all(
    workers: Sequence[Worker], arguments: argparse.Namespace, threads: int
) -> tuple[list[dict[str, Any]], dict[str, Any], list[float]]:
    """The rows of all networks, their sizes, and every FMA limit."""
    rows, sizes, peaks = [], {}, []
    for network in arguments.networks:
        sizes[network] = size = prepare(workers, network)
        results, limits = measure(workers, threads, arguments.rounds)
        found = rows_of(network, results, size["multiply_accumulates"], arguments.batch)
        print(table(found, arguments.batch, median(limits) if limits else None), flush=True)
        rows += found
        peaks += limits
        for worker in workers:
            worker.call("forget")
    return rows, sizes, peaks


def main() -> None:
    arguments = parse_arguments()
    threads = harness.use_cpus(arguments.threads)
    about: dict[str, Any] = machine.describe(threads)
    workers: list[Worker] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_batch(folder, arguments.batch)
        try:
            workers = harness.start_workers(PEERS, "deepnets", threads, folder, arguments.python)
            if not workers:
                raise SystemExit("no peer could be started")
            for worker in workers:
                about[worker.name] = worker.call("versions")
            rows, sizes, peaks = measure_all(workers, arguments, threads)
        except PeerError as error:
            raise SystemExit(str(error)) from error
        finally:
            for worker in workers:
                worker.close()
    peak = harness.summary(peaks) if peaks else None
    print(f"\n{report.facts(about)}")
    if peak:
        print(f"FMA limit:    {peak['median']:.0f} GFLOP/s ({peak['min']:.0f}..{peak['max']:.0f})")
    print(f"\nBatches of {arguments.batch}, 224x224; medians of {arguments.rounds} rounds")
    print(table(rows, arguments.batch, peak["median"] if peak else None))
    if arguments.json:
        content = {
            "benchmark": "deepnets", "machine": about, "batch": arguments.batch,
            "networks": sizes, "fma_limit_gflops": peak, "rows": rows,
        }  # fmt: skip
        report.write_json(arguments.json, content)


if __name__ == "__main__":
    main()
