"""How fast LeNet-5 trains, in striate and in its peers, measured in turn in one run.

    python benchmarks/lenet5.py --data DIR [--peers torch,keras,striate] [--batches 32,128,256]
                                [--repeats 5] [--threads N] [--json FILE] [--python keras=PYTHON]

The network: 28x28x1, conv 6@5x5 "same", ReLU, max pool 2, conv 16@5x5 "valid", ReLU, max pool 2,
dense 120, 84 (ReLU), 10; softmax cross-entropy; SGD with momentum 0.9. float32 arrays in memory,
all batches full, and in every pass a new random permutation. A peer's settings (eager or compiled,
which memory layout, which training loop) are first tried for a short pass at each batch size; the
fastest then runs the rounds. Inference: the median time of one call with one image, all settings.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import harness
import lenet5_data
import machine
import report
from harness import PeerError, Worker

PEERS = ("torch", "keras", "striate")

# Multiply-adds for one image forward: c1, c3, c5, f6, output.
C1 = 28 * 28 * 6 * 25
FORWARD = C1 + 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10
assert FORWARD == 416_520
# Training: forward, the weights' gradients and the inputs' gradients each cost as much, except that
# nobody needs the gradient by the image. Two FLOPs a multiply-add; all else is not counted.
TRAINING_FLOPS = 2 * (3 * FORWARD - C1)

# A pass is cut to full batches of every size asked for, and a trial is a short pass.
TRIAL_IMAGES = 8192
TRIALS = 2
INFERENCE_CALLS = 300

Trained = dict[tuple[str, int], dict[str, Any]]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", type=lambda text: text.split(","), default=list(PEERS))
    parser.add_argument(
        "--batches", type=lambda text: [int(b) for b in text.split(",")], default=[32, 128, 256]
    )
    parser.add_argument("--repeats", type=int, default=5, help="rounds; medians are shown")
    parser.add_argument("--images", type=int, default=60_000, help="images a pass")
    parser.add_argument("--threads", type=int, help="CPUs to use (default: all there are)")
    parser.add_argument("--data", help="folder with MNIST (default: STRIATE_DATA)")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="PEER=PYTHON",
        help="the interpreter that has this peer (default: this one)",
    )
    return parser.parse_args()


def fastest_setting(worker: Worker, batch: int, available: int) -> tuple[str, dict[str, float]]:
    """The setting with the most images/s in short passes, the first not counted; and all."""
    images = min(TRIAL_IMAGES, available) // batch * batch
    speeds: dict[str, float] = {}
    for setting in worker.call("training_settings"):
        try:
            seconds = [
                worker.call("train", setting=setting, batch=batch, images=images)
                for _ in range(1 + TRIALS)
            ]
        except PeerError as error:
            print(f"  {setting}: {error}")
            continue
        speeds[setting] = images / min(seconds[1:])
    if not speeds:
        raise PeerError(f"{worker.name}: no setting trains")
    return max(speeds, key=lambda setting: speeds[setting]), speeds


def measure_training(
    workers: Sequence[Worker], batches: Sequence[int], available: int, repeats: int
) -> tuple[Trained, list[float]]:
    """What each peer reached at each batch size, and the FMA peak of each round (GFLOP/s)."""
    measurements: dict[Any, Callable[[], float]] = {}
    results: Trained = {}
    for batch in batches:
        images = available // batch * batch
        for worker in workers:
            setting, trials = fastest_setting(worker, batch, images)
            key = (worker.name, batch)
            results[key] = {"setting": setting, "trials": trials, "images": images}
            measurements[key] = partial(
                worker.call, "train", setting=setting, batch=batch, images=images
            )
    peak = harness.fma_peak(workers)
    if peak is not None:
        measurements["peak"] = peak
    samples = harness.in_turn(measurements, repeats)
    for key, result in results.items():
        speeds = [result["images"] / seconds for seconds in samples[key]]
        result["images_per_second"] = harness.summary(speeds)
    return results, samples.get("peak", [])


def measure_inference(workers: Sequence[Worker], repeats: int) -> dict[tuple[str, str], Any]:
    """Microseconds a call with one image, by peer and setting."""
    measurements: dict[tuple[str, str], Callable[[], float]] = {}
    for worker in workers:
        for setting in worker.call("inference_settings"):
            measure = partial(worker.call, "infer", setting=setting, calls=INFERENCE_CALLS)
            try:
                measure()
                measurements[worker.name, setting] = measure
            except PeerError as error:
                print(f"  {setting}: {error}")
    samples = harness.in_turn(measurements, repeats)
    return {
        key: harness.summary(1e6 * seconds for seconds in values) for key, values in samples.items()
    }


def training_table(results: Trained, names: Sequence[str], peak: float | None) -> str:
    """Ratio: to the fastest other peer at the same batch size."""
    rows = []
    for batch in sorted({batch for _, batch in results}):
        speed = {n: results[n, batch]["images_per_second"] for n in names}
        for name in names:
            others = [speed[other]["median"] for other in names if other != name]
            now = speed[name]
            share = now["median"] * TRAINING_FLOPS / 1e9 / peak if peak else None
            rows.append(
                [
                    str(batch),
                    name,
                    f"{now['median']:,.0f}",
                    f"{now['min']:,.0f}..{now['max']:,.0f}",
                    f"{now['median'] / max(others):.2f}" if others else "-",
                    f"{share:.1%}" if share else "-",
                    results[name, batch]["setting"],
                ]
            )
    header = ["batch", "peer", "images/s", "min..max", "to best other", "of FMA peak", "setting"]
    return report.table(header, rows)


def inference_table(results: dict[tuple[str, str], Any]) -> str:
    rows = [
        [name, setting, f"{value['median']:.1f}", f"{value['min']:.1f}..{value['max']:.1f}"]
        for (name, setting), value in results.items()
    ]
    return report.table(["peer", "setting", "us a call", "min..max"], rows)


def main() -> None:
    arguments = parse_arguments()
    threads = harness.use_cpus(arguments.threads)
    about: dict[str, Any] = machine.describe(threads)
    x, y, about["data"] = lenet5_data.load(
        lenet5_data.folder_named(arguments.data), arguments.images
    )
    workers: list[Worker] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lenet5_data.save(folder, x, y)
        try:
            workers = harness.start_workers(
                arguments.peers, "lenet5", threads, folder, arguments.python
            )
            if not workers:
                raise SystemExit("no peer could be started")
            for worker in workers:
                about[worker.name] = worker.call("versions")
            trained, peaks = measure_training(workers, arguments.batches, len(x), arguments.repeats)
            inferred = measure_inference(workers, arguments.repeats)
        finally:
            for worker in workers:
                worker.close()
    peak = harness.summary(peaks) if peaks else None
    show(about, trained, inferred, [worker.name for worker in workers], peak)
    if arguments.json:
        write(arguments.json, about, trained, inferred, peak)


def show(
    about: dict[str, Any],
    trained: Trained,
    inferred: dict[tuple[str, str], Any],
    names: Sequence[str],
    peak: dict[str, Any] | None,
) -> None:
    print(report.facts(about))
    limit = peak["median"] if peak else None
    if limit:
        most = limit * 1e9 / TRAINING_FLOPS
        print(f"FMA peak:     {limit:.0f} GFLOP/s: at most {most:,.0f} images/s")
    print(f"\nTraining, {TRAINING_FLOPS / 1e6:.2f} MFLOP an image; medians")
    print(training_table(trained, names, limit))
    print("\nOne image, from Python; medians")
    print(inference_table(inferred))


def write(
    path: Path,
    about: dict[str, Any],
    trained: Trained,
    inferred: dict[tuple[str, str], Any],
    peak: dict[str, Any] | None,
) -> None:
    content = {
        "benchmark": "lenet5",
        "machine": about,
        "training_flops_per_image": TRAINING_FLOPS,
        "fma_peak_gflops": peak,
        "training": [
            {"peer": name, "batch": batch, **result} for (name, batch), result in trained.items()
        ],
        "inference_us": [
            {"peer": name, "setting": setting, **value}
            for (name, setting), value in inferred.items()
        ],
    }
    report.write_json(path, content)


if __name__ == "__main__":
    main()
