"""Single layers in PyTorch: channels_last, eager, and what autograd calls for each pass."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from worker import mean_seconds, serve

aten = torch.ops.aten
Passes = dict[str, Callable[[], Any]]
Shape = dict[str, Any]  # as striate_layers.py describes a layer

FORWARD, INPUT, WEIGHTS, ALL = "forward", "input gradient", "weight gradient", "all gradients"


def maps(shape: list[int], batch: int) -> Tensor:
    """[batch, C, H, W] in channels_last for (H, W, C), or [batch, F] for (F,)."""
    x = torch.randn(batch, *shape)
    return x.permute(0, 3, 1, 2) if len(shape) == 3 else x


def symmetric(config: dict[str, Any]) -> list[int]:
    """(vertical, horizontal) padding.

    Raises:
        ValueError: more on one side than on the other, which PyTorch's layers cannot have.
    """
    padding = config["padding"]
    if padding == "valid":
        return [0, 0]
    if padding == "same":
        if config["strides"] != [1, 1] or any(size % 2 == 0 for size in config["kernel_size"]):
            raise ValueError("same padding that may be asymmetric")
        return [size // 2 for size in config["kernel_size"]]
    if any(before != after for before, after in padding):
        raise ValueError(f"asymmetric padding {padding}")
    return [before for before, _ in padding]


def convolution(shape: Shape, batch: int) -> Passes:
    config = shape["config"]
    x, gradient = maps(shape["input"], batch), maps(shape["output"], batch)
    groups, filters = config["groups"], config["filters"]
    weight = torch.randn(filters, x.shape[1] // groups, *config["kernel_size"])
    weight = weight.contiguous(memory_format=torch.channels_last)
    bias = torch.randn(filters) if config["use_bias"] else None
    options = config["strides"], symmetric(config), config["dilation_rate"]

    def backward(mask: list[bool]) -> Any:
        sizes = None if bias is None else [filters]
        return aten.convolution_backward(
            gradient, x, weight, sizes, *options, False, [0, 0], groups, mask
        )

    return {
        FORWARD: lambda: F.conv2d(x, weight, bias, *options, groups),
        INPUT: lambda: backward([True, False, False]),
        WEIGHTS: lambda: backward([False, True, bias is not None]),
    }


def dense(shape: Shape, batch: int) -> Passes:
    x, gradient = maps(shape["input"], batch), maps(shape["output"], batch)
    weight, bias = torch.randn(gradient.shape[1], x.shape[1]), torch.randn(gradient.shape[1])
    return {
        FORWARD: lambda: F.linear(x, weight, bias),
        INPUT: lambda: gradient.mm(weight),
        WEIGHTS: lambda: (gradient.t().mm(x), gradient.sum(0)),
    }


def max_pooling(shape: Shape, batch: int) -> Passes:
    config = shape["config"]
    x, gradient = maps(shape["input"], batch), maps(shape["output"], batch)
    options = config["pool_size"], config["strides"], symmetric(config), [1, 1], config["ceil_mode"]
    _, indices = aten.max_pool2d_with_indices(x, *options)
    return {
        FORWARD: lambda: aten.max_pool2d_with_indices(x, *options),
        INPUT: lambda: aten.max_pool2d_with_indices_backward(gradient, x, *options, indices),
    }


def average_pooling(shape: Shape, batch: int) -> Passes:
    config = shape["config"]
    x, gradient = maps(shape["input"], batch), maps(shape["output"], batch)
    options = (
        config["pool_size"], config["strides"], symmetric(config), config["ceil_mode"],
        config["count_include_pad"], None,
    )  # fmt: skip
    return {
        FORWARD: lambda: aten.avg_pool2d(x, *options),
        INPUT: lambda: aten.avg_pool2d_backward(gradient, x, *options),
    }


def global_average_pooling(shape: Shape, batch: int) -> Passes:
    x = maps(shape["input"], batch)
    gradient = torch.randn(batch, x.shape[1], 1, 1)
    area = x.shape[2] * x.shape[3]
    # The gradient is expanded, and made dense by whoever reads it next.
    return {
        FORWARD: lambda: x.mean((2, 3), keepdim=True),
        INPUT: lambda: (
            (gradient / area).expand(x.shape).contiguous(memory_format=torch.channels_last)
        ),
    }


def batch_normalization(shape: Shape, batch: int) -> Passes:
    """In training. PyTorch makes all gradients in one."""
    config, x, gradient = shape["config"], maps(shape["input"], batch), maps(shape["output"], batch)
    gamma, beta, mean, variance = (torch.rand(x.shape[1]) for _ in range(4))
    momentum, epsilon = 1 - config["momentum"], config["epsilon"]
    statistics = mean, variance, True, momentum, epsilon
    _, saved_mean, saved_inverse = aten.native_batch_norm(x, gamma, beta, *statistics)
    return {
        FORWARD: lambda: aten.native_batch_norm(x, gamma, beta, *statistics),
        ALL: lambda: aten.native_batch_norm_backward(
            gradient, x, gamma, mean, variance, saved_mean, saved_inverse, True, epsilon,
            [True, True, True],
        ),
    }  # fmt: skip


def response_normalization(shape: Shape, batch: int) -> Passes:
    """PyTorch puts it together from operations, which autograd goes back through."""
    config = shape["config"]
    gradient = maps(shape["output"], batch)
    x = maps(shape["input"], batch).requires_grad_()
    alpha = config["alpha"] * (config["size"] if config["alpha_convention"] == "sum" else 1)
    options = config["size"], alpha, config["beta"], config["k"]
    y = F.local_response_norm(x, *options)
    still = x.detach()
    return {
        FORWARD: lambda: F.local_response_norm(still, *options),
        INPUT: lambda: torch.autograd.grad(y, x, gradient, retain_graph=True),
    }


LAYERS: dict[str, Callable[[Shape, int], Passes]] = {
    "Conv2D": convolution,
    "Dense": dense,
    "MaxPooling2D": max_pooling,
    "AveragePooling2D": average_pooling,
    "GlobalAveragePooling2D": global_average_pooling,
    "BatchNormalization": batch_normalization,
    "LocalResponseNormalization": response_normalization,
}


class TorchPeer:
    """One layer at a time; `prepare` makes it."""

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}

    def load(self, folder: str, threads: int) -> None:
        torch.set_num_threads(threads)

    def prepare(self, shape: Shape, batch: int) -> list[str]:
        """The passes that can be timed."""
        torch.manual_seed(2015)
        self.passes: Passes = {}  # gives its memory back before the next ones are made
        self.passes = LAYERS[shape["layer"]](shape, batch)
        made = self.passes[FORWARD]()
        y = made[0] if isinstance(made, tuple) else made
        assert y.numel() == maps(shape["output"], batch).numel(), f"it gives {list(y.shape)}"
        return list(self.passes)

    def time(self, name: str, threads: int, steps: int) -> float:
        """Seconds a pass."""
        torch.set_num_threads(threads)
        return mean_seconds(self.passes[name], steps)


if __name__ == "__main__":
    serve(TorchPeer)
