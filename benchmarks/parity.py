"""The deep networks against torchvision's and Keras's own code: same random weights, same logits.

    python benchmarks/parity.py [--networks resnet50,vgg16] [--gradients] [--json FILE]

Every network and variant at 224x224 and at an odd size, with random weights and random statistics
of batch normalisation. The weights go through interop.load_torch and interop.load_keras. Asked for:

    logits      the largest difference at most 1e-4 of the logits' range, the five largest in order
    gradients   of every parameter, relative L2 at most 1e-3, and at most 1e-4 for 99 % of tensors

What neither library has (AlexNet of 2012, GoogLeNet of 2014, ResNet "v1", the CIFAR ResNets) is
compared with tests/golden/torch_networks.py. Without torchvision all of PyTorch's is; without Keras
those rows are left out. The exit status says whether everything held.
"""

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("KERAS_BACKEND", "torch")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "golden"))

import torch  # noqa: E402
import torch_networks as own  # noqa: E402
from deep_gradients import distances, nchw, steady_draw, structured_images  # noqa: E402
from striate import applications as apps  # noqa: E402
from striate.interop import load_keras, load_torch  # noqa: E402

try:
    import torchvision.models as tv
except ImportError:
    tv = None
try:
    import keras
except ImportError:
    keras = None

Array = NDArray[Any]
Size = tuple[int, int]

TOLERANCE = 1e-4
GRADIENT_LIMIT, GRADIENT_USUAL, USUAL_SHARE = 1e-3, 1e-4, 0.99
CLASSES = 1000


@dataclass(frozen=True)
class Case:
    """A network, what it is compared with, and how big its images are."""

    name: str
    build: Callable[..., Any]  # (input_shape=, classifier_activation=) -> striate model
    peer: str
    oracle: Callable[[Size], Any]  # a torch module, or a Keras model
    sizes: tuple[Size, ...] = ((224, 224), (231, 225))


def _torchvision(name: str, otherwise: Callable[[Size], Any]) -> tuple[str, Callable[[Size], Any]]:
    if tv is None:
        return "own PyTorch", otherwise
    options = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}
    return f"torchvision {name}", lambda size: getattr(tv, name)(**options)


def _vgg(convolutions: tuple[int, ...], norm: bool) -> Callable[[Size], Any]:
    return lambda size: own.VGG(convolutions, CLASSES, size, 7, norm)


def _resnet(block: Any, blocks: tuple[int, ...], first: bool = False) -> Callable[[Size], Any]:
    return lambda size: own.ResNet(block, blocks, CLASSES, first)


def torch_cases() -> Iterator[Case]:
    def case(name: str, build: Any, peer: str, otherwise: Any, **options: Any) -> Case:
        where, oracle = _torchvision(peer, otherwise) if peer else ("own PyTorch", otherwise)
        return Case(name, lambda **more: build(**options, **more), where, oracle)

    yield case("alexnet 2012", apps.AlexNet, "", lambda s: own.AlexNet2012(CLASSES, s))
    yield case(
        "alexnet one-weird-trick", apps.AlexNet, "alexnet",
        lambda s: own.AlexNetOneWeirdTrick(CLASSES), variant="one-weird-trick",
    )  # fmt: skip
    for depth, build, blocks in (
        (16, apps.VGG16, (2, 2, 3, 3, 3)),
        (19, apps.VGG19, (2, 2, 4, 4, 4)),
    ):
        for norm in (False, True):
            suffix = "_bn" if norm else ""
            yield case(
                f"vgg{depth}{suffix}", build, f"vgg{depth}{suffix}", _vgg(blocks, norm),
                variant="torchvision", batch_norm=norm,
            )  # fmt: skip
    yield case("googlenet 2014", apps.GoogLeNet, "", lambda s: own.GoogLeNet(CLASSES, s, False))
    yield case(
        "googlenet torchvision", apps.GoogLeNet, "googlenet",
        lambda s: own.GoogLeNet(CLASSES, s, True), variant="torchvision",
    )  # fmt: skip
    for depth, build, block, blocks in (
        (18, apps.ResNet18, own.Basic, (2, 2, 2, 2)),
        (34, apps.ResNet34, own.Basic, (3, 4, 6, 3)),
        (50, apps.ResNet50, own.Bottleneck, (3, 4, 6, 3)),
        (101, apps.ResNet101, own.Bottleneck, (3, 4, 23, 3)),
        (152, apps.ResNet152, own.Bottleneck, (3, 8, 36, 3)),
    ):
        yield case(
            f"resnet{depth} v1.5", build, f"resnet{depth}", _resnet(block, blocks), variant="v1.5"
        )
        if block is own.Bottleneck:
            yield case(f"resnet{depth} v1", build, "", _resnet(block, blocks, True), variant="v1")
    for depth, build in (
        (20, apps.ResNet20), (32, apps.ResNet32), (44, apps.ResNet44), (56, apps.ResNet56),
        (110, apps.ResNet110),
    ):  # fmt: skip
        yield Case(
            f"cifar resnet{depth}",
            lambda build=build, **more: build(**more),
            "own PyTorch",
            lambda size, n=(depth - 2) // 6: own.CifarResNet(n, 10),
            ((32, 32), (35, 29)),
        )


