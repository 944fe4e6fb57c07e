"""How much memory a training step of the deep networks takes, in striate and in PyTorch.

    python benchmarks/memory.py [--networks resnet152,vgg19] [--batch 8] [--steps 1,3]
                                [--threads N] [--json FILE] [--python torch=PYTHON]

Networks and step are those of `compare.py deepnets`: images of 224x224, SGD with momentum; PyTorch
eager with channels_last tensors. Every figure has a process of its own: the most that was
resident until it had made the network and trained the steps, less what was resident after the
imports, and in all. In the first step both make the momentum when the activations are gone again,
so only from the second on the peak is that of training. Beside striate's stands what
`model.memory(batch)` says before anything is allocated, which is of the second step on.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness
import machine
import report
from harness import PeerError

PEERS = ("torch", "striate")
NETWORKS = ("resnet152", "vgg19")
MIB = 2**20


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--networks", type=lambda text: text.split(","), default=list(NETWORKS),
        help="also resnet50, googlenet, alexnet, vgg16",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument(
        "--steps", type=lambda text: [int(n) for n in text.split(",")], default=[1, 3],
        help="optimizer steps until the peak is read; a process for each",
    )  # fmt: skip
    harness.add_arguments(parser)
    return parser.parse_args()


def measure(
    peer: str, network: str, batch: int, steps: int, threads: int, folder: Path,
    pythons: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """Of one fresh process, in bytes.

    Raises:
        PeerError: the peer could not do it.
    """
    workers = harness.start_workers([peer], "deepnets", threads, folder, pythons)
    if not workers:
        raise PeerError(f"{peer} could not be started")
    worker = workers[0]
    try:
        worker.call("prepare", network=network, batch=batch)
        planned = worker.call("planned_memory", batch=batch) if peer == "striate" else None
        setting = worker.call("settings", what="train")[0]
        worker.call("train", setting=setting, threads=threads, batch=batch, steps=steps)
        found = worker.call("memory")
        versions = worker.call("versions")
    finally:
        worker.close()
    return {
        "network": network, "batch": batch, "steps": steps, "peer": peer,
        "growth": found["peak"] - found["after_import"], **found,
        "planned": planned, "versions": versions,
    }  # fmt: skip


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        other = next((r for r in rows if r["peer"] == "torch" and _case(r) == _case(row)), None)
        lines.append(
            [
                row["network"],
                str(row["steps"]),
                row["peer"],
                f"{row['growth'] / MIB:,.0f}",
                f"{row['after_import'] / MIB:,.0f}",
                _ratio(row, other, "growth"),
                f"{row['peak'] / MIB:,.0f}",
                _ratio(row, other, "peak"),
                f"{row['planned']['total'] / MIB:,.0f}" if row["planned"] else "-",
                f"{row['growth'] / row['planned']['total']:.3f}" if row["planned"] else "-",
            ]
        )
    header = [
        "network", "steps", "peer", "growth MiB", "after import", "to torch", "in all",
        "to torch", "model.memory", "growth to it",
    ]  # fmt: skip
    return report.table(header, lines)


def _ratio(row: dict[str, Any], other: dict[str, Any] | None, what: str) -> str:
    return f"{row[what] / other[what]:.2f}" if other and other is not row else "-"


def _case(row: dict[str, Any]) -> tuple[str, int]:
    return row["network"], row["steps"]


def parts(rows: Sequence[dict[str, Any]]) -> str:
    """What model.memory adds up, in MiB."""
    planned = {row["network"]: row["planned"] for row in rows if row["planned"]}
    names = [name for name in next(iter(planned.values()), {}) if name != "total"]
    return report.table(
        ["model.memory, MiB", *names],
        [[network, *(f"{p[name] / MIB:,.0f}" for name in names)] for network, p in planned.items()],
    )


def main() -> None:
    arguments = parse_arguments()
    threads = harness.use_cpus(arguments.threads)
    about: dict[str, Any] = machine.describe(threads)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for network in arguments.networks:
            for steps in arguments.steps:
                for peer in PEERS:
                    try:
                        row = measure(
                            peer, network, arguments.batch, steps, threads, folder,
                            arguments.python,
                        )  # fmt: skip
                    except PeerError as error:
                        print(f"left out: {error}")
                        continue
                    about[peer] = row.pop("versions")
                    rows.append(row)
    if not rows:
        raise SystemExit("nothing could be measured")
    print(report.facts(about))
    print(f"\nTraining batches of {arguments.batch}, 224x224, SGD with momentum")
    print(table(rows))
    print(f"\n{parts(rows)}")
    if arguments.json:
        content = {"benchmark": "memory", "machine": about, "rows": rows}
        report.write_json(arguments.json, content)


if __name__ == "__main__":
    main()
