"""CifarNet on CIFAR-10 by its recipe, as `striate train` has it, without tests between epochs."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import striate
from striate import _core, recipes, utils
from striate.callbacks import Callback
from striate.cli.crops import views
from striate.cli.data import Arrays, load_named
from striate.cli.heads import compile_arguments
from striate.cli.networks import NETWORKS, build_network, first_layer
from striate.cli.scores import score
from worker import serve

SAMPLE = 5000  # images that the first layer is made of
TEST_BATCH = 64


class EpochTimes(Callback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self._start)


class StriatePeer:
    def versions(self) -> dict[str, str]:
        return {"striate": striate.__version__, "isa": _core.isa(), "compiler": _core.compiler()}

    def load(self, folder: str, threads: int) -> None:
        _core.set_num_threads(threads)

    def train(
        self, data: str | None, recipe: str, seed: int, epochs: int | None, held_out: int
    ) -> dict[str, Any]:
        """From the image files to a trained model.

        held_out: images of each class that are tested on in the test images' place.
        """
        self.recipe = recipes.find(recipe, "cifarnet")
        epochs = epochs or self.recipe.epochs
        begun = time.perf_counter()
        self._read(Path(data) if data else None, held_out)
        loaded = time.perf_counter()
        size = self.train_images.x.shape[1:3]
        utils.set_random_seed(seed)
        first = first_layer(self.recipe.inputs, *self.train_images.statistics())
        network = NETWORKS["cifarnet"]
        model = build_network(network, self.train_images.x.shape[1:], 10, {}, first)
        assert network.begin is not None
        network.begin(model, self.train_images.sample(SAMPLE, views(size, size[0], 1, "none")))
        batch = self.recipe.batch_size
        optimizer = self.recipe.make_optimizer(
            None, batch, -(-len(self.train_images) // batch), epochs
        )
        model.compile(optimizer=optimizer, **compile_arguments(model, self.recipe.loss))
        times = EpochTimes()
        loader = self.train_images.loader(self.recipe.transforms(size), batch, True)
        history = model.fit(loader, epochs=epochs, verbose=0, callbacks=[times]).history
        self.model = model
        return {
            "epochs": epochs, "batch": batch, "recipe": self.recipe.name,
            "images": len(self.train_images), "test_images": len(self.test_images),
            "parameters": sum(weight.size for weight in model.trainable_weights),
            "load_seconds": loaded - begun, "epoch_seconds": times.seconds,
            "train_loss": history["loss"][-1],
        }  # fmt: skip

    def _read(self, data: Path | None, held_out: int) -> None:
        found = load_named("cifar10", data)
        assert isinstance(found.train, Arrays) and isinstance(found.test, Arrays)
        self.train_images, self.test_images = found.train, found.test
        if not held_out:
            return
        x, y = found.train.x, found.train.y
        kept = np.zeros(len(y), bool)
        for label in range(10):
            kept[np.flatnonzero(y == label)[-held_out:]] = True
        self.train_images, self.test_images = Arrays(x[~kept], y[~kept]), Arrays(x[kept], y[kept])

    def evaluate(self, crops: int) -> dict[str, float]:
        """Accuracy with so many views of each image, and the seconds that took."""
        start = time.perf_counter()
        size = self.train_images.x.shape[1:3]
        steps = views(size, size[0], crops, "none")
        scores = score(self.model, self.test_images.loader(steps, TEST_BATCH, False), crops)
        return {
            "accuracy": scores.right(1) / len(scores.true),
            "seconds": time.perf_counter() - start,
        }

    def save_images(self, path: str) -> None:
        """The training and test images, for the other peers."""
        x, y, tests = self.train_images.x, self.train_images.y, self.test_images
        np.savez(path, x=x, y=y, x_test=tests.x, y_test=tests.y)


if __name__ == "__main__":
    serve(StriatePeer)
