"""How time grows: with threads, the batch, the images' size, and the network's depth.

    threads   LeNet-5 and ResNet-18, training, on 1 to all threads
    batch     LeNet-5, training and inference, 1 to 1024
    size      ResNet-18, training and inference, 64x64 to 224x224
    depth     the CIFAR ResNets with 20 to 110 layers, training; see --networks

Steps are those of `compare.py deepnets`. Except in "threads", each peer takes the number of threads
that is fastest for it: all CPUs or half of them. "from the first" is images/s over images/s of the
row's first value.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comparison
import harness
import machine
import report
from comparison import Row
from harness import Worker

from suites import networks

PEERS = ("torch", "striate")
PARTS = ("threads", "batch", "size", "depth")
CIFAR = ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110")
UNITS = {"threads": "thread(s)", "batch": "images", "size": "pixels a side", "depth": "layers"}
SIDE = 224  # of the deep networks, where it is not what varies


@dataclass(frozen=True)
class Point:
    """One row group. value: of what the part varies."""

    part: str
    value: int
    network: str
    what: str
    batch: int
    side: int = SIDE
    threads: int | None = None  # None: the fastest

    @property
    def prepared(self) -> tuple[str, int]:
        """Points in a row that agree in this share a network in memory."""
        return self.network, self.side


def add_arguments(parser: argparse.ArgumentParser) -> None:
    def words(text: str) -> list[str]:
        return text.split(",")

    parser.add_argument("--parts", type=words, default=list(PARTS))
    parser.add_argument("--batch", type=int, help="of ResNets (default: 16; quick: 2)")
    parser.add_argument(
        "--networks", type=words,
        help=f'of "depth" (default: {",".join(CIFAR)}; quick: the first two); resnet18 to '
        "resnet152 are possible, too",
    )  # fmt: skip


def points(arguments: argparse.Namespace, threads: int) -> Iterator[Point]:
    quick = arguments.quick
    batch = arguments.batch or (2 if quick else 16)
    for part in arguments.parts:
        if part == "threads":
            for network, size in (("lenet5", 256), ("resnet18", batch)):
                for n in range(1, threads + 1):
                    yield Point(part, n, network, "train", size, threads=n)
        elif part == "batch":
            for what in networks.WHAT:
                for size in (1, 16) if quick else (2**k for k in range(11)):
                    yield Point(part, size, "lenet5", what, size)
        elif part == "size":
            for what in networks.WHAT:
                for side in (64, 96) if quick else (64, 96, 128, 160, 192, 224):
                    yield Point(part, side, "resnet18", what, batch, side)
        elif part == "depth":
            for network in arguments.networks or (CIFAR[:2] if quick else CIFAR):
                layers = int(network.removeprefix("resnet"))
                yield Point(part, layers, network, "train", batch)
        else:
            raise SystemExit(f"--parts: there are {', '.join(PARTS)}, not {part}")


def measure(
    workers: Sequence[Worker], point: Point, macs: int, threads: int, arguments: argparse.Namespace
) -> list[Row]:
    labels = {
        "part": point.part,
        "network": point.network,
        "what": networks.WHAT[point.what],
        "value": point.value,
    }
    small = point.network == "lenet5"
    case = networks.case_of(labels, point.what, point.batch, macs, trial_steps=20 if small else 1)
    counts = networks.all_or_half(threads) if point.threads is None else [point.threads]
    field = networks.field(workers, case, point.what, counts, compiled=False)
    return comparison.measure([field], harness.fma_limit(workers), arguments.effort)


def measure_all(
    workers: Sequence[Worker], arguments: argparse.Namespace, threads: int
) -> list[Row]:
    rows: list[Row] = []
    ready, macs = None, 0
    wanted = list(points(arguments, threads))
    for point in wanted:
        if point.prepared != ready:
            if ready is not None:
                for worker in workers:
                    worker.call("forget")
            batch = max(p.batch for p in wanted if p.prepared == point.prepared)
            size = networks.prepare(workers, point.network, batch, point.side, "float32")
            ready, macs = point.prepared, size["multiply_accumulates"]
        rows += measure(workers, point, macs, threads, arguments)
        print(".", end="", flush=True)
    print()
    return rows


def table(rows: Sequence[Row], peers: Sequence[str]) -> str:
    """A line a value, with the peers side by side."""
    lines = []
    first: dict[Any, float] = {}
    for row in rows:
        line = (row["part"], row["network"] if row["part"] != "depth" else "ResNets", row["what"])
        first.setdefault((line, row["peer"]), row["samples_per_second"])
        if row["peer"] != peers[0]:
            continue
        found = {
            r["peer"]: r
            for r in rows
            if all(r[key] == row[key] for key in ("part", "network", "what", "value"))
        }
        growth = {}
        for peer, r in found.items():
            begin = first.setdefault((line, peer), r["samples_per_second"])
            growth[peer] = r["samples_per_second"] / begin
        ratio = found.get("striate", {}).get("to_torch")
        cells = [*line, f"{row['value']} {UNITS[row['part']]}"]
        for peer in peers:
            r = found[peer]
            cells += [comparison.number(r["samples_per_second"]), f"{growth[peer]:.2f}"]
            share = r.get("share_of_fma_limit")
            cells.append(f"{share:.0%}" if share else "-")
        lines.append([*cells, f"{ratio['ratio']:.2f}" if ratio else "-"])
    header = ["part", "network", "what", "at"]
    for peer in peers:
        header += [f"{peer}, images/s", "from the first", "of FMA limit"]
    return report.table([*header, "striate to torch"], lines)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    threads = harness.use_cpus(arguments.threads)
    about: dict[str, Any] = machine.describe(threads)
    with tempfile.TemporaryDirectory() as name:
        with harness.working(
            arguments.peers, "deepnets", threads, Path(name), arguments.python
        ) as workers:
            about |= harness.versions(workers)
            rows = measure_all(workers, arguments, threads)
            peers = [worker.name for worker in workers]
    print(report.facts(about))
    print(f"\nMedians of {arguments.effort.rounds} rounds")
    print(table(rows, peers))
    peak = comparison.fma_limit(rows)
    return {"machine": about, "fma_limit_gflops": peak, "rows": rows}
