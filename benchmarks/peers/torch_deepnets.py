"""The deep networks in PyTorch, as its users would train them on a CPU: eager, channels_last.

The modules do what torchvision's do, in place where those do; torchvision itself is not needed.
`build` asserts every network's number of parameters.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from memory_use import peak_bytes, resident_bytes
from torch import Tensor, nn
from worker import serve

CLASSES = 1000


def relu(module: nn.Module) -> list[nn.Module]:
    return [module, nn.ReLU(inplace=True)]


def alexnet() -> nn.Module:
    """Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014."""
    return nn.Sequential(
        *relu(nn.Conv2d(3, 64, 11, stride=4, padding=2)), nn.MaxPool2d(3, 2),
        *relu(nn.Conv2d(64, 192, 5, padding=2)), nn.MaxPool2d(3, 2),
        *relu(nn.Conv2d(192, 384, 3, padding=1)),
        *relu(nn.Conv2d(384, 256, 3, padding=1)),
        *relu(nn.Conv2d(256, 256, 3, padding=1)), nn.MaxPool2d(3, 2),
        nn.AdaptiveAvgPool2d(6), nn.Flatten(),
        nn.Dropout(), *relu(nn.Linear(256 * 36, 4096)),
        nn.Dropout(), *relu(nn.Linear(4096, 4096)), nn.Linear(4096, CLASSES),
    )  # fmt: skip


def vgg(convolutions: Sequence[int]) -> nn.Module:
    """Simonyan, Zisserman 2014, table 1. convolutions: of each block."""
    modules: list[nn.Module] = []
    maps = 3
    for filters, count in zip((64, 128, 256, 512, 512), convolutions, strict=True):
        for _ in range(count):
            modules += relu(nn.Conv2d(maps, filters, 3, padding=1))
            maps = filters
        modules.append(nn.MaxPool2d(2))
    modules += [nn.AdaptiveAvgPool2d(7), nn.Flatten()]
    for inputs in (512 * 49, 4096):
        modules += [*relu(nn.Linear(inputs, 4096)), nn.Dropout()]
    return nn.Sequential(*modules, nn.Linear(4096, CLASSES))


def normalised(
    maps: int, filters: int, size: int, stride: int = 1, epsilon: float = 1e-5
) -> list[nn.Module]:
    convolution = nn.Conv2d(maps, filters, size, stride, size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(filters, eps=epsilon)]


class Bottleneck(nn.Module):
    """He et al. 2015, figure 5, right; the 3x3 convolution strides ("v1.5")."""

    def __init__(self, maps: int, filters: int, stride: int):
        super().__init__()
        self.residual = nn.Sequential(
            *normalised(maps, filters, 1), nn.ReLU(inplace=True),
            *normalised(filters, filters, 3, stride), nn.ReLU(inplace=True),
            *normalised(filters, 4 * filters, 1),
        )  # fmt: skip
        self.shortcut = nn.Sequential()
        if stride > 1 or maps != 4 * filters:
            self.shortcut = nn.Sequential(*normalised(maps, 4 * filters, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        y = self.residual(x)
        y += self.shortcut(x)
        return F.relu(y, inplace=True)


def resnet(blocks: Sequence[int]) -> nn.Module:
    """He et al. 2015, table 1. blocks: of each stage."""
    modules: list[nn.Module] = [
        *normalised(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1)
    ]  # fmt: skip
    maps = 64
    for filters, count in zip((64, 128, 256, 512), blocks, strict=True):
        for number in range(count):
            stride = 2 if filters > 64 and number == 0 else 1
            modules.append(Bottleneck(maps, filters, stride))
            maps = 4 * filters
    modules += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(maps, CLASSES)]
    return nn.Sequential(*modules)


def googlenet_convolution(maps: int, filters: int, size: int, stride: int = 1) -> list[nn.Module]:
    return [*normalised(maps, filters, size, stride, 1e-3), nn.ReLU(inplace=True)]


class Inception(nn.Module):
    """Szegedy et al. 2014, figure 2b; torchvision's "5x5" kernels are 3x3."""

    def __init__(self, maps: int, widths: Sequence[int]):
        super().__init__()
        ones, threes_reduce, threes, fives_reduce, fives, projection = widths
        convolution = googlenet_convolution
        self.branches = nn.ModuleList(
            [
                nn.Sequential(*convolution(maps, ones, 1)),
                nn.Sequential(
                    *convolution(maps, threes_reduce, 1), *convolution(threes_reduce, threes, 3)
                ),
                nn.Sequential(
                    *convolution(maps, fives_reduce, 1), *convolution(fives_reduce, fives, 3)
                ),
                nn.Sequential(nn.MaxPool2d(3, 1, padding=1), *convolution(maps, projection, 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def googlenet() -> nn.Module:
    """torchvision's, without the auxiliary heads."""
    convolution = googlenet_convolution
    return nn.Sequential(
        *convolution(3, 64, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True),
        *convolution(64, 64, 1), *convolution(64, 192, 3), nn.MaxPool2d(3, 2, ceil_mode=True),
        Inception(192, (64, 96, 128, 16, 32, 32)),
        Inception(256, (128, 128, 192, 32, 96, 64)), nn.MaxPool2d(3, 2, ceil_mode=True),
        Inception(480, (192, 96, 208, 16, 48, 64)),
        Inception(512, (160, 112, 224, 24, 64, 64)),
        Inception(512, (128, 128, 256, 24, 64, 64)),
        Inception(512, (112, 144, 288, 32, 64, 64)),
        Inception(528, (256, 160, 320, 32, 128, 128)), nn.MaxPool2d(2, 2, ceil_mode=True),
        Inception(832, (256, 160, 320, 32, 128, 128)),
        Inception(832, (384, 192, 384, 48, 128, 128)),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1024, CLASSES),
    )  # fmt: skip


# name: (how it is made, its parameters in torchvision)
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "alexnet": (alexnet, 61_100_840),
    "vgg16": (lambda: vgg((2, 2, 3, 3, 3)), 138_357_544),
    "vgg19": (lambda: vgg((2, 2, 4, 4, 4)), 143_667_240),
    "googlenet": (googlenet, 6_624_904),
    "resnet50": (lambda: resnet((3, 4, 6, 3)), 25_557_032),
    "resnet152": (lambda: resnet((3, 8, 36, 3)), 60_192_808),
}


def build(network: str) -> nn.Module:
    make, expected = NETWORKS[network]
    model = make().to(memory_format=torch.channels_last)
    found = sum(parameter.numel() for parameter in model.parameters())
    assert found == expected, f"{network} has {found:,} parameters, not {expected:,}"
    return model


def multiply_accumulates(model: nn.Module, image: Tensor) -> int:
    """Of the convolutions and dense layers, for one image [1, C, H, W]."""
    total = 0

    def count(module: Any, arguments: Any, output: Tensor) -> None:
        nonlocal total
        total += output.numel() * module.weight[0].numel()

    hooks = [
        module.register_forward_hook(count)
        for module in model.modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    ]
    with torch.inference_mode():
        model.eval()(image)
    for hook in hooks:
        hook.remove()
    return total


class TorchPeer:
    """One network at a time; `prepare` makes it."""

    def __init__(self) -> None:
        self.after_import = resident_bytes()

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}

    def load(self, folder: str, threads: int) -> None:
        torch.set_num_threads(threads)
        images = np.load(Path(folder, "images.npy"))
        self.x = torch.from_numpy(images).permute(0, 3, 1, 2)  # NHWC in memory: channels_last
        assert self.x.is_contiguous(memory_format=torch.channels_last)
        self.y = torch.from_numpy(np.load(Path(folder, "labels.npy")))

    def prepare(self, network: str) -> dict[str, int]:
        self.model = build(network)
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.01, momentum=0.9, fused=True)
        return {"parameters": NETWORKS[network][1]}

    def count(self) -> int:
        """Multiply-accumulates an image."""
        return multiply_accumulates(self.model, self.x[:1])

    def forget(self) -> None:
        del self.model, self.optimizer

    def train(self, threads: int, steps: int) -> float:
        """Seconds a step."""
        torch.set_num_threads(threads)
        self.model.train()
        start = time.perf_counter()
        for _ in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(self.model(self.x), self.y)
            loss.backward()
            self.optimizer.step()
            loss.item()
        return (time.perf_counter() - start) / steps

    def infer(self, threads: int, steps: int) -> float:
        torch.set_num_threads(threads)
        self.model.eval()
        start = time.perf_counter()
        with torch.inference_mode():
            for _ in range(steps):
                F.softmax(self.model(self.x), 1)
        return (time.perf_counter() - start) / steps

    def memory(self) -> dict[str, int]:
        return {"after_import": self.after_import, "peak": peak_bytes()}


if __name__ == "__main__":
    serve(TorchPeer)
