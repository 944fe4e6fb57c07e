"""The deep networks in striate and in PyTorch: random weights, small images, the same logits and
gradients. benchmarks/parity.py has them at 224x224, and against torchvision's and Keras's own code.

PyTorch's networks are tests/golden/torch_networks.py; weights come through interop.load_torch.
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from striate import _core
from striate import applications as apps
from striate.interop import load_torch

pytest.importorskip("torch", reason='the oracle is PyTorch: pip install "striate[parity]"')

sys.path.insert(0, str(Path(__file__).parent / "golden"))
own = importlib.import_module("torch_networks")
exact = importlib.import_module("deep_gradients")
torch = importlib.import_module("torch")

CLASSES = 10
LOGITS = 1e-4  # of their range
GRADIENT, USUAL_GRADIENT, USUAL_SHARE = 1e-3, 1e-4, 0.99

Size = tuple[int, int]
Build = Callable[..., Any]
Oracle = Callable[[Size], Any]

BASIC, BOTTLENECK = own.Basic, own.Bottleneck


def resnet(block: Any, *blocks: int, first: bool = False) -> Oracle:
    return lambda size: own.ResNet(block, blocks, CLASSES, first)


def cifar(blocks: int) -> Oracle:
    return lambda size: own.CifarResNet(blocks, CLASSES)


def vgg(*convolutions: int, pooled: int | None = None, norm: bool = False) -> Oracle:
    return lambda size: own.VGG(convolutions, CLASSES, size, pooled, norm)


D, E = (2, 2, 3, 3, 3), (2, 2, 4, 4, 4)
NETWORKS: dict[str, tuple[Build, dict[str, Any], Oracle, tuple[Size, ...]]] = {
    "alexnet-2012": (
        apps.AlexNet, {}, lambda size: own.AlexNet2012(CLASSES, size), ((64, 64), (67, 95)),
    ),
    "alexnet-one-weird-trick": (
        apps.AlexNet, {"variant": "one-weird-trick"},
        lambda size: own.AlexNetOneWeirdTrick(CLASSES), ((63, 99),),
    ),
    "vgg16": (apps.VGG16, {}, vgg(*D), ((64, 33),)),
    "vgg16-bn": (
        apps.VGG16, {"batch_norm": True}, vgg(*D, norm=True), ((37, 64),),
    ),
    "vgg19-torchvision": (
        apps.VGG19, {"variant": "torchvision"}, vgg(*E, pooled=7), ((33, 64),),
    ),
    "googlenet-2014": (
        apps.GoogLeNet, {}, lambda size: own.GoogLeNet(CLASSES, size, False),
        ((79, 79), (128, 131)),
    ),
    "googlenet-torchvision": (
        apps.GoogLeNet, {"variant": "torchvision"},
        lambda size: own.GoogLeNet(CLASSES, size, True), ((15, 16), (96, 71)),
    ),
    "resnet18": (apps.ResNet18, {}, resnet(BASIC, 2, 2, 2, 2), ((1, 1), (64, 64), (71, 65))),
    "resnet34-v1": (apps.ResNet34, {"variant": "v1"}, resnet(BASIC, 3, 4, 6, 3), ((64, 37),)),
    "resnet50-v1.5": (apps.ResNet50, {}, resnet(BOTTLENECK, 3, 4, 6, 3), ((64, 64), (71, 65))),
    "resnet50-v1": (
        apps.ResNet50, {"variant": "v1"}, resnet(BOTTLENECK, 3, 4, 6, 3, first=True),
        ((64, 64), (71, 65)),
    ),
    "resnet101": (apps.ResNet101, {}, resnet(BOTTLENECK, 3, 4, 23, 3), ((65, 64),)),
    "resnet152": (apps.ResNet152, {}, resnet(BOTTLENECK, 3, 8, 36, 3), ((64, 65),)),
    "cifar-resnet20": (apps.ResNet20, {}, cifar(3), ((32, 32), (35, 29))),
    "cifar-resnet32": (apps.ResNet32, {}, cifar(5), ((32, 32),)),
    "cifar-resnet44": (apps.ResNet44, {}, cifar(7), ((32, 32),)),
    "cifar-resnet56": (apps.ResNet56, {}, cifar(9), ((32, 32),)),
    "cifar-resnet110": (apps.ResNet110, {}, cifar(18), ((32, 32),)),
}  # fmt: skip
CASES = [(name, size) for name, (_, _, _, sizes) in NETWORKS.items() for size in sizes]


@pytest.mark.parametrize(("name", "size"), CASES)
def test_logits(name: str, size: Size) -> None:
    build, options, make, _ = NETWORKS[name]
    oracle = make(size)
    own.randomise(oracle, seed=1)
    model = build(classes=CLASSES, input_shape=(*size, 3), classifier_activation=None, **options)
    report = load_torch(model, oracle.state_dict())
    assert report.complete and "names: torchvision's names" in report.notes
    x = exact.structured_images(size, 2)
    with torch.no_grad():
        wanted = oracle.eval()(exact.nchw(x))
    found = model.predict(x)
    if not isinstance(wanted, tuple):
        found, wanted = [found], (wanted,)
    for ours, tensor in zip(found, wanted, strict=True):
        theirs = tensor.numpy()
        assert np.abs(ours - theirs).max() <= LOGITS * np.ptp(theirs)
        np.testing.assert_array_equal(
            np.argsort(-ours, axis=1)[:, :5], np.argsort(-theirs, axis=1)[:, :5]
        )


# A network, its images, and the draw to try first, which spares the search.
GRADIENTS: list[tuple[str, Size, int]] = [
    ("resnet18", (64, 64), 2),
    ("googlenet-torchvision", (64, 64), 7),
    ("googlenet-2014", (79, 79), 1),
    ("alexnet-2012", (64, 64), 1),
]


@pytest.mark.parametrize(("name", "size", "first"), GRADIENTS)
def test_gradients_in_training(name: str, size: Size, first: int) -> None:
    build, options, make, _ = NETWORKS[name]
    x = exact.structured_images(size, 4)
    y = np.random.default_rng(3).integers(0, CLASSES, len(x))
    _, state, gradients = exact.steady_draw(lambda: make(size), x, y, first)
    model = build(classes=CLASSES, input_shape=(*size, 3), classifier_activation=None, **options)
    found = exact.distances(model, state, gradients, x, y)
    assert max(found.values()) <= GRADIENT, max(found, key=lambda path: found[path])
    assert np.mean([distance <= USUAL_GRADIENT for distance in found.values()]) >= USUAL_SHARE


def test_a_safetensors_file_of_pytorchs(tmp_path: Path) -> None:
    oracle = own.CifarResNet(3, CLASSES)
    own.randomise(oracle, seed=5)
    path = str(tmp_path / "resnet20.safetensors")
    tensors = {name: tensor.numpy() for name, tensor in oracle.state_dict().items()}
    _core.write_safetensors(path, {"format": "pt"}, tensors)
    model = apps.ResNet20(classifier_activation=None)
    assert load_torch(model, path).complete
    x = exact.structured_images((32, 32), 3)
    with torch.no_grad():
        theirs = oracle.eval()(exact.nchw(x)).numpy()
    np.testing.assert_allclose(model.predict(x), theirs, atol=1e-4 * np.ptp(theirs))
