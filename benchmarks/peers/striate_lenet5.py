"""LeNet-5 in striate."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import striate
from striate import _core

sys.path.insert(0, str(Path(__file__).parents[1]))
from worker import median_seconds, serve  # noqa: E402


class StriatePeer:
    def versions(self) -> dict[str, str]:
        return {"striate": striate.__version__, "isa": _core.isa(), "compiler": _core.compiler()}

    def load(self, folder: str, threads: int) -> None:
        _core.set_num_threads(threads)
        self.images = np.load(Path(folder, "images.npy"))
        self.labels = np.load(Path(folder, "labels.npy"))
        self.models: dict[int, Any] = {}
        self.predictor = striate.applications.LeNet5()

    def training_settings(self) -> list[str]:
        return ["fit"]

    def train(self, setting: str, batch: int, images: int) -> float:
        if batch not in self.models:
            self.models[batch] = striate.applications.LeNet5()
            self.models[batch].compile(
                optimizer=striate.optimizers.SGD(0.01, momentum=0.9),
                loss="sparse_categorical_crossentropy",
            )
        x, y = self.images[:images], self.labels[:images]
        start = time.perf_counter()
        self.models[batch].fit(x, y, batch_size=batch, epochs=1, verbose=0)
        return time.perf_counter() - start

    def inference_settings(self) -> list[str]:
        return ["predict"]

    def infer(self, setting: str, calls: int) -> float:
        image = self.images[:1]
        return median_seconds(lambda: self.predictor.predict(image, verbose=0), calls)

    def fma_peak(self, threads: int) -> float:
        """GFLOP/s of nothing but fused multiply-adds on `threads` threads."""
        return float(_core.measure_fma_peak(threads))


if __name__ == "__main__":
    serve(StriatePeer)
