"""LeNet-5 in Keras 3, on the back end that KERAS_BACKEND names, else on the fastest there is."""

import importlib
import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from worker import median_seconds, serve

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
    "fit, jit": ("fit", True, 1),
    "fit, jit, 32 steps an execution": ("fit", True, 32),
    "train_on_batch": ("train_on_batch", False, 1),
    "train_on_batch, jit": ("train_on_batch", True, 1),
}
INFERENCE = ("predict_on_batch", "predict_on_batch, jit", "model(x)")


def lenet5(jit_compile: bool = False, steps_per_execution: int = 1) -> keras.Sequential:
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="relu"),
            layers.MaxPool2D(2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPool2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.01, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(),
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
        self.weights = list(np.load(Path(folder, "weights.npz")).values())
        self.models: dict[tuple[str, int], Any] = {}
        self.predictors: dict[tuple[str, int], Callable[[], Any]] = {}

    def model(self, jit_compile: bool = False, steps_per_execution: int = 1) -> keras.Sequential:
        model = lenet5(jit_compile, steps_per_execution)
        model.set_weights(self.weights)
        return model

    def outputs(self, path: str, images: int, steps: int) -> None:
        """Probabilities [images, 10] after so many training steps on those images."""
        model, x, y = self.model(), self.images[:images], self.labels[:images]
        for _ in range(steps):
            model.train_on_batch(x, y)
        np.save(path, model.predict_on_batch(x))

    def settings(self, what: str) -> list[str]:
        return list(TRAINING if what == "train" else INFERENCE)

    def train(self, setting: str, batch: int, steps: int) -> float:
        """Seconds a step."""
        key = (setting, batch)
        method, jit_compile, steps_per_execution = TRAINING[setting]
        if key not in self.models:
            self.models[key] = self.model(jit_compile, steps_per_execution)
        model, images = self.models[key], batch * steps
        x, y = self.images[:images], self.labels[:images]
        start = time.perf_counter()
        if method == "fit":
            model.fit(x, y, batch_size=batch, epochs=1, verbose=0)
        else:
            order = np.random.permutation(images)
            for begin in range(0, images, batch):
                rows = order[begin : begin + batch]
                model.train_on_batch(x[rows], y[rows])
        return (time.perf_counter() - start) / steps

    def infer(self, setting: str, batch: int, steps: int) -> float:
        """Seconds a call."""
        key = (setting, batch)
        if key not in self.predictors:
            model = self.model(jit_compile=setting.endswith("jit"))
            self.predictors[key] = predictor(model, setting, self.images[:batch].copy())
        return median_seconds(self.predictors[key], steps)


def predictor(model: keras.Sequential, setting: str, images: Any) -> Callable[[], Any]:
    if setting == "model(x)":
        return lambda: np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))
    return lambda: model.predict_on_batch(images)


if __name__ == "__main__":
    serve(KerasPeer)
