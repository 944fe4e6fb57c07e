"""LeNet-5 in striate."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import striate
from striate import _core
from worker import median_seconds, serve


class StriatePeer:
    def versions(self) -> dict[str, str]:
        return {"striate": striate.__version__, "isa": _core.isa(), "compiler": _core.compiler()}

    def load(self, folder: str, threads: int) -> None:
        _core.set_num_threads(threads)
        self.images = np.load(Path(folder, "images.npy"))
        self.labels = np.load(Path(folder, "labels.npy"))
        self.weights = list(np.load(Path(folder, "weights.npz")).values())
        self.models: dict[int, Any] = {}
        self.predictor = self.model()

    def model(self) -> Any:
        model = striate.applications.LeNet5()
        model.set_weights(self.weights)
        model.compile(
            optimizer=striate.optimizers.SGD(0.01, momentum=0.9),
            loss="sparse_categorical_crossentropy",
        )
        return model

    def outputs(self, path: str, images: int, steps: int) -> None:
        """Probabilities [images, 10] after so many training steps on those images."""
        model, x, y = self.model(), self.images[:images], self.labels[:images]
        for _ in range(steps):
            model.train_on_batch(x, y)
        np.save(path, model.predict(x))

    def settings(self, what: str) -> list[str]:
        return ["fit"] if what == "train" else ["predict"]

    def train(self, setting: str, batch: int, steps: int) -> float:
        """Seconds a step."""
        if batch not in self.models:
            self.models[batch] = self.model()
        x, y = self.images[: batch * steps], self.labels[: batch * steps]
        start = time.perf_counter()
        self.models[batch].fit(x, y, batch_size=batch, epochs=1, verbose=0)
        return (time.perf_counter() - start) / steps

    def infer(self, setting: str, batch: int, steps: int) -> float:
        """Seconds a call."""
        images = self.images[:batch]
        return median_seconds(lambda: self.predictor.predict(images, verbose=0), steps)

    def fma_peak(self, threads: int) -> float:
        """GFLOP/s of nothing but fused multiply-adds on `threads` threads."""
        return float(_core.measure_fma_peak(threads))


if __name__ == "__main__":
    serve(StriatePeer)
