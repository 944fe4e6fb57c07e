"""The networks in PyTorch as torchvision has them: its module names, in place where it is.

torchvision itself is not needed. `build` asserts every network's number of parameters.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 1000


def relu(module: nn.Module) -> list[nn.Module]:
    return [module, nn.ReLU(inplace=True)]


def lenet5() -> nn.Module:
    """striate.applications.LeNet5."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


class Classifier(nn.Module):
    """Features, averaged to side x side, then dense layers."""

    def __init__(self, features: Sequence[nn.Module], side: int, classifier: Sequence[nn.Module]):
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(side)
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def alexnet() -> nn.Module:
    """Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014."""
    features = [
        *relu(nn.Conv2d(3, 64, 11, stride=4, padding=2)), nn.MaxPool2d(3, 2),
        *relu(nn.Conv2d(64, 192, 5, padding=2)), nn.MaxPool2d(3, 2),
        *relu(nn.Conv2d(192, 384, 3, padding=1)),
        *relu(nn.Conv2d(384, 256, 3, padding=1)),
        *relu(nn.Conv2d(256, 256, 3, padding=1)), nn.MaxPool2d(3, 2),
    ]  # fmt: skip
    classifier = [
        nn.Dropout(), *relu(nn.Linear(256 * 36, 4096)),
        nn.Dropout(), *relu(nn.Linear(4096, 4096)), nn.Linear(4096, CLASSES),
    ]  # fmt: skip
    return Classifier(features, 6, classifier)


def vgg(convolutions: Sequence[int]) -> nn.Module:
    """Simonyan, Zisserman 2014, table 1. convolutions: of each block."""
    features: list[nn.Module] = []
    maps = 3
    for filters, count in zip((64, 128, 256, 512, 512), convolutions, strict=True):
        for _ in range(count):
            features += relu(nn.Conv2d(maps, filters, 3, padding=1))
            maps = filters
        features.append(nn.MaxPool2d(2))
    classifier: list[nn.Module] = []
    for inputs in (512 * 49, 4096):
        classifier += [*relu(nn.Linear(inputs, 4096)), nn.Dropout()]
    return Classifier(features, 7, [*classifier, nn.Linear(4096, CLASSES)])


