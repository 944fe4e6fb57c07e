"""What `striate train` reaches, over several seeds: accuracy and training seconds.

    python benchmarks/accuracy.py lenet5 --seeds 5 [--dataset NAME] [--data DIR]
                                  [-- more arguments of striate train]
    python benchmarks/accuracy.py lenet5 --seeds 3 -- --recipe best
    python benchmarks/accuracy.py resnet20 --dataset cifar10 --seeds 1

Each seed is a process of its own, as a user would start it; the figures are those of the runs'
result.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def train(network: str, seed: int, runs: Path, arguments: list[str]) -> dict[str, Any]:
    """Runs `striate train` once and returns its result.json."""
    name = f"seed-{seed}"
    subprocess.run(
        [sys.executable, "-m", "striate", "train", network, "--seed", str(seed), "--name", name,
         "--runs", str(runs), *arguments],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    result: dict[str, Any] = json.loads((runs / name / "result.json").read_text())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", help="as striate train has it: lenet5, resnet20 ...")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--dataset", default="mnist", help="as striate train has it")
    parser.add_argument("--data", help="folder with the data set (default: as striate finds it)")
    # What stands behind "--" is for striate train.
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    options = parser.parse_args(given[:end])
    arguments = ["--dataset", options.dataset, *given[end + 1 :]]
    if options.data:
        arguments += ["--data", options.data]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        print("seed  accuracy   error  seconds  images/s")
        for seed in range(options.seeds):
            r = train(options.network, seed, Path(folder), arguments)
            results.append(r)
            print(
                f"{seed:4}  {100 * r['accuracy']:6.2f} %  {100 - 100 * r['accuracy']:4.2f} %"
                f"  {r['seconds']:7.1f}  {r['images_per_second']:8,.0f}",
                flush=True,
            )
    accuracy = [100 * r["accuracy"] for r in results]
    seconds = [r["seconds"] for r in results]
    print(
        f"mean {statistics.mean(accuracy):.3f} %, lowest {min(accuracy):.2f} %; "
        f"seconds: median {statistics.median(seconds):.1f}, most {max(seconds):.1f}; "
        f"{results[0]['isa']}, {results[0]['threads']} threads"
    )


if __name__ == "__main__":
    main()
