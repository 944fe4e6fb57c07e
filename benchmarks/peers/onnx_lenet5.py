"""LeNet-5 in a runtime of ONNX files: inference only."""

from pathlib import Path

import numpy as np
from onnx_runtimes import Load, Predict
from worker import median_seconds


class OnnxPeer:
    """Reads the file that PyTorch's peer has exported by the time of the first call."""

    def __init__(self, load: Load, versions: dict[str, str]):
        self.open, self.names = load, versions

    def versions(self) -> dict[str, str]:
        return self.names

    def load(self, folder: str, threads: int) -> None:
        self.path, self.threads = str(Path(folder, "lenet5.onnx")), threads
        images = np.load(Path(folder, "images.npy"))
        self.images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        self.predictors: dict[tuple[str, int], Predict] = {}

    def outputs(self, path: str, images: int, steps: int) -> None:
        """Probabilities [images, 10]."""
        assert steps == 0, "it does not train"
        np.save(path, self.open(self.path, images, self.threads)(self.images[:images]))

    def settings(self, what: str) -> list[str]:
        if what == "train":
            return []
        return [f"threads {n}" for n in sorted({self.threads, max(1, self.threads // 2)})]

    def infer(self, setting: str, batch: int, steps: int) -> float:
        """Seconds a call."""
        key = (setting, batch)
        if key not in self.predictors:
            self.predictors[key] = self.open(self.path, batch, int(setting.split()[1]))
        predict, images = self.predictors[key], self.images[:batch]
        return median_seconds(lambda: predict(images), steps)
