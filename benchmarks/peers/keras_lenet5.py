"""LeNet-5 in Keras 3, on the back end that KERAS_BACKEND names, else on the fastest there is."""

import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from worker import median_seconds, serve  # noqa: E402

# Fastest first, for this network on a CPU (TensorFlow 2.21 before JAX at every batch size).
BACKENDS = ("tensorflow", "jax", "torch")
if "KERAS_BACKEND" not in os.environ:
    found = [name for name in BACKENDS if importlib.util.find_spec(name)]
    os.environ["KERAS_BACKEND"] = found[0] if found else BACKENDS[0]
import keras  # noqa: E402
from keras import layers  # noqa: E402

TRAINING = {  # setting: (method, jit_compile, steps_per_execution)
    "fit": ("fit", False, 1),
    "fit, 32 steps an execution": ("fit", False, 32),
    "fit, jit, 32 steps an execution": ("fit", True, 32),
    "train_on_batch": ("train_on_batch", False, 1),
    "train_on_batch, jit": ("train_on_batch", True, 1),
}
INFERENCE = ("predict_on_batch", "model(x)")


def lenet5() -> keras.Sequential:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="relu"),
            layers.MaxPool2D(2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPool2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(10),
        ]
    )


def trainable(jit_compile: bool, steps_per_execution: int) -> keras.Sequential:
    model = lenet5()
    model.compile(
        optimizer=keras.optimizers.SGD(0.01, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )
    return model


class KerasPeer:
    def versions(self) -> dict[str, str]:
        backend = keras.backend.backend()
        return {
            "keras": keras.__version__,
            backend: importlib.import_module(backend).__version__,
        }

    def load(self, folder: str, threads: int) -> None:
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            tf.config.threading.set_intra_op_parallelism_threads(threads)
        self.images = np.load(Path(folder, "images.npy"))
        self.labels = np.load(Path(folder, "labels.npy"))
        self.models: dict[tuple[str, int], Any] = {}
        self.predictors: dict[str, Callable[[], Any]] = {}

    def training_settings(self) -> list[str]:
        return list(TRAINING)

    def train(self, setting: str, batch: int, images: int) -> float:
        key = (setting, batch)
        method, jit_compile, steps = TRAINING[setting]
        if key not in self.models:
            self.models[key] = trainable(jit_compile, steps)
        model, x, y = self.models[key], self.images[:images], self.labels[:images]
        start = time.perf_counter()
        if method == "fit":
            model.fit(x, y, batch_size=batch, epochs=1, verbose=0)
        else:
            order = np.random.permutation(images)
            for begin in range(0, images, batch):
                rows = order[begin : begin + batch]
                model.train_on_batch(x[rows], y[rows])
        return time.perf_counter() - start

    def inference_settings(self) -> list[str]:
        return list(INFERENCE)

    def infer(self, setting: str, calls: int) -> float:
        if setting not in self.predictors:
            self.predictors[setting] = predictor(setting, self.images[:1].copy())
        return median_seconds(self.predictors[setting], calls)


def predictor(setting: str, image: Any) -> Callable[[], Any]:
    model = lenet5()
    if setting == "model(x)":
        return lambda: np.asarray(model(image, training=False))
    return lambda: model.predict_on_batch(image)


if __name__ == "__main__":
    serve(KerasPeer)
