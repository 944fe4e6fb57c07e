"""MNIST to 99.0 % test accuracy, from the start of a process to its end, in striate and PyTorch.

    python benchmarks/mnist99.py [--data DIR] [--rounds 3] [--threads N]

Both sides train the LeNet-5 of today (benchmarks/suites/lenet5.py) in processes of their own, which
import, read the files, train, and evaluate the 10,000 test images once, at the end; they run in
turn. Each has the recipe that was found to be its quickest: one-cycle schedules of AdamW, as few
passes as reach 99.0 % from every seed tried, the batch that is fastest for it. PyTorch trains
channels_last on tensors in memory, without a DataLoader. Shown are seconds and accuracies of every
run, and the ratio of the medians; a run below 99.0 % is named, not left out.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import harness
import machine
import report

HERE = Path(__file__).parent
WANTED = 0.990


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("STRIATE_DATA"), help="MNIST's folder")
    parser.add_argument("--rounds", type=int, default=3, help="seeds 0, 1, ...")
    parser.add_argument("--threads", type=int, help="CPUs to use (default: all there are)")
    given = parser.parse_args()
    if not given.data:
        raise SystemExit("where is MNIST? --data or STRIATE_DATA")
    threads = harness.use_cpus(given.threads)
    print(report.facts(machine.describe(threads)))
    seconds: dict[str, list[float]] = {"torch": [], "striate": []}
    rows = []
    for seed in range(given.rounds):
        for peer, times in seconds.items():
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, str(HERE / "peers" / f"{peer}_mnist99.py"), given.data, str(seed),
                 str(threads)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            times.append(time.perf_counter() - start)
            accuracy = float(done.stdout.split()[-1])
            short = "" if accuracy >= WANTED else "below 99.0 %"
            rows.append([peer, str(seed), f"{times[-1]:.2f}", f"{accuracy:.2%}", short])
    print(report.table(["peer", "seed", "seconds", "accuracy", ""], rows))
    ratio = median(seconds["torch"]) / median(seconds["striate"])
    print(f"PyTorch's median over striate's: {ratio:.2f}")


if __name__ == "__main__":
    main()
