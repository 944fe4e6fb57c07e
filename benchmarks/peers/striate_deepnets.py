"""The networks in striate."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import striate
from batches import random_batch, sample_shape
from memory_use import peak_bytes, resident_bytes
from striate import _core, applications
from striate.interop import load_torch
from worker import serve

# torchvision's variants: what the peers have.
NETWORKS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "lenet5": (applications.LeNet5, {}),
    "alexnet": (applications.AlexNet, {"variant": "one-weird-trick"}),
    "vgg16": (applications.VGG16, {"variant": "torchvision"}),
    "vgg19": (applications.VGG19, {"variant": "torchvision"}),
    "googlenet": (applications.GoogLeNet, {"variant": "torchvision", "auxiliary": False}),
    "resnet18": (applications.ResNet18, {}),
    "resnet34": (applications.ResNet34, {}),
    "resnet50": (applications.ResNet50, {"variant": "v1.5"}),
    "resnet101": (applications.ResNet101, {"variant": "v1.5"}),
    "resnet152": (applications.ResNet152, {"variant": "v1.5"}),
    "resnet20": (applications.ResNet20, {}),
    "resnet32": (applications.ResNet32, {}),
    "resnet44": (applications.ResNet44, {}),
    "resnet56": (applications.ResNet56, {}),
    "resnet110": (applications.ResNet110, {}),
}


class StriatePeer:
    """One network at a time; `prepare` makes it."""

    def __init__(self) -> None:
        self.after_import = resident_bytes()

    def versions(self) -> dict[str, str]:
        return {"striate": striate.__version__, "isa": _core.isa(), "compiler": _core.compiler()}

    def load(self, folder: str, threads: int) -> None:
        _core.set_num_threads(threads)

    def prepare(
        self, network: str, batch: int, side: int = 224, precision: str = "float32"
    ) -> dict[str, int]:
        make, options = NETWORKS[network]
        self.model = make(input_shape=sample_shape(network, side), **options)
        self.model.compile(
            optimizer=striate.optimizers.SGD(0.01, momentum=0.9),
            loss="sparse_categorical_crossentropy",
            precision=precision,
        )
        self.x, self.y = random_batch(network, batch, side)
        return {"parameters": sum(weight.size for weight in self.model.trainable_weights)}

    def load_weights(self, path: str) -> None:
        """From PyTorch's state dict, as arrays."""
        with np.load(path) as weights:
            load_torch(self.model, dict(weights))

    def outputs(self, path: str, batch: int) -> None:
        """Probabilities [batch, classes]."""
        np.save(path, self.model.predict(self.x[:batch]))

    def count(self) -> int:
        """Multiply-accumulates an image."""
        lines: list[str] = []
        self.model.summary(print_fn=lines.append)
        found = next(line for line in lines if line.startswith("Multiply-accumulates a sample"))
        return int(found.partition(":")[2].replace(",", ""))

    def forget(self) -> None:
        del self.model, self.x, self.y

    def settings(self, what: str, compiled: bool = False) -> list[str]:
        return ["train_on_batch" if what == "train" else "predict"]

    def train(self, setting: str, threads: int, batch: int, steps: int) -> float:
        """Seconds a step."""
        _core.set_num_threads(threads)
        x, y = self.x[:batch], self.y[:batch]
        start = time.perf_counter()
        for _ in range(steps):
            self.model.train_on_batch(x, y)
        return (time.perf_counter() - start) / steps

    def infer(self, setting: str, threads: int, batch: int, steps: int) -> float:
        _core.set_num_threads(threads)
        x = self.x[:batch]
        start = time.perf_counter()
        for _ in range(steps):
            self.model.predict(x)
        return (time.perf_counter() - start) / steps

    def memory(self) -> dict[str, int]:
        return {"after_import": self.after_import, "peak": peak_bytes()}

    def planned_memory(self, batch: int) -> dict[str, int]:
        return dict(self.model.memory(batch))

    def fma_peak(self, threads: int) -> float:
        """GFLOP/s of nothing but fused multiply-adds on `threads` threads."""
        return float(_core.measure_fma_peak(threads))


if __name__ == "__main__":
    serve(StriatePeer)
