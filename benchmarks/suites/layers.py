"""Layers: each distinct shape of five networks, forward, input gradient and weight gradient apart.

LeNet-5, AlexNet, VGG-16, GoogLeNet and ResNet-50, of AlexNet and GoogLeNet both variants (those of
2012 and 2014 have the response normalisation); shapes come from striate.applications, without the
activations. Batches of 16, LeNet-5's of 128. Both sides are called from Python and make one pass a
call, on the number of threads that is fastest for them: all CPUs or half of them. PyTorch's tensors
are channels_last. Where a library makes all gradients of a layer in one, as both do in batch
normalisation, that is one pass.

The share of the FMA limit is of convolutions and dense layers, 2 FLOP a multiply-accumulate. At the
end stand the geometric means of the ratios, and the worst rows.
"""

import argparse
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import comparison
import harness
import machine
import report
from comparison import Case, Effort, Measure, Row
from harness import PeerError, Worker

from suites.networks import all_or_half

PEERS = ("torch", "striate")
NETWORKS = (
    "lenet5", "alexnet", "alexnet-2012", "vgg16", "googlenet", "googlenet-2014", "resnet50",
)  # fmt: skip
KINDS = ("convolution", "dense", "pooling", "batch normalisation", "LRN")
LENET_BATCH = 128
MOST_STEPS = 1000
WORST = 15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    def words(text: str) -> list[str]:
        return text.split(",")

    parser.add_argument(
        "--networks", type=words, help=f"default: {','.join(NETWORKS)}; quick: lenet5,alexnet"
    )
    parser.add_argument("--kinds", type=words, default=list(KINDS), help=f"of {','.join(KINDS)}")
    parser.add_argument("--batch", type=int, help="but LeNet-5's (default: 16; quick: 2)")


def name_of(shape: dict[str, Any]) -> str:
    """ "conv 3x3/2 groups 2, 56x56x64 to 28x28x128"."""
    config = shape["config"]
    window = config.get("kernel_size") or config.get("pool_size")
    words = {"convolution": "conv", "pooling": "pool", "batch normalisation": "batch norm"}
    text = words.get(shape["kind"], shape["kind"])
    if shape["kind"] == "pooling":
        text = "max pool" if shape["layer"].startswith("Max") else "mean pool"
    if window:
        stride = config["strides"][0]
        text += f" {window[0]}x{window[1]}" + (f"/{stride}" if stride > 1 else "")
    if config.get("groups", 1) > 1:
        text += f" groups {config['groups']}"
    given, made = ("x".join(map(str, shape[key])) for key in ("input", "output"))
    return f"{text}, {given}" + ("" if given == made else f" to {made}")


def measure(
    workers: Sequence[Worker], shape: dict[str, Any], batch: int, threads: Sequence[int],
    limit: harness.FmaLimit | None, effort: Effort,
) -> list[Row]:  # fmt: skip
    """The rows of one layer, all its passes in turn."""
    passes: dict[str, dict[str, dict[str, Measure]]] = {}
    for worker in workers:
        try:
            found = worker.call("prepare", shape=shape, batch=batch)
        except PeerError as error:
            print(f"  left out of {name_of(shape)}: {error}", flush=True)
            continue
        for name in found:
            passes.setdefault(name, {})[worker.name] = {
                f"threads {n}": partial(_time, worker, name, n) for n in threads
            }
    networks = " ".join(f"{name}:{count}" for name, count in shape["networks"].items())
    fields = [
        (
            Case(
                {"layer": name_of(shape), "kind": shape["kind"], "pass": name, "batch": batch,
                 "networks": networks},
                samples=batch,
                flops=2.0 * shape["macs"] * batch if shape["kind"] in KINDS[:2] else 0.0,
                most_steps=MOST_STEPS,
            ),
            peers,
        )
        for name, peers in passes.items()
    ]  # fmt: skip
    return comparison.measure(fields, limit, effort)


def _time(worker: Worker, name: str, threads: int, steps: int) -> float:
    return float(worker.call("time", name=name, threads=threads, steps=steps))


def paired(rows: Sequence[Row]) -> list[dict[str, Row]]:
    """{peer: row} of each layer and pass."""
    groups: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in rows:
        key = (row["layer"], row["pass"], row["batch"])
        groups.setdefault(key, {})[row["peer"]] = row
    return list(groups.values())


