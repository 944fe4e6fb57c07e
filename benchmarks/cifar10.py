"""CIFAR-10 from the start of a process to its accuracy, and what PyTorch would take for the same.

    python benchmarks/cifar10.py [--seed N] [--data DIR] [--recipe NAME] [--epochs N]
                                 [--threads N] [--no-peer] [--json FILE]

striate: a process of its own reads the images, trains CifarNet by its recipe, and tests it with six
views of each image; the seconds are the whole process's, its start and its imports included.

PyTorch: the same network, batch, loss and augmentation, on tensors that are in memory, with
channels_last, compiled or not, whichever a few steps show to be faster; its optimizer is SGD, also
where the recipe has Muon, whose steps take longer. One epoch and a part
of the test are timed, after striate has ended; the total is estimated as that epoch times the
number of epochs, and the whole test. Nothing is counted for PyTorch's start, its reading of the
images or its compiling.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import harness
import machine
import report
from striate import recipes

CROPS = 6
TESTED = 2000  # images that PyTorch's test is timed on


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", help="folder with CIFAR-10 (default: as striate finds it)")
    parser.add_argument("--recipe", default="cifarnet", help="of striate.recipes")
    parser.add_argument("--epochs", type=int, help="(default: the recipe's)")
    parser.add_argument(
        "--held-out", type=int, default=0, metavar="N",
        help="test on the last N training images of each class, and train on the others",
    )  # fmt: skip
    harness.add_arguments(parser)
    parser.add_argument("--no-peer", action="store_true", help="leave PyTorch out")
    return parser.parse_args()


def ours(arguments: argparse.Namespace, threads: int, folder: Path) -> dict[str, Any]:
    """What striate reaches, and in what time; leaves the images in `folder`."""
    start = time.perf_counter()
    with harness.working(["striate"], "cifar10", threads, folder, arguments.python) as workers:
        worker = workers[0]
        found = worker.call(
            "train", data=arguments.data, recipe=arguments.recipe, seed=arguments.seed,
            epochs=arguments.epochs, held_out=arguments.held_out,
        )  # fmt: skip
        test = worker.call("evaluate", crops=CROPS)
        found |= {"seconds": time.perf_counter() - start, "accuracy": test["accuracy"]}
        found |= {"test_seconds": test["seconds"], "versions": worker.call("versions")}
        found["accuracy_single_view"] = worker.call("evaluate", crops=1)["accuracy"]
        worker.call("save_images", path=str(folder / "images.npz"))
    return found


def theirs(
    arguments: argparse.Namespace, about: dict[str, Any], threads: int, folder: Path
) -> dict[str, Any]:
    """PyTorch's seconds of an epoch and of a test, and the estimated total."""
    recipe = recipes.find(arguments.recipe, "cifarnet")
    with harness.working(["torch"], "cifar10", threads, folder, arguments.python) as workers:
        worker = workers[0]
        made = worker.call(
            "prepare", images=str(folder / "images.npz"), batch=about["batch"],
            padding=recipe.transforms((32, 32))[1].padding[0],
            smoothing=recipe.loss.label_smoothing,
        )  # fmt: skip
        assert made["parameters"] == about["parameters"], "it is another network"
        trials = {}
        for setting in worker.call("settings", compiled=True):
            try:
                trials[setting] = worker.call("trial", setting=setting)
            except harness.PeerError as error:
                print(f"left out: {setting}: {error}", flush=True)
        best = min(trials, key=lambda setting: trials[setting])
        epoch = worker.call("epoch", setting=best)
        tested = min(TESTED, about["test_images"])
        test = worker.call("evaluation", images=tested) * about["test_images"] / tested
        total = epoch * about["epochs"] + test
        return {
            "setting": best, "trials": trials, "epoch_seconds": epoch, "test_seconds": test,
            "seconds": total, "versions": worker.call("versions"),
        }  # fmt: skip


def main() -> None:
    arguments = parse_arguments()
    threads = harness.use_cpus(arguments.threads)
    facts: dict[str, Any] = machine.describe(threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mine = ours(arguments, threads, folder)
        print(
            f"striate: {100 * mine['accuracy']:.2f} % with {CROPS} views, "
            f"{100 * mine['accuracy_single_view']:.2f} % with one, of {mine['test_images']:,} "
            f"images, after {mine['epochs']} epochs, batch {mine['batch']}, seed {arguments.seed}"
        )
        epochs = mine["epoch_seconds"]
        print(
            f"{mine['seconds']:.1f} s from the start of the process: reading "
            f"{mine['load_seconds']:.1f}, training {sum(epochs):.1f} "
            f"({min(epochs):.1f} to {max(epochs):.1f} an epoch), test {mine['test_seconds']:.1f}",
            flush=True,
        )
        result: dict[str, Any] = {"benchmark": "cifar10", "seed": arguments.seed, "striate": mine}
        if not arguments.no_peer:
            peer = theirs(arguments, mine, threads, folder)
            result |= {"torch": peer, "ratio": peer["seconds"] / mine["seconds"]}
            print(
                f"PyTorch, {peer['setting']}: {peer['epoch_seconds']:.1f} s an epoch, test "
                f"{peer['test_seconds']:.1f}; estimated {peer['seconds']:.0f} s in all: "
                f"{result['ratio']:.2f} times striate's"
            )
    print(report.facts(facts))
    if arguments.json:
        report.write_json(arguments.json, {**result, "machine": facts})


if __name__ == "__main__":
    main()
