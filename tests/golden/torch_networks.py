"""The deep networks of striate.applications in PyTorch, written from their papers.

Modules are named as torchvision names them, so that state dicts of either have the same keys. What
torchvision does not have is here alone: AlexNet of 2012, GoogLeNet of 2014, ResNet "v1", and the
CIFAR ResNets. Where torchvision is installed, benchmarks/parity.py compares with its own code.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# AlexNet


def _pad_for_conv1(x: Tensor) -> Tensor:
    """Images that 11x11 kernels at stride 4 do not tile get two pixels on each side."""
    height, width = ((0 if (size - 11) % 4 == 0 else 2) for size in x.shape[2:])
    return F.pad(x, (width, width, height, height))


class AlexNet2012(nn.Module):
    """image: height and width, on which the weights of fc6 depend."""

    def __init__(self, classes: int, image: tuple[int, int]):
        super().__init__()
        norm = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)  # PyTorch divides alpha by 5
        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), nn.Sequential(norm, nn.MaxPool2d(3, 2)),
            nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(),
            nn.Sequential(norm, nn.MaxPool2d(3, 2)),
            nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )  # fmt: skip
        with torch.no_grad():
            maps = self.features(_pad_for_conv1(torch.zeros(1, 3, *image)))
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(maps.numel(), 4096), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(4096, 4096), nn.Sequential(nn.ReLU(), nn.Dropout(0.5)),
            nn.Linear(4096, classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(_pad_for_conv1(x)))


class AlexNetOneWeirdTrick(nn.Module):
    def __init__(self, classes: int):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(256 * 36, 4096), nn.ReLU(),
            nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(F.adaptive_avg_pool2d(self.features(x), 6).flatten(1))


# VGG


class VGG(nn.Module):
    """convolutions: of each block. pooled: the side that block5's maps are averaged to, or None."""

    def __init__(
        self,
        convolutions: Sequence[int],
        classes: int,
        image: tuple[int, int],
        pooled: int | None = None,
        batch_norm: bool = False,
    ):
        super().__init__()
        modules: list[nn.Module] = []
        maps = 3
        for filters, count in zip((64, 128, 256, 512, 512), convolutions, strict=True):
            for _ in range(count):
                modules.append(nn.Conv2d(maps, filters, 3, padding=1))
                modules += [nn.BatchNorm2d(filters), nn.ReLU()] if batch_norm else [nn.ReLU()]
                maps = filters
            modules.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*modules)
        self.pooled = pooled
        area = pooled**2 if pooled else (image[0] // 32) * (image[1] // 32)
        self.classifier = nn.Sequential(
            nn.Linear(512 * area, 4096), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        if self.pooled:
            x = F.adaptive_avg_pool2d(x, self.pooled)
        return self.classifier(x.flatten(1))


# GoogLeNet


class Convolution(nn.Module):
    """With batch normalisation and no bias, or without and with."""

    def __init__(self, maps: int, filters: int, size: int, norm: bool, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(maps, filters, size, stride, size // 2, bias=not norm)
        self.bn = nn.BatchNorm2d(filters, eps=1e-3) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    def __init__(self, maps: int, widths: Sequence[int], norm: bool):
        super().__init__()
        ones, threes_reduce, threes, fives_reduce, fives, projection = widths
        self.branch1 = Convolution(maps, ones, 1, norm)
        self.branch2 = nn.Sequential(
            Convolution(maps, threes_reduce, 1, norm), Convolution(threes_reduce, threes, 3, norm)
        )
        self.branch3 = nn.Sequential(
            Convolution(maps, fives_reduce, 1, norm),
            Convolution(fives_reduce, fives, 3 if norm else 5, norm),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, 1, padding=1), Convolution(maps, projection, 1, norm)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class Auxiliary(nn.Module):
    """side: of the maps that its average pool leaves; "2014" 5x5 at stride 3, else adaptive."""

    def __init__(self, maps: int, area: int, classes: int, norm: bool):
        super().__init__()
        self.norm = norm
        self.conv = Convolution(maps, 128, 1, norm)
        self.fc1 = nn.Linear(128 * area, 1024)
        self.fc2 = nn.Linear(1024, classes)
        self.dropout = nn.Dropout(0.7)

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(x, 4) if self.norm else F.avg_pool2d(x, 5, 3)
        return self.fc2(self.dropout(F.relu(self.fc1(self.conv(x).flatten(1)))))


TABLE_1 = {
    "3a": (192, (64, 96, 128, 16, 32, 32)),
    "3b": (256, (128, 128, 192, 32, 96, 64)),
    "4a": (480, (192, 96, 208, 16, 48, 64)),
    "4b": (512, (160, 112, 224, 24, 64, 64)),
    "4c": (512, (128, 128, 256, 24, 64, 64)),
    "4d": (512, (112, 144, 288, 32, 64, 64)),
    "4e": (528, (256, 160, 320, 32, 128, 128)),
    "5a": (832, (256, 160, 320, 32, 128, 128)),
    "5b": (832, (384, 192, 384, 48, 128, 128)),
}


class GoogLeNet(nn.Module):
    """norm: torchvision's, with batch normalisation; else the paper's. Gives (main, aux1, aux2)."""

    def __init__(self, classes: int, image: tuple[int, int], norm: bool):
        super().__init__()
        self.norm = norm
        self.conv1 = Convolution(3, 64, 7, norm, stride=2)
        self.conv2 = Convolution(64, 64, 1, norm)
        self.conv3 = Convolution(64, 192, 3, norm)
        for row, (maps, widths) in TABLE_1.items():
            setattr(self, f"inception{row}", Inception(maps, widths, norm))
        area = 16
        if not norm:
            with torch.no_grad():
                sides = self.to_4a(torch.zeros(1, 3, *image)).shape[2:]
            area = ((sides[0] - 5) // 3 + 1) * ((sides[1] - 5) // 3 + 1)
        self.aux1 = Auxiliary(512, area, classes, norm)
        self.aux2 = Auxiliary(528, area, classes, norm)
        self.dropout = nn.Dropout(0.2 if norm else 0.4)
        self.fc = nn.Linear(1024, classes)

    def response_norm(self, x: Tensor) -> Tensor:
        return x if self.norm else F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1.0)

    def to_4a(self, x: Tensor) -> Tensor:
        x = self.response_norm(F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True))
        x = self.response_norm(self.conv3(self.conv2(x)))
        x = self.inception3a(F.max_pool2d(x, 3, 2, ceil_mode=True))
        x = F.max_pool2d(self.inception3b(x), 3, 2, ceil_mode=True)
        return self.inception4a(x)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.to_4a(x)
        aux1 = self.aux1(x)
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        aux2 = self.aux2(x)
        x = F.max_pool2d(self.inception4e(x), 2 if self.norm else 3, 2, ceil_mode=True)
        x = self.inception5b(self.inception5a(x)).mean((2, 3))
        return self.fc(self.dropout(x)), aux1, aux2


# ResNet


class Basic(nn.Module):
    expansion = 1

    def __init__(self, maps: int, filters: int, stride: int, first_strides: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(maps, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.downsample = _projection(maps, filters, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, maps: int, filters: int, stride: int, first_strides: bool):
        super().__init__()
        first, second = (stride, 1) if first_strides else (1, stride)
        self.conv1 = nn.Conv2d(maps, filters, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, second, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.conv3 = nn.Conv2d(filters, 4 * filters, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * filters)
        self.downsample = _projection(maps, 4 * filters, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def _projection(maps: int, filters: int, stride: int) -> nn.Module:
    if stride == 1 and maps == filters:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(maps, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))


class ResNet(nn.Module):
    """first_strides: "v1", a bottleneck's first convolution strides; else "v1.5", its second."""

    def __init__(
        self,
        block: type[Basic] | type[Bottleneck],
        blocks: Sequence[int],
        classes: int,
        first_strides: bool = False,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        maps = 64
        for stage, count in enumerate(blocks, start=1):
            filters = 64 * 2 ** (stage - 1)
            made = []
            for number in range(count):
                stride = 2 if stage > 1 and number == 0 else 1
                made.append(block(maps, filters, stride, first_strides))
                maps = filters * block.expansion
            setattr(self, f"layer{stage}", nn.Sequential(*made))
        self.fc = nn.Linear(maps, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class CifarBlock(nn.Module):
    def __init__(self, maps: int, filters: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(maps, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.stride, self.missing = stride, filters - maps

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        before = self.missing // 2
        shortcut = x[:, :, :: self.stride, :: self.stride]
        return F.relu(y + F.pad(shortcut, (0, 0, 0, 0, before, self.missing - before)))


class CifarResNet(nn.Module):
    def __init__(self, blocks: int, classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        maps = 16
        for stage, filters in enumerate((16, 32, 64), start=1):
            made = []
            for number in range(blocks):
                made.append(CifarBlock(maps, filters, 2 if stage > 1 and number == 0 else 1))
                maps = filters
            setattr(self, f"layer{stage}", nn.Sequential(*made))
        self.linear = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


# Weights


def randomise(network: nn.Module, seed: int) -> None:
    """Random weights and batch statistics under which a deep network keeps its signal's size.

    Kernels are He's, biases and shifts small, scales and variances between 0.5 and 1.5.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor: Tensor, low: float, high: float) -> None:
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                fan_in = module.weight[0].numel()
                normal = torch.randn(module.weight.shape, generator=generator)
                module.weight.copy_(normal * (2 / fan_in) ** 0.5)
                if module.bias is not None:
                    uniform(module.bias, -0.1, 0.1)
            elif isinstance(module, nn.BatchNorm2d):
                uniform(module.weight, 0.5, 1.5)
                uniform(module.bias, -0.2, 0.2)
                uniform(module.running_mean, -0.2, 0.2)
                uniform(module.running_var, 0.5, 1.5)
