"""LeNet-5 in PyTorch, as its users would write it for speed: fused SGD, data in memory."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_networks import lenet5
from torch_onnx import export
from worker import median_seconds, serve

TRAINING = {  # setting: (channels_last, compiled, threads; 0: all)
    "eager": (False, False, 0),
    "eager, channels_last": (True, False, 0),
    "eager, 1 thread": (False, False, 1),
    "compile": (False, True, 0),
    "compile, channels_last": (True, True, 0),
}
INFERENCE = {  # setting: threads
    "inference_mode": 0,
    "inference_mode, channels_last": 0,
    "compile": 0,
    "jit trace + freeze": 0,
    "jit trace + freeze, 1 thread": 1,
}


def load_weights(model: nn.Module, weights: dict[str, np.ndarray]) -> None:
    """weights: kernels HWIO and [in, out] with biases, in the order of the modules."""
    arrays = [weights[name] for name in weights]
    modules = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        for module, kernel, bias in zip(modules, arrays[::2], arrays[1::2], strict=True):
            if isinstance(module, nn.Conv2d):
                kernel = kernel.transpose(3, 2, 0, 1)
            elif module.in_features == 400:  # after the flattening: H, W, C to C, H, W
                kernel = kernel.reshape(5, 5, 16, -1).transpose(2, 0, 1, 3).reshape(400, -1).T
            else:
                kernel = kernel.T
            module.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
            module.bias.copy_(torch.from_numpy(bias))


class Trainer:
    """One model under one setting, kept between rounds."""

    def __init__(self, model: nn.Module, channels_last: bool, compiled: bool):
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.model = model.to(memory_format=self.layout)
        self.optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True)

        def loss(x: Tensor, y: Tensor) -> Tensor:
            return F.cross_entropy(model(x), y)

        self.loss: Callable[[Tensor, Tensor], Tensor] = torch.compile(loss) if compiled else loss

    def step(self, x: Tensor, y: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(x, y).backward()
        self.optimizer.step()

    def pass_over(self, images: Tensor, labels: Tensor, batch: int) -> None:
        for rows in torch.randperm(len(images)).split(batch):
            x = images.index_select(0, rows).contiguous(memory_format=self.layout)
            self.step(x, labels.index_select(0, rows))


class TorchPeer:
    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}

    def load(self, folder: str, threads: int) -> None:
        self.threads = threads
        torch.set_num_threads(threads)
        images = np.load(Path(folder, "images.npy"))
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        self.labels = torch.from_numpy(np.load(Path(folder, "labels.npy")))
        self.weights = dict(np.load(Path(folder, "weights.npz")))
        self.trainers: dict[tuple[str, int], Trainer] = {}
        self.predictors: dict[tuple[str, int], Callable[[], Tensor]] = {}

    def model(self) -> nn.Module:
        model = lenet5()
        load_weights(model, self.weights)
        return model

    def export_onnx(self, path: str) -> None:
        export(self.model(), self.images[:2], path)

    def outputs(self, path: str, images: int, steps: int) -> None:
        """Probabilities [images, 10] after so many training steps on those images."""
        x, y = self.images[:images], self.labels[:images]
        trainer = Trainer(self.model(), False, False)
        for _ in range(steps):
            trainer.step(x, y)
        with torch.inference_mode():
            np.save(path, F.softmax(trainer.model(x), 1).numpy())

    def settings(self, what: str) -> list[str]:
        return list(TRAINING if what == "train" else INFERENCE)

    def train(self, setting: str, batch: int, steps: int) -> float:
        """Seconds a step."""
        key = (setting, batch)
        if key not in self.trainers:
            self.trainers[key] = Trainer(self.model(), *TRAINING[setting][:2])
        torch.set_num_threads(TRAINING[setting][2] or self.threads)
        start = time.perf_counter()
        self.trainers[key].pass_over(
            self.images[: batch * steps], self.labels[: batch * steps], batch
        )
        return (time.perf_counter() - start) / steps

    def infer(self, setting: str, batch: int, steps: int) -> float:
        """Seconds a call."""
        key = (setting, batch)
        if key not in self.predictors:
            self.predictors[key] = predictor(self.model(), setting, self.images[:batch].clone())
        torch.set_num_threads(INFERENCE[setting] or self.threads)
        with torch.inference_mode():
            return median_seconds(self.predictors[key], steps)


def predictor(network: nn.Module, setting: str, images: Tensor) -> Callable[[], Tensor]:
    """Of the classes' probabilities."""
    model: Callable[[Tensor], Tensor] = nn.Sequential(network, nn.Softmax(1)).eval()
    if setting.endswith("channels_last"):
        model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    elif setting == "compile":
        model = torch.compile(model)
    elif setting.startswith("jit"):
        with torch.no_grad():
            model = torch.jit.freeze(torch.jit.trace(model, images))
    return lambda: model(images)


if __name__ == "__main__":
    serve(TorchPeer)