def keras_cases() -> Iterator[Case]:
    if keras is None:
        return
    for name, build, options in (
        ("VGG16", apps.VGG16, {}),
        ("VGG19", apps.VGG19, {}),
        ("ResNet50", apps.ResNet50, {"variant": "keras"}),
        ("ResNet101", apps.ResNet101, {"variant": "keras"}),
        ("ResNet152", apps.ResNet152, {"variant": "keras"}),
    ):
        yield Case(
            f"{name.lower()} {options.get('variant', '2014')}",
            lambda build=build, options=options, **more: build(**options, **more),
            f"Keras {name}",
            lambda size, name=name: getattr(keras.applications, name)(
                weights=None, input_shape=(*size, 3), classifier_activation=None
            ),
        )


# Logits


def images(size: Size, count: int = 2) -> Array:
    """Normalised images, NHWC."""
    return np.random.default_rng(7).standard_normal((count, *size, 3)).astype(np.float32)


def torch_logits(oracle: Any, model: Any, x: Array) -> list[tuple[Array, Array]]:
    """(ours, theirs) for each output, after the oracle's weights went to our model."""
    own.randomise(oracle, seed=1)
    load_torch(model, oracle.state_dict())
    with torch.no_grad():
        if tv is not None and isinstance(oracle, tv.GoogLeNet):
            theirs = list(_googlenet_outputs(oracle.eval(), nchw(x)))
        else:
            theirs = oracle.eval()(nchw(x))
    ours = model.predict(x)
    if not isinstance(ours, (list, tuple)):
        ours, theirs = [ours], [theirs]
    return [(a, b.numpy()) for a, b in zip(ours, theirs, strict=True)]


