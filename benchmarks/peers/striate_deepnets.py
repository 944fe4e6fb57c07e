"""The deep networks in striate."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import striate
from memory_use import peak_bytes, resident_bytes
from striate import _core, applications
from worker import serve

# torchvision's variants: what the peer has.
NETWORKS: dict[str, Callable[[], Any]] = {
    "alexnet": lambda: applications.AlexNet(variant="one-weird-trick"),
    "vgg16": lambda: applications.VGG16(variant="torchvision"),
    "vgg19": lambda: applications.VGG19(variant="torchvision"),
    "googlenet": lambda: applications.GoogLeNet(variant="torchvision", auxiliary=False),
    "resnet50": lambda: applications.ResNet50(variant="v1.5"),
    "resnet152": lambda: applications.ResNet152(variant="v1.5"),
}


class StriatePeer:
    """One network at a time; `prepare` makes it."""

    def __init__(self) -> None:
        self.after_import = resident_bytes()

    def versions(self) -> dict[str, str]:
        return {"striate": striate.__version__, "isa": _core.isa(), "compiler": _core.compiler()}

    def load(self, folder: str, threads: int) -> None:
        _core.set_num_threads(threads)
        self.x = np.load(Path(folder, "images.npy"))
        self.y = np.load(Path(folder, "labels.npy"))

    def prepare(self, network: str) -> dict[str, int]:
        self.model = NETWORKS[network]()
        self.model.compile(
            optimizer=striate.optimizers.SGD(0.01, momentum=0.9),
            loss="sparse_categorical_crossentropy",
        )
        trainable = sum(weight.size for weight in self.model.trainable_weights)
        return {"parameters": trainable}

    def count(self) -> int:
        """Multiply-accumulates an image."""
        lines: list[str] = []
        self.model.summary(print_fn=lines.append)
        found = next(line for line in lines if line.startswith("Multiply-accumulates a sample"))
        return int(found.partition(":")[2].replace(",", ""))

    def forget(self) -> None:
        del self.model

    def train(self, threads: int, steps: int) -> float:
        """Seconds a step."""
        _core.set_num_threads(threads)
        start = time.perf_counter()
        for _ in range(steps):
            self.model.train_on_batch(self.x, self.y)
        return (time.perf_counter() - start) / steps

    def infer(self, threads: int, steps: int) -> float:
        _core.set_num_threads(threads)
        start = time.perf_counter()
        for _ in range(steps):
            self.model.predict(self.x)
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
