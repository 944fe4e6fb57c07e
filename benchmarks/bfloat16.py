"""What bfloat16 gives and costs: speed against striate's own float32, and the classes it changes.

    python benchmarks/bfloat16.py [--network resnet50] [--batch 16] [--side 224] [--rounds 5]
    python benchmarks/bfloat16.py --cifar10 DIR [--trained 50000] [--epochs 4] [--images 1000]

Both precisions run in turn in one process, each in a model of its own with the same weights;
medians and their ratio, and the shares of the machine's multiply-add limit (of float32; 2 FLOP a
multiply-accumulate).

The second command trains ResNet-50 on CIFAR-10's images (DIR has train/CLASS and test/CLASS), in
bfloat16, and counts how many of the first test images, classes in turn, get the same class from the
trained network in both precisions, and how many each gets right.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import machine
import numpy as np
import report
from batches import random_batch, sample_shape
from peers.striate_deepnets import NETWORKS
from striate import Model, _core, applications
from striate.datasets import cifar10
from striate.optimizers import SGD, AdamW
from striate.schedules import CosineDecay

PRECISIONS = ("float32", "bfloat16")
FLOPS_A_MAC = {"training": 6, "inference": 2}


def speed(network: str, batch: int, side: int, rounds: int) -> None:
    make, options = NETWORKS[network]
    x, y = random_batch(network, batch, side)
    models: dict[str, Model] = {}
    for precision in PRECISIONS:
        model = make(input_shape=sample_shape(network, side), **options)
        model.seed = 1
        model.compile(
            SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy", precision=precision
        )
        models[precision] = model
    macs = sum(layer.forward_macs for layer in models["float32"].profile(x[:1]).layers)
    limit = _core.measure_fma_peak(_core.num_threads())
    rows = []
    for what in FLOPS_A_MAC:
        seconds: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
        for turn in range(rounds + 1):
            for precision, model in models.items():
                run: Callable[[], object] = (
                    (lambda m=model: m.train_on_batch(x, y))
                    if what == "training"
                    else (lambda m=model: m.predict_on_batch(x))
                )
                start = time.perf_counter()
                run()
                if turn:  # the first allocates and plans
                    seconds[precision].append(time.perf_counter() - start)
        flops = FLOPS_A_MAC[what] * macs * batch
        ratios = [f / b for f, b in zip(*seconds.values(), strict=True)]
        for precision, times in seconds.items():
            taken = median(times)
            rows.append(
                [what, precision, f"{1e3 * taken:.1f}", f"{batch / taken:.1f}",
                 f"{flops / taken / limit / 1e9:.1%}",
                 f"{median(seconds['float32']) / taken:.2f}" if precision == "bfloat16" else "-",
                 f"{min(ratios):.2f}..{max(ratios):.2f}" if precision == "bfloat16" else "-"]
            )  # fmt: skip
    header = ["what", "precision", "ms", "images/s", "of FMA limit", "to float32", "by round"]
    print(f"\n{network}, batch {batch}; limit {limit:.0f} GFLOP/s")
    print(report.table(header, rows))


def agreement(folder: Path, trained: int, epochs: int, images: int) -> None:
    (x, y), (x_test, y_test) = cifar10.load_data(folder)
    order = np.random.Generator(np.random.Philox(1)).permutation(len(x))[:trained]
    x, y = x[order], y[order]
    model = applications.ResNet50(input_shape=(32, 32, 3), classes=10)
    scaled = [(part.astype(np.float32) / 127.5 - 1.0) for part in (x, x_test)]
    labels, truth = y.reshape(-1), y_test.reshape(-1)
    steps = epochs * -(-len(x) // 128)
    model.seed = 1
    model.compile(
        AdamW(CosineDecay(1e-3, steps), weight_decay=0.02),
        "sparse_categorical_crossentropy", metrics=["accuracy"], precision="bfloat16",
    )  # fmt: skip
    model.fit(scaled[0], labels, batch_size=128, epochs=epochs, verbose=2)
    # The test folder is in the order of classes: as many of each.
    chosen = np.arange(len(truth)).reshape(10, -1)[:, : images // 10].reshape(-1)
    classes = {}
    for precision in PRECISIONS:
        model.precision = precision
        classes[precision] = model.predict(scaled[1][chosen], verbose=0).argmax(axis=1)
    same = float((classes["float32"] == classes["bfloat16"]).mean())
    right = {name: float((found == truth[chosen]).mean()) for name, found in classes.items()}
    print(
        f"ResNet-50, {epochs} epochs of {len(x)} images of CIFAR-10 in bfloat16, "
        f"{len(chosen)} test images: the same class for {same:.1%}; "
        f"right in float32 {right['float32']:.1%}, in bfloat16 {right['bfloat16']:.1%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", default="resnet50", choices=sorted(NETWORKS))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cifar10", type=Path, metavar="DIR")
    parser.add_argument("--trained", type=int, default=50000, help="training images used")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--images", type=int, default=1000)
    given = parser.parse_args()
    print(report.facts(machine.describe(_core.num_threads())))
    if given.cifar10:
        agreement(given.cifar10, given.trained, given.epochs, given.images)
    else:
        speed(given.network, given.batch, given.side, given.rounds)


if __name__ == "__main__":
    main()
