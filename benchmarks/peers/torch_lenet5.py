"""LeNet-5 in PyTorch, as its users would write it for speed: NCHW, fused SGD, data in memory."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from worker import median_seconds, serve  # noqa: E402

TRAINING = {  # setting: (channels_last, compiled)
    "eager": (False, False),
    "eager, channels_last": (True, False),
    "compile": (False, True),
    "compile, channels_last": (True, True),
}
INFERENCE = ("no_grad", "inference_mode", "compile", "jit trace + freeze")


def lenet5() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


class Trainer:
    """One model under one setting, kept between rounds."""

    def __init__(self, channels_last: bool, compiled: bool):
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        model = lenet5().to(memory_format=self.layout)
        self.optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True)

        def loss(x: Tensor, y: Tensor) -> Tensor:
            return F.cross_entropy(model(x), y)

        self.loss: Callable[[Tensor, Tensor], Tensor] = torch.compile(loss) if compiled else loss

    def pass_over(self, images: Tensor, labels: Tensor, batch: int) -> None:
        order = torch.randperm(len(images))
        for rows in order.split(batch):
            x = images.index_select(0, rows).contiguous(memory_format=self.layout)
            self.optimizer.zero_grad(set_to_none=True)
            self.loss(x, labels.index_select(0, rows)).backward()
            self.optimizer.step()


class TorchPeer:
    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}

    def load(self, folder: str, threads: int) -> None:
        torch.set_num_threads(threads)
        images = np.load(Path(folder, "images.npy"))
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        self.labels = torch.from_numpy(np.load(Path(folder, "labels.npy")))
        self.trainers: dict[tuple[str, int], Trainer] = {}
        self.predictors: dict[str, Callable[[], Tensor]] = {}

    def training_settings(self) -> list[str]:
        return list(TRAINING)

    def train(self, setting: str, batch: int, images: int) -> float:
        key = (setting, batch)
        if key not in self.trainers:
            self.trainers[key] = Trainer(*TRAINING[setting])
        start = time.perf_counter()
        self.trainers[key].pass_over(self.images[:images], self.labels[:images], batch)
        return time.perf_counter() - start

    def inference_settings(self) -> list[str]:
        return list(INFERENCE)

    def infer(self, setting: str, calls: int) -> float:
        if setting not in self.predictors:
            self.predictors[setting] = predictor(setting, self.images[:1].clone())
        mode = torch.no_grad if setting == "no_grad" else torch.inference_mode
        with mode():
            return median_seconds(self.predictors[setting], calls)


def predictor(setting: str, image: Tensor) -> Callable[[], Tensor]:
    model: Callable[[Tensor], Tensor] = lenet5().eval()
    if setting == "compile":
        model = torch.compile(model)
    elif setting == "jit trace + freeze":
        with torch.no_grad():
            model = torch.jit.freeze(torch.jit.trace(model, image))
    return lambda: model(image)


if __name__ == "__main__":
    serve(TorchPeer)
