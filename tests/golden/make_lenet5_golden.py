"""Makes lenet5_torch.npz: what PyTorch computes for LeNet-5 in float32 on one thread.

    python tests/golden/make_lenet5_golden.py [--check] [--output FILE]

Everything is computed in float64 too; the relative L2 distance between the two is float32's own
noise, and is stored beside each tensor ("noise/..."): no comparison can be tighter.

Contents (HWIO and [I, O]; "a" is a batch of 8, "b" a ragged one of 5):
    start/{parameter}                     weights at the start
    {a,b}/x, {a,b}/y                      images NHWC in [0, 1), labels
    {a,b}/logits, {a,b}/loss, {a,b}/dx    forward pass, mean cross-entropy, its gradient by x
    {a,b}/gradient/{parameter}            ... by the weights; sketched (lenet5_case.sketch) for "b"
    {optimizer}/losses                    before each of 10 steps that take a, b, a, b, ...
    {optimizer}/update/{parameter}        final minus start weights, sketched
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lenet5_case import OPTIMIZERS, PARAMETERS, STEPS, batch, relative_l2, sketch, start_weights
from numpy.typing import NDArray
from torch_lenet5 import TorchLeNet5

WEIGHT_SEED = 1998
BATCHES = {"a": (8, 28), "b": (5, 32)}  # samples, seed
NAMES = [name for name, _, _ in PARAMETERS]
DEFAULT_OUTPUT = Path(__file__).parent / "lenet5_torch.npz"

Tensors = dict[str, NDArray[Any]]


def gradients(network: TorchLeNet5) -> Tensors:
    weights = start_weights(WEIGHT_SEED)
    tensors: Tensors = {}
    for key, (samples, seed) in BATCHES.items():
        x, y = batch(samples, seed)
        result = network.gradients(weights, x, y)
        tensors[f"{key}/logits"] = result.logits
        tensors[f"{key}/loss"] = np.array(result.loss)
        tensors[f"{key}/dx"] = result.input
        for name, gradient in zip(NAMES, result.weights, strict=True):
            kept = gradient if key == "a" else sketch(gradient)
            tensors[f"{key}/gradient/{name}"] = kept
    return tensors


def training(network: TorchLeNet5) -> Tensors:
    weights = start_weights(WEIGHT_SEED)
    batches = [batch(*BATCHES["ab"[step % 2]]) for step in range(STEPS)]
    tensors: Tensors = {}
    for key, optimizer in OPTIMIZERS.items():
        losses, trained = network.train(weights, batches, optimizer)
        tensors[f"{key}/losses"] = np.array(losses)
        for name, start, end in zip(NAMES, weights, trained, strict=True):
            tensors[f"{key}/update/{name}"] = sketch(end - start)
    return tensors


def make() -> tuple[Tensors, dict[str, float]]:
    """The golden tensors, and the noise of those that were computed."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    single, double = TorchLeNet5(), TorchLeNet5(dtype=torch.float64)
    computed = gradients(single) | training(single)
    exact = gradients(double) | training(double)
    noise = {key: relative_l2(computed[key], exact[key]) for key in computed}

    tensors: Tensors = {}
    for name, weight in zip(NAMES, start_weights(WEIGHT_SEED), strict=True):
        tensors[f"start/{name}"] = weight
    for key, (samples, seed) in BATCHES.items():
        tensors[f"{key}/x"], tensors[f"{key}/y"] = batch(samples, seed)
    tensors |= {key: value.astype(np.float32) for key, value in computed.items()}
    tensors |= {f"noise/{key}": np.array(value) for key, value in noise.items()}
    tensors["torch_version"] = np.array(torch.__version__)
    return tensors, noise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    parser.add_argument("--check", action="store_true", help="compare with the file, write nothing")
    arguments = parser.parse_args()
    tensors, noise = make()
    for key, value in sorted(noise.items(), key=lambda item: -item[1])[:12]:
        print(f"{key:32} float32 noise {value:.1e}")
    if arguments.check:
        with np.load(arguments.output) as golden:
            worst = max(relative_l2(tensors[key], golden[key]) for key in noise)
        print(f"largest relative difference from {arguments.output.name}: {worst:.1e}")
        raise SystemExit(worst > 1e-5)
    np.savez_compressed(arguments.output, **tensors)
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
