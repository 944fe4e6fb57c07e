"""CifarNet in PyTorch: the same network, batch, loss and augmentation, on tensors; SGD, whose step
is cheaper than Muon's.

Everything is in memory from the beginning, and augmented a batch at a time by tensor operations.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from worker import serve

WIDTHS = (64, 256, 256)
TRIAL_STEPS = 3


class Ninth(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * (1 / 9)


def normalization(width: int) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(width, eps=1e-5, momentum=0.4)
    layer.weight.requires_grad = False
    return layer


def network() -> nn.Sequential:
    """striate.applications.CifarNet."""
    layers: list[nn.Module] = [nn.Conv2d(3, 24, 2), nn.GELU()]
    inputs = 24
    for width in WIDTHS:
        first = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        for convolution in (first, second):
            nn.init.dirac_(convolution.weight.data[: convolution.in_channels])
        layers += [first, nn.MaxPool2d(2), normalization(width), nn.GELU()]
        layers += [second, normalization(width), nn.GELU()]
        inputs = width
    layers += [nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(inputs, 10, bias=False), Ninth()]
    for parameter in layers[0].parameters():  # the whitening
        parameter.requires_grad = False
    return nn.Sequential(*layers)


class TorchPeer:
    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}

    def load(self, folder: str, threads: int) -> None:
        torch.set_num_threads(threads)

    def prepare(self, images: str, batch: int, padding: int, smoothing: float) -> dict[str, int]:
        """images: what the striate peer saved."""
        torch.manual_seed(2024)
        arrays = np.load(images)
        mean, deviation = arrays["x"].mean((0, 1, 2)), arrays["x"].std((0, 1, 2))
        self.x, self.x_test = (self._tensor(arrays[k], mean, deviation) for k in ("x", "x_test"))
        self.y = torch.from_numpy(arrays["y"].astype(np.int64))
        self.batch, self.padding, self.smoothing = batch, padding, smoothing
        self.flipped = torch.rand(len(self.x)) < 0.5  # every image turns over each epoch
        self.model = network().to(memory_format=torch.channels_last)
        biases = [p for p in self.model.parameters() if p.requires_grad and p.ndim == 1]
        others = [p for p in self.model.parameters() if p.requires_grad and p.ndim > 1]
        self.optimizer = torch.optim.SGD(
            [{"params": biases, "lr": 64e-3}, {"params": others, "weight_decay": 5e-4}],
            lr=1e-3, momentum=0.85, nesterov=True, fused=True,
        )  # fmt: skip
        self.functions: dict[str, Callable[[Tensor], Tensor]] = {"channels_last": self.model}
        return {"parameters": sum(p.numel() for p in biases + others)}

    def _tensor(self, x: Any, mean: Any, deviation: Any) -> Tensor:
        """Normalised, channels last in memory."""
        normal = ((x - mean) / deviation).astype(np.float32)
        return torch.from_numpy(normal).permute(0, 3, 1, 2)

    def settings(self, compiled: bool) -> list[str]:
        return ["channels_last"] + (["compile, channels_last"] if compiled else [])

    def _use(self, setting: str) -> Callable[[Tensor], Tensor]:
        if setting not in self.functions:
            self.functions[setting] = torch.compile(self.model)
        self.model.train()
        return self.functions[setting]

    def _augmented(self, rows: Tensor) -> Tensor:
        """Mirror images in turn, moved by up to `padding` pixels, the border mirrored."""
        x = self.x[rows]
        x = torch.where(self.flipped[rows].view(-1, 1, 1, 1), x.flip(3), x)
        side, shifts = x.shape[2], 2 * self.padding + 1
        padded = F.pad(x, (self.padding,) * 4, "reflect")
        places = torch.randint(shifts, (len(rows), 2))
        out = torch.empty_like(x)
        for top in range(shifts):
            for left in range(shifts):
                here = (places[:, 0] == top) & (places[:, 1] == left)
                out[here] = padded[here, :, top : top + side, left : left + side]
        return out.contiguous(memory_format=torch.channels_last)

    def _step(self, model: Callable[[Tensor], Tensor], rows: Tensor) -> None:
        x, y = self._augmented(rows), self.y[rows]
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), y, label_smoothing=self.smoothing)
        loss.backward()
        self.optimizer.step()

    def trial(self, setting: str) -> float:
        """Seconds a step, after two that allocate and compile."""
        model = self._use(setting)
        rows = torch.arange(self.batch)
        for _ in range(2):
            self._step(model, rows)
        start = time.perf_counter()
        for _ in range(TRIAL_STEPS):
            self._step(model, rows)
        return (time.perf_counter() - start) / TRIAL_STEPS

    def epoch(self, setting: str) -> float:
        """Seconds of one whole epoch."""
        model = self._use(setting)
        start = time.perf_counter()
        for rows in torch.randperm(len(self.x)).split(self.batch):
            self._step(model, rows)
        self.flipped = ~self.flipped
        return time.perf_counter() - start

    def evaluation(self, images: int) -> float:
        """Seconds of six views of so many test images, in inference mode."""
        self.model.eval()
        x = self.x_test[:images]
        start = time.perf_counter()
        with torch.inference_mode():
            for part in x.split(500):
                padded = F.pad(part, (1,) * 4, "reflect")
                shown = [part, *(padded[:, :, i : i + 32, i : i + 32] for i in (0, 2))]
                for view in shown + [view.flip(3) for view in shown]:
                    self.model(view.contiguous(memory_format=torch.channels_last)).softmax(1)
        return time.perf_counter() - start


if __name__ == "__main__":
    serve(TorchPeer)