def convolution(maps: int, filters: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(maps, filters, size, stride, size // 2, bias=False)


def projection(maps: int, filters: int, stride: int) -> nn.Module:
    """A shortcut of "option B"."""
    if stride == 1 and maps == filters:
        return nn.Identity()
    return nn.Sequential(convolution(maps, filters, 1, stride), nn.BatchNorm2d(filters))


class BasicBlock(nn.Module):
    """He et al. 2015, figure 5, left."""

    expansion = 1

    def __init__(self, maps: int, filters: int, stride: int):
        super().__init__()
        self.conv1 = convolution(maps, filters, 3, stride)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = convolution(filters, filters, 3)
        self.bn2 = nn.BatchNorm2d(filters)
        self.downsample = projection(maps, filters, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += self.downsample(x)
        return F.relu(y, inplace=True)


class Bottleneck(nn.Module):
    """He et al. 2015, figure 5, right; the 3x3 convolution strides ("v1.5")."""

    expansion = 4

    def __init__(self, maps: int, filters: int, stride: int):
        super().__init__()
        self.conv1 = convolution(maps, filters, 1)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = convolution(filters, filters, 3, stride)
        self.bn2 = nn.BatchNorm2d(filters)
        self.conv3 = convolution(filters, 4 * filters, 1)
        self.bn3 = nn.BatchNorm2d(4 * filters)
        self.downsample = projection(maps, 4 * filters, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        y += self.downsample(x)
        return F.relu(y, inplace=True)


class ResNet(nn.Module):
    """He et al. 2015, table 1. blocks: of each stage."""

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], blocks: Sequence[int]):
        super().__init__()
        self.conv1 = convolution(3, 64, 7, 2)
        self.bn1 = nn.BatchNorm2d(64)
        maps = 64
        for stage, count in enumerate(blocks, start=1):
            filters = 64 * 2 ** (stage - 1)
            made = []
            for number in range(count):
                made.append(block(maps, filters, 2 if stage > 1 and number == 0 else 1))
                maps = filters * block.expansion
            setattr(self, f"layer{stage}", nn.Sequential(*made))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(maps, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


class CifarBlock(nn.Module):
    """Shortcuts without weights ("option A")."""

    def __init__(self, maps: int, filters: int, stride: int):
        super().__init__()
        self.conv1 = convolution(maps, filters, 3, stride)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = convolution(filters, filters, 3)
        self.bn2 = nn.BatchNorm2d(filters)
        self.stride, self.missing = stride, filters - maps

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        if self.missing:
            before = self.missing // 2
            x = x[:, :, :: self.stride, :: self.stride]
            x = F.pad(x, (0, 0, 0, 0, before, self.missing - before))
        y += x
        return F.relu(y, inplace=True)


class CifarResNet(nn.Module):
    """He et al. 2015, section 4.2: 6 * blocks + 2 layers."""

    def __init__(self, blocks: int):
        super().__init__()
        self.conv1 = convolution(3, 16, 3)
        self.bn1 = nn.BatchNorm2d(16)
        maps = 16
        for stage, filters in enumerate((16, 32, 64), start=1):
            made = []
            for number in range(blocks):
                made.append(CifarBlock(maps, filters, 2 if stage > 1 and number == 0 else 1))
                maps = filters
            setattr(self, f"layer{stage}", nn.Sequential(*made))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(self.avgpool(x).flatten(1))


class InceptionConvolution(nn.Module):
    def __init__(self, maps: int, filters: int, size: int, stride: int = 1):
        super().__init__()
        self.conv = convolution(maps, filters, size, stride)
        self.bn = nn.BatchNorm2d(filters, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """Szegedy et al. 2014, figure 2b; torchvision's "5x5" kernels are 3x3."""

    def __init__(self, maps: int, widths: Sequence[int]):
        super().__init__()
        ones, threes_reduce, threes, fives_reduce, fives, pool_proj = widths
        conv = InceptionConvolution
        self.branch1 = conv(maps, ones, 1)
        self.branch2 = nn.Sequential(conv(maps, threes_reduce, 1), conv(threes_reduce, threes, 3))
        self.branch3 = nn.Sequential(conv(maps, fives_reduce, 1), conv(fives_reduce, fives, 3))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(maps, pool_proj, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNet(nn.Module):
    """torchvision's, without the auxiliary heads."""

    def __init__(self) -> None:
        super().__init__()
        conv = InceptionConvolution
        self.conv1 = conv(3, 64, 7, 2)
        self.maxpool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = conv(64, 64, 1)
        self.conv3 = conv(64, 192, 3)
        self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.inception3a = Inception(192, (64, 96, 128, 16, 32, 32))
        self.inception3b = Inception(256, (128, 128, 192, 32, 96, 64))
        self.maxpool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.inception4a = Inception(480, (192, 96, 208, 16, 48, 64))
        self.inception4b = Inception(512, (160, 112, 224, 24, 64, 64))
        self.inception4c = Inception(512, (128, 128, 256, 24, 64, 64))
        self.inception4d = Inception(512, (112, 144, 288, 32, 64, 64))
        self.inception4e = Inception(528, (256, 160, 320, 32, 128, 128))
        self.maxpool4 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.inception5a = Inception(832, (256, 160, 320, 32, 128, 128))
        self.inception5b = Inception(832, (384, 192, 384, 48, 128, 128))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(1024, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        for module in list(self.children())[:-3]:
            x = module(x)
        return self.fc(self.dropout(self.avgpool(x).flatten(1)))


# name: (how it is made, its trainable parameters)
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "lenet5": (lenet5, 61_706),
    "alexnet": (alexnet, 61_100_840),
    "vgg16": (lambda: vgg((2, 2, 3, 3, 3)), 138_357_544),
    "vgg19": (lambda: vgg((2, 2, 4, 4, 4)), 143_667_240),
    "googlenet": (GoogLeNet, 6_624_904),
    "resnet18": (lambda: ResNet(BasicBlock, (2, 2, 2, 2)), 11_689_512),
    "resnet34": (lambda: ResNet(BasicBlock, (3, 4, 6, 3)), 21_797_672),
    "resnet50": (lambda: ResNet(Bottleneck, (3, 4, 6, 3)), 25_557_032),
    "resnet101": (lambda: ResNet(Bottleneck, (3, 4, 23, 3)), 44_549_160),
    "resnet152": (lambda: ResNet(Bottleneck, (3, 8, 36, 3)), 60_192_808),
    "resnet20": (lambda: CifarResNet(3), 269_722),
    "resnet32": (lambda: CifarResNet(5), 464_154),
    "resnet44": (lambda: CifarResNet(7), 658_586),
    "resnet56": (lambda: CifarResNet(9), 853_018),
    "resnet110": (lambda: CifarResNet(18), 1_727_962),
}


def build(network: str) -> nn.Module:
    make, expected = NETWORKS[network]
    model = make()
    found = sum(parameter.numel() for parameter in model.parameters())
    assert found == expected, f"{network} has {found:,} parameters, not {expected:,}"
    return model


def multiply_accumulates(model: nn.Module, image: Tensor) -> int:
    """Of the convolutions and dense layers, for one image [1, C, H, W]."""
    total = 0

    def count(module: nn.Module, arguments: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module.weight, Tensor)
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


def settle_statistics(model: nn.Module, images: Tensor) -> None:
    """Batch normalisation takes these images' statistics, so that signals keep their size."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(images)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