def _googlenet_outputs(oracle: Any, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """torchvision gives the heads in training only, and last first."""
    taken: dict[str, torch.Tensor] = {}
    hooks = [
        getattr(oracle, before).register_forward_hook(
            lambda module, args, output, name=name: taken.update({name: output})
        )
        for name, before in (("aux1", "inception4a"), ("aux2", "inception4d"))
    ]
    main = oracle(x)
    for hook in hooks:
        hook.remove()
    return main, oracle.aux1(taken["aux1"]), oracle.aux2(taken["aux2"])


def keras_logits(oracle: Any, model: Any, x: Array) -> list[tuple[Array, Array]]:
    generator = np.random.default_rng(1)
    oracle.set_weights([_random(w, generator) for w in oracle.weights])
    if sum(w.size for w in oracle.get_weights()) < 50e6:  # the file's way, where it is small
        with tempfile.TemporaryDirectory() as folder:
            for suffix in ("weights.h5", "keras"):
                path = os.path.join(folder, f"network.{suffix}")
                (oracle.save_weights if suffix == "weights.h5" else oracle.save)(path)
                load_keras(model, path)
    else:
        load_keras(model, oracle.get_weights())
    return [(model.predict(x), np.asarray(oracle.predict(x, verbose=0)))]


def _random(weight: Any, generator: np.random.Generator) -> Array:
    shape = tuple(weight.shape)
    if weight.name in ("gamma", "moving_variance"):
        return generator.uniform(0.5, 1.5, shape).astype(np.float32)
    if weight.name == "kernel":
        deviation = (2 / np.prod(shape[:-1])) ** 0.5
        return (generator.standard_normal(shape) * deviation).astype(np.float32)
    return generator.uniform(-0.2, 0.2, shape).astype(np.float32)


def compare(pairs: list[tuple[Array, Array]]) -> tuple[float, bool]:
    """(largest difference over the range of the logits, whether the five largest agree)."""
    worst, same = 0.0, True
    for ours, theirs in pairs:
        ours = ours.astype(np.float64)
        worst = max(worst, float(np.abs(ours - theirs).max() / np.ptp(theirs)))
        top = [np.argsort(-logits, axis=1)[:, :5] for logits in (ours, theirs)]
        same = same and np.array_equal(*top)
    return worst, same


# Gradients


def gradient_cases() -> Iterator[tuple[str, Any, Callable[[Size], Any], Size]]:
    yield "resnet18", apps.ResNet18, _resnet(own.Basic, (2, 2, 2, 2)), (64, 64)
    yield (
        "googlenet torchvision, auxiliary heads",
        lambda **more: apps.GoogLeNet(variant="torchvision", **more),
        lambda s: own.GoogLeNet(CLASSES, s, True),
        (64, 64),
    )
    yield (
        "googlenet 2014, auxiliary heads",
        apps.GoogLeNet,
        lambda s: own.GoogLeNet(CLASSES, s, False),
        (96, 96),
    )
    yield "alexnet 2012", apps.AlexNet, lambda s: own.AlexNet2012(CLASSES, s), (64, 64)


# The command


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--networks", type=lambda text: text.split(","), help="only those whose names have this"
    )
    parser.add_argument("--gradients", action="store_true", help="gradients instead of logits")
    parser.add_argument("--json", type=Path, help="write every row to this file")
    return parser.parse_args()


def logits_rows(wanted: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    for cases, run in ((torch_cases(), torch_logits), (keras_cases(), keras_logits)):
        for case in cases:
            for size in case.sizes if wanted(case.name) else ():
                start = time.perf_counter()
                oracle = case.oracle(size)
                model = case.build(input_shape=(*size, 3), classifier_activation=None)
                distance, same = compare(run(oracle, model, images(size)))
                yield {
                    "network": case.name,
                    "against": case.peer,
                    "size": f"{size[0]}x{size[1]}",
                    "difference": distance,
                    "top-5 alike": same,
                    "seconds": time.perf_counter() - start,
                    "held": same and distance <= TOLERANCE,
                }
                del oracle, model
                gc.collect()


def gradient_rows(wanted: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    for name, build, make, size in gradient_cases():
        if not wanted(name):
            continue
        x = structured_images(size, 4)
        y = np.random.default_rng(3).integers(0, CLASSES, len(x))
        seed, state, exact = steady_draw(partial(make, size), x, y)
        model = build(input_shape=(*size, 3), classifier_activation=None)
        found = list(distances(model, state, exact, x, y).values())
        usual = float(np.mean([distance <= GRADIENT_USUAL for distance in found]))
        yield {
            "network": name,
            "size": f"{size[0]}x{size[1]}",
            "draw": seed,
            "tensors": len(found),
            "largest": max(found),
            "share below 1e-4": usual,
            "held": max(found) <= GRADIENT_LIMIT and usual >= USUAL_SHARE,
        }


def main() -> None:
    arguments = parse_arguments()

    def wanted(name: str) -> bool:
        return not arguments.networks or any(part in name for part in arguments.networks)

    rows = []
    for row in (gradient_rows if arguments.gradients else logits_rows)(wanted):
        rows.append(row)
        print("  ".join(f"{key} {_shown(value)}" for key, value in row.items()), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    failed = [row["network"] for row in rows if not row["held"]]
    print(f"{len(rows)} rows, {len(failed)} did not hold: {', '.join(failed) or 'none'}")
    raise SystemExit(bool(failed) or not rows)


def _shown(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
