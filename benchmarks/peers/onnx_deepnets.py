"""The networks in a runtime of ONNX files: inference only."""

import time
from pathlib import Path

import numpy as np
from batches import random_batch
from onnx_runtimes import Load, Predict


class OnnxPeer:
    """One network at a time, and of it one batch size and number of threads.

    Reads the file that PyTorch's peer has exported by the time of the first call.
    """

    def __init__(self, load: Load, versions: dict[str, str]):
        self.open, self.names = load, versions

    def versions(self) -> dict[str, str]:
        return self.names

    def load(self, folder: str, threads: int) -> None:
        self.folder, self.threads = Path(folder), threads

    def prepare(
        self, network: str, batch: int, side: int = 224, precision: str = "float32"
    ) -> dict[str, int]:
        """precision: is striate's."""
        self.path = str(self.folder / f"{network}.onnx")
        images, _ = random_batch(network, batch, side)
        self.x = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        self.ready: tuple[int, int] | None = None
        self.predict: Predict | None = None
        return {}

    def forget(self) -> None:
        self.predict = self.ready = None

    def _predictor(self, batch: int, threads: int) -> Predict:
        if self.ready != (batch, threads) or self.predict is None:
            self.predict = None  # gives its memory back before the next one is made
            self.predict, self.ready = self.open(self.path, batch, threads), (batch, threads)
            self.predict(self.x[:batch])
        return self.predict

    def outputs(self, path: str, batch: int) -> None:
        """Probabilities [batch, classes]."""
        np.save(path, self._predictor(batch, self.threads)(self.x[:batch]))

    def settings(self, what: str, compiled: bool = False) -> list[str]:
        return [] if what == "train" else ["latency"]

    def infer(self, setting: str, threads: int, batch: int, steps: int) -> float:
        """Seconds a step."""
        predict, x = self._predictor(batch, threads), self.x[:batch]
        start = time.perf_counter()
        for _ in range(steps):
            predict(x)
        return (time.perf_counter() - start) / steps
