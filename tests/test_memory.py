"""`Model.memory`: what it says is what a step takes, before anything is allocated."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from striate import Model, applications, optimizers
from striate.errors import ArgumentError

MIB = 2**20
SCRIPT = Path(__file__).parent / "measure_memory.py"

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="resident memory is read from Linux's /proc"
)


def measured(network: str, batch: int, what: str, steps: int) -> tuple[dict[str, int], int, int]:
    """(planned, resident after asking, peak), the last two over what the imports left."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), network, str(batch), what, str(steps)],
        env={**os.environ, "STRIATE_NUM_THREADS": "2"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    return result["planned"], result["asked"], result["growth"]


# Wide networks keep one gradient, narrow ones one for each shard; lenet5 has samples in lanes.
@needs_proc
@pytest.mark.parametrize(
    "network, batch, what, steps",
    [
        ("resnet18", 16, "fit", 3),
        ("googlenet", 8, "fit", 2),
        ("googlenet", 8, "predict", 1),
        ("vgg16 on 32x32", 8, "fit", 2),
        ("cifar resnet20", 64, "fit", 1),
        ("lenet5", 256, "fit", 3),
        ("lenet5", 1024, "predict", 1),
    ],
)
def test_a_step_takes_what_memory_says(network: str, batch: int, what: str, steps: int) -> None:
    planned, _, growth = measured(network, batch, what, steps)
    assert planned["total"] == sum(bytes for part, bytes in planned.items() if part != "total")
    # Beyond the plan: code that is paged in, threads' stacks, the layers' own objects.
    assert -0.01 * planned["total"] < growth - planned["total"] < 4 * MIB + 0.01 * planned["total"]


@needs_proc
@pytest.mark.skipif(sys.platform != "linux", reason="memory is given back by Linux's madvise")
@pytest.mark.parametrize("network, batch", [("resnet18", 16), ("vgg16 on 32x32", 8)])
def test_the_first_step_of_a_wide_network_takes_less(network: str, batch: int) -> None:
    """The optimizer's slots come when the activations have gone."""
    planned, _, growth = measured(network, batch, "fit", 1)
    most = max(planned["activations"], planned["optimizer"])
    rest = planned["parameters"] + planned["gradients"]
    assert growth < rest + most + 4 * MIB + 0.01 * planned["total"]
    assert growth < planned["total"]


@needs_proc
def test_memory_is_known_before_it_is_allocated() -> None:
    """VGG-19's parameters are there, and a gigabyte and a half that training takes is not."""
    planned, asked, _ = measured("vgg19", 8, "fit", 0)
    assert planned["total"] > 3 * planned["parameters"]
    assert asked < planned["parameters"] + 4 * MIB


def compiled(model: Model, optimizer: Any = None) -> Model:
    model.compile(
        optimizer or optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy"
    )
    return model


@pytest.mark.parametrize(
    "build",
    [
        applications.LeNet5,
        applications.ResNet20,
        lambda: applications.MLP(32),
        lambda: applications.ResNet18(input_shape=(64, 64, 3)),
        lambda: applications.AlexNet(input_shape=(64, 64, 3)),
    ],
    ids=["lenet5", "resnet20", "mlp", "resnet18", "alexnet"],
)
def test_a_larger_batch_never_takes_less(build: Any) -> None:
    """Also where the batch changes the layout, the block or the number of shards."""
    model = compiled(build())
    batches = [*range(1, 40), 64, 128, 255, 256, 257, 1000]
    for training in (True, False):
        totals = [model.memory(batch, training)["total"] for batch in batches]
        assert totals == sorted(totals)
    assert model.memory(1000)["total"] > model.memory(1)["total"]


def test_activations_are_what_grows_with_the_batch_in_a_wide_network() -> None:
    """And nearly by the same for every sample: gradients lie in part where activations died."""
    model = compiled(applications.ResNet18(input_shape=(64, 64, 3)))
    small, middle, large = (model.memory(batch) for batch in (64, 128, 192))
    for part in ("parameters", "gradients", "optimizer", "packed_weights"):
        assert small[part] == middle[part] == large[part]
    grown = middle["activations"] - small["activations"]
    assert grown > small["activations"] / 2
    assert large["activations"] - middle["activations"] == pytest.approx(grown, rel=0.05)


def test_gradients_share_the_memory_of_activations_in_a_wide_network() -> None:
    """What they add to the gradients is less than what backward reads of them."""
    model = compiled(applications.ResNet18(input_shape=(64, 64, 3)))
    model.precision = "strict"  # Winograd's points of 256 channels' weights would take a share
    use = model.memory(16)
    read = [x for x in model.layers if type(x).__name__ in ("Conv2D", "Activation", "ReLU")]
    assert len(read) > 30
    assert use["gradients"] == use["parameters"]
    assert use["activations"] < sum(16 * 4 * int(np.prod(layer.output.shape[1:])) for layer in read)


@pytest.mark.parametrize(
    "optimizer, slots",
    [
        (optimizers.SGD(0.01), 0),
        (optimizers.SGD(0.01, momentum=0.9), 1),
        (optimizers.RMSprop(), 1),
        (optimizers.Adam(), 2),
        (optimizers.Adam(use_ema=True), 3),
        (optimizers.SGD(0.01, gradient_accumulation_steps=4), 1),
    ],
    ids=["sgd", "momentum", "rmsprop", "adam", "adam with averages", "accumulating"],
)
def test_the_optimizer_counts(optimizer: Any, slots: int) -> None:
    use = compiled(applications.LeNet5(), optimizer).memory(32)
    assert use["optimizer"] == slots * use["parameters"]
    # Each parameter's place begins on a cache line.
    assert use["parameters"] >= 4 * applications.LeNet5().count_params()


def test_prediction_keeps_no_gradients() -> None:
    model = applications.ResNet18(input_shape=(64, 64, 3))
    use = model.memory(128, training=False)
    assert use["gradients"] == use["optimizer"] == 0
    assert use["activations"] < compiled(model).memory(128)["activations"] / 10
    with pytest.raises(ArgumentError, match="compile"):
        applications.LeNet5().memory(16)
    with pytest.raises(ArgumentError, match="batch_size"):
        model.memory(0)
