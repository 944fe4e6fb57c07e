"""LeNet-5 in PyTorch with striate's layouts, and Keras 3's update rules on PyTorch's gradients.

Every weight is a leaf in striate's layout (HWIO, [I, O]) and is permuted inside the forward pass,
so autograd returns gradients in that layout too. The optimizers are written out, because
torch.optim differs from Keras in RMSprop (epsilon outside the root) and Adam (epsilon added after
the bias correction). The rules were read in keras/src/optimizers of Keras 3.15.1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lenet5_case import OptimizerCase
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class TorchLeNet5:
    activation: str = "relu"
    pooling: str = "max"
    dtype: torch.dtype = torch.float32

    def logits(self, weights: Sequence[Tensor], x: Tensor) -> Tensor:
        """x: [N, 28, 28, 1]; weights in get_weights order. Returns [N, 10], before the softmax."""
        squash: Callable[[Tensor], Tensor] = getattr(torch, self.activation)
        pool = F.max_pool2d if self.pooling == "max" else F.avg_pool2d
        w1, b1, w3, b3, w5, b5, w6, b6, w_out, b_out = weights
        h = x.permute(0, 3, 1, 2)
        h = pool(squash(F.conv2d(h, w1.permute(3, 2, 0, 1), b1, padding=2)), 2)
        h = pool(squash(F.conv2d(h, w3.permute(3, 2, 0, 1), b3)), 2)
        h = h.permute(0, 2, 3, 1).reshape(x.shape[0], -1)  # flattened as NHWC
        h = squash(h @ w5 + b5)
        h = squash(h @ w6 + b6)
        return h @ w_out + b_out

    def leaves(self, weights: Sequence[NDArray[Any]]) -> list[Tensor]:
        return [torch.tensor(w, dtype=self.dtype, requires_grad=True) for w in weights]

    def gradients(
        self, weights: Sequence[NDArray[Any]], x: NDArray[Any], y: NDArray[np.int64]
    ) -> "Gradients":
        leaves = self.leaves(weights)
        images = torch.tensor(x, dtype=self.dtype, requires_grad=True)
        logits = self.logits(leaves, images)
        loss = F.cross_entropy(logits, torch.tensor(y))
        *dw, dx = torch.autograd.grad(loss, [*leaves, images])
        return Gradients(logits.detach().numpy(), loss.item(), [g.numpy() for g in dw], dx.numpy())

    def train(
        self,
        weights: Sequence[NDArray[Any]],
        batches: Sequence[tuple[NDArray[Any], NDArray[np.int64]]],
        optimizer: OptimizerCase,
    ) -> tuple[list[float], list[NDArray[Any]]]:
        """One step a batch. Returns the loss before each step, and the weights at the end."""
        leaves = self.leaves(weights)
        rule = UPDATE_RULES[optimizer.rule](**optimizer.options)
        losses = []
        for step, (x, y) in enumerate(batches, start=1):
            logits = self.logits(leaves, torch.tensor(x, dtype=self.dtype))
            loss = F.cross_entropy(logits, torch.tensor(y))
            gradients = torch.autograd.grad(loss, leaves)
            with torch.no_grad():
                for index, (w, g) in enumerate(zip(leaves, gradients, strict=True)):
                    rule.update(w, g, index, step)
            losses.append(loss.item())
        return losses, [w.detach().numpy() for w in leaves]


@dataclass(frozen=True)
class Gradients:
    logits: NDArray[Any]
    loss: float
    weights: list[NDArray[Any]]
    input: NDArray[Any]


class SGD:
    """v = momentum*v - lr*g; w += v, or with Nesterov w += momentum*v - lr*g. v starts at 0."""

    def __init__(self, learning_rate: float, momentum: float = 0.0, nesterov: bool = False):
        self.learning_rate, self.momentum, self.nesterov = learning_rate, momentum, nesterov
        self.velocity: dict[int, Tensor] = {}

    def update(self, w: Tensor, g: Tensor, index: int, step: int) -> None:
        v = self.velocity.setdefault(index, torch.zeros_like(w))
        v.mul_(self.momentum).sub_(self.learning_rate * g)
        w.add_(self.momentum * v - self.learning_rate * g if self.nesterov else v)


class Adam:
    """m += (1-b1)(g-m); v += (1-b2)(g*g-v); w -= a*m/(sqrt(v)+eps),
    a = lr*sqrt(1-b2^t)/(1-b1^t): epsilon is the paper's "epsilon hat"."""

    def __init__(
        self,
        learning_rate: float,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float = 0.0,
    ):
        self.learning_rate, self.beta_1, self.beta_2 = learning_rate, beta_1, beta_2
        self.epsilon, self.weight_decay = epsilon, weight_decay
        self.m: dict[int, Tensor] = {}
        self.v: dict[int, Tensor] = {}

    def update(self, w: Tensor, g: Tensor, index: int, step: int) -> None:
        m = self.m.setdefault(index, torch.zeros_like(w))
        v = self.v.setdefault(index, torch.zeros_like(w))
        # AdamW: decoupled, before the step, biases included, as Keras does by default
        w.sub_(self.weight_decay * self.learning_rate * w)
        m.add_((1 - self.beta_1) * (g - m))
        v.add_((1 - self.beta_2) * (g * g - v))
        corrected = (1 - self.beta_2**step) ** 0.5 / (1 - self.beta_1**step)
        w.sub_(self.learning_rate * corrected * m / (v.sqrt() + self.epsilon))


class RMSprop:
    """v = rho*v + (1-rho)*g*g; w -= lr*g/sqrt(v+eps): epsilon inside the root."""

    def __init__(self, learning_rate: float, rho: float = 0.9, epsilon: float = 1e-7):
        self.learning_rate, self.rho, self.epsilon = learning_rate, rho, epsilon
        self.v: dict[int, Tensor] = {}

    def update(self, w: Tensor, g: Tensor, index: int, step: int) -> None:
        v = self.v.setdefault(index, torch.zeros_like(w))
        v.mul_(self.rho).add_((1 - self.rho) * g * g)
        w.sub_(self.learning_rate * g / (v + self.epsilon).sqrt())


UPDATE_RULES: dict[str, Callable[..., Any]] = {
    "SGD": SGD,
    "Adam": Adam,
    "AdamW": Adam,
    "RMSprop": RMSprop,
}