def table(pairs: Sequence[dict[str, Row]], peers: Sequence[str]) -> str:
    lines = []
    for pair in pairs:
        any_row = next(iter(pair.values()))
        ratio = pair.get("striate", {}).get("to_torch")
        cells = [any_row["layer"], any_row["pass"], str(any_row["batch"])]
        for peer in peers:
            row = pair.get(peer)
            cells.append(comparison.duration(row["seconds_a_step"]["median"]) if row else "-")
            share = row.get("share_of_fma_limit") if row else None
            cells.append(f"{share:.0%}" if share else "-")
        by_round = ratio["by_round"] if ratio else []
        cells += [f"{ratio['ratio']:.2f}" if ratio else "-"]
        cells += [f"{min(by_round):.2f}..{max(by_round):.2f}" if ratio else "-"]
        lines.append([*cells, any_row["networks"]])
    header = ["layer", "pass", "batch"]
    for peer in peers:
        header += [peer, "of FMA limit"]
    return report.table([*header, "to torch", "by round", "networks"], lines)


def means(pairs: Sequence[dict[str, Row]]) -> dict[str, dict[str, float]]:
    """Geometric means of striate's ratios to PyTorch: {kind: {pass: ratio}}, "all" included."""
    ratios: dict[str, dict[str, list[float]]] = {}
    for pair in pairs:
        row = pair.get("striate", {})
        if "to_torch" not in row:
            continue
        for kind in (row["kind"], "all"):
            for name in (row["pass"], "all"):
                ratios.setdefault(kind, {}).setdefault(name, []).append(row["to_torch"]["ratio"])
    return {
        kind: {name: geometric_mean(values) for name, values in by_pass.items()}
        for kind, by_pass in ratios.items()
    }


def summary(pairs: Sequence[dict[str, Row]], peers: Sequence[str]) -> dict[str, Any]:
    """Prints the means and the worst rows; gives the means."""
    found = means(pairs)
    if not found:
        print("\nno ratios: PyTorch and striate were not both there")
        return {}
    kinds = sorted(found, key=lambda kind: [*KINDS, "all"].index(kind))
    names = list(found["all"])
    print("\nGeometric means of the ratios to torch")
    lines = [
        [kind, *(f"{found[kind][name]:.2f}" if name in found[kind] else "-" for name in names)]
        for kind in kinds
    ]
    print(report.table(["kind", *names], lines))
    known = [pair for pair in pairs if "to_torch" in pair.get("striate", {})]
    known.sort(key=lambda pair: pair["striate"]["to_torch"]["ratio"])
    print("\nThe worst")
    print(table(known[:WORST], peers))
    return found


def measure_all(
    workers: Sequence[Worker], arguments: argparse.Namespace, threads: int
) -> list[Row]:
    striate = next((worker for worker in workers if worker.name == "striate"), None)
    if striate is None:
        raise SystemExit("layers needs striate, which knows the shapes")
    quick = arguments.quick
    networks = arguments.networks or (["lenet5", "alexnet"] if quick else list(NETWORKS))
    limit = harness.fma_limit(workers)
    rows = []
    for shape in striate.call("shapes", networks=networks):
        if shape["kind"] not in arguments.kinds:
            continue
        batch = LENET_BATCH if "lenet5" in shape["networks"] else arguments.batch
        batch = batch or (2 if quick else 16)
        counts = all_or_half(threads)
        rows += measure(workers, shape, batch, counts, limit, arguments.effort)
        print(".", end="", flush=True)
    print()
    return rows


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    threads = harness.use_cpus(arguments.threads)
    about: dict[str, Any] = machine.describe(threads)
    with tempfile.TemporaryDirectory() as name:
        with harness.working(
            arguments.peers, "layers", threads, Path(name), arguments.python
        ) as workers:
            about |= harness.versions(workers)
            rows = measure_all(workers, arguments, threads)
            peers = [worker.name for worker in workers]
    pairs, peak = paired(rows), comparison.fma_limit(rows)
    print(report.facts(about))
    if peak:
        print(f"FMA limit:    {peak['median']:.0f} GFLOP/s ({peak['min']:.0f}..{peak['max']:.0f})")
    print(f"\nMedians of {arguments.effort.rounds} rounds")
    print(table(pairs, peers))
    found = summary(pairs, peers)
    return {"machine": about, "fma_limit_gflops": peak, "geometric_means": found, "rows": rows}
