"""One run of `striate train`, from its settings to what it leaves in its folder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from striate import _core, recipes
from striate.augment import RandomResizedCrop, Resize
from striate.augment.transform import Transform
from striate.callbacks import BackupAndRestore, Callback, CSVLogger, SwapEMAWeights
from striate.callbacks.callback import Logs
from striate.cli import inputs
from striate.cli.crops import views
from striate.cli.data import Arrays, Data, Files, is_folder, load_folder, load_named
from striate.cli.evaluate import with_progress
from striate.cli.heads import compile_arguments, for_outputs
from striate.cli.networks import build_network, find_network, first_layer
from striate.cli.pictures import draw_pictures
from striate.cli.run_folder import RunFolder
from striate.cli.scores import Scores, class_report
from striate.cli.settings import Begun, Settings, Where, check_data, check_recipe
from striate.errors import ShapeError
from striate.models import Model, checkpoint
from striate.utils import set_random_seed

_SAMPLE = 5000  # images that a network's beginning is made of
_LONG = 30  # layers that are not listed one by one unless asked for
_PIXEL_INPUTS = ("scaled", "statistics", "imagenet")


class Stopwatch(Callback):
    """Seconds of training, those of the run before it was resumed among them."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since = 0.0

    def get_state(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.seconds = state["seconds"]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._since = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        now = time.perf_counter()
        self.seconds += now - self._since
        self._since = now


class Job:
    """A run: `prepare` loads the images and builds the network, `run` does the rest.

    Args:
        settings: what is trained, how, on what.
        where: the images lie.
        folder, begun: of a run that is resumed.
    """

    def __init__(
        self,
        settings: Settings,
        where: Where,
        folder: RunFolder | None = None,
        begun: Begun | None = None,
    ) -> None:
        self.settings = settings
        self.where = where
        self.folder = folder
        self.begun = begun
        self.network = find_network(settings.network)
        self.recipe = recipes.find(settings.recipe)
        self.data: Data
        self.model: Model
        self.size: tuple[int, int]

    def prepare(self) -> None:
        """Loads the images and builds the network.

        Raises:
            ArgumentError, FormatError, DatasetNotFound: the images are none, or do not suit the
                network, or a resumed run had others.
        """
        settings = self.settings
        self.data = self._load()
        if not is_folder(settings.dataset):
            self.settings = replace(settings, dataset=self.data.name)
        train = self.data.train
        side = settings.image_size
        if side is not None:
            self.size = side, side
        elif isinstance(train, Arrays):
            self.size = train.x.shape[1], train.x.shape[2]
        else:
            self.size = self.network.side, self.network.side
        if self.begun is not None and self.folder is not None:
            check_recipe(self.begun, self.recipe.settings(self.size), self.folder)
            check_data(self.begun, self.data.identity(), self.folder)
        set_random_seed(settings.seed)
        self.model = self._build()
        if self.data.note:
            click.echo(self.data.note + "\n")

    def begin(self, runs: Path, name: str | None) -> None:
        """Makes the run's folder, unless it is resumed."""
        if self.folder is not None:
            return
        settings = self.settings
        named = Path(settings.dataset).resolve().name or "images"
        default = f"{settings.network}-{named}-{settings.seed}"
        self.folder = RunFolder.make(runs, default if name is None else name, numbered=name is None)
        begun = Begun(settings, self.where, self.recipe.settings(self.size), self.data.identity())
        self.folder.write_run(begun.as_json())

    def run(self, verbose: bool) -> None:
        """Trains, measures, and writes everything into the folder."""
        assert self.folder is not None
        self._introduce(verbose)
        stopwatch, history = self._fit(self.folder)
        self.model.save(self.folder.model)
        scores = with_progress(self.model, self._test_loader())
        result = self._result(scores, stopwatch.seconds)
        result["test_loss"] = history["val_loss"][-1]
        click.echo(
            f"\ntest accuracy {100 * result['accuracy']:.2f} % "
            f"({len(scores.true) - scores.right(1):,} of {len(scores.true):,} wrong), trained in "
            f"{result['seconds']:.1f} s: {result['images_per_second']:,.0f} images/s\n"
        )
        tops = [1, 5] if scores.classes >= 20 else [1]
        click.echo(class_report(scores, self.data.classes, tops))
        written = draw_pictures(
            self.folder.path, self.model, history, scores, self.data, self._mode
        )
        self.folder.write_result(result)
        checkpoint.remove_all(self.folder.checkpoints)
        click.echo(f"\n{self.folder.path}: {', '.join(['model, history, result', *written])}")
        if self.data.note:
            click.echo("\n" + self.data.note)

    # Data

    def _load(self) -> Data:
        settings, where = self.settings, self.where
        if not is_folder(settings.dataset):
            return load_named(settings.dataset, where.data, settings.limit)
        gray = settings.color == "grayscale" or (
            settings.color is None and self.network.channels == 1
        )
        data = load_folder(
            Path(settings.dataset),
            color_mode="grayscale" if gray else "rgb",
            on_error=where.on_error,
            validation_split=settings.validation_split,
            limit=settings.limit,
            # A network that learns a sample at a time has no time to wait for files.
            in_memory=self.network.side if self.network.fixed else None,
        )
        return data

    @property
    def _mode(self) -> str:
        """What is done to pixels before they go into the network; see inputs.prepare."""
        return "none" if self.recipe.inputs in _PIXEL_INPUTS else self.recipe.inputs

    def _training_data(self) -> Any:
        """What `fit` takes: arrays where nothing changes from epoch to epoch, else a loader."""
        train = self.data.train
        transforms = self.recipe.transforms(self.size)
        fits = isinstance(train, Arrays) and train.x.shape[1:3] == self.size
        if isinstance(train, Arrays) and fits and not transforms:
            return inputs.prepare(self._mode, train.x), train.y
        steps: list[Transform] = []
        if not fits and not (transforms and isinstance(transforms[0], RandomResizedCrop)):
            steps.append(Resize(self.size, "crop"))
        steps += transforms
        if self._mode != "none":
            steps.append(inputs.Prepare(self._mode))
        return train.loader(steps, self.settings.batch_size, True, self.where.workers)

    def _test_data(self) -> Any:
        test = self.data.test
        if isinstance(test, Arrays) and test.x.shape[1:3] == self.size:
            return inputs.prepare(self._mode, test.x), test.y
        return self._test_loader()

    def _test_steps(self) -> Sequence[Transform]:
        """What images go through that are not distorted."""
        shorter = self.network.shorter_side(max(self.size))
        if isinstance(self.data.test, Arrays):
            shorter = max(self.size)
        return views(self.size, shorter, 1, self._mode)

    def _test_loader(self) -> Any:
        return self.data.test.loader(self._test_steps(), 64, False, self.where.workers)

    # Network

    def _build(self) -> Model:
        """The network for these images, with what its file is to say of them."""
        data, recipe = self.data, self.recipe
        train = data.train
        if isinstance(train, Arrays):
            channels = train.x.shape[3]
        else:
            channels = 1 if train.folder.color_mode == "grayscale" else 3
        mean = deviation = None
        if recipe.inputs == "statistics":
            mean, deviation = train.statistics()
        published = recipe.inputs if channels == 3 or recipe.inputs != "imagenet" else "scaled"
        first = first_layer(published, mean, deviation)
        shape = (*self.size, channels)
        try:
            model = build_network(
                self.network, shape, len(data.classes), self.settings.options, first
            )
        except ShapeError as error:
            if self.settings.image_size is not None:
                raise
            raise ShapeError(
                f"{error}; --image-size {self.network.side} makes images larger"
            ) from None
        model.metadata = {"classes": data.classes, "dataset": data.name, "inputs": self._mode}
        if isinstance(train, Files):
            model.metadata["shorter_side"] = self.network.shorter_side(max(self.size))
        if self.network.begin is not None:
            self.network.begin(model, train.sample(_SAMPLE, self._test_steps()))
        if data.held_out is not None:
            model.metadata["held_out"] = data.held_out
        return model

    def _fit(self, folder: RunFolder) -> tuple[Stopwatch, dict[str, list[float]]]:
        settings, model = self.settings, self.model
        steps = -(-len(self.data.train) // settings.batch_size)
        optimizer = self.recipe.make_optimizer(
            settings.learning_rate, settings.batch_size, steps, settings.epochs
        )
        model.compile(optimizer=optimizer, **compile_arguments(model, self.recipe.loss))
        stopwatch = Stopwatch()
        callbacks: list[Callback] = [stopwatch, CSVLogger(folder.history)]
        if optimizer.use_ema:
            callbacks.append(SwapEMAWeights())
        callbacks.append(BackupAndRestore(folder.checkpoints, delete_checkpoint=False))
        train = for_outputs(model, self._training_data())
        x, y = train if isinstance(train, tuple) else (train, None)
        try:
            history = model.fit(
                x, y, batch_size=settings.batch_size, epochs=settings.epochs,
                validation_data=for_outputs(model, self._test_data()), callbacks=callbacks,
            ).history  # fmt: skip
        except KeyboardInterrupt:
            click.echo(
                f"\nStopped; the epochs that ended are in {folder.history}, and "
                f"`striate train --resume {folder.path}` goes on after them",
                err=True,
            )
            raise
        return stopwatch, history

    # Words

    def _introduce(self, verbose: bool) -> None:
        model = self.model
        if len(model.layers) <= _LONG or verbose:
            model.summary(print_fn=click.echo, connections=True)
        else:
            click.echo(
                f"{model.name}: {model.count_params():,} parameters, images of "
                f"{' x '.join(map(str, model.sample_shape))}, {len(self.data.classes)} classes; "
                "--verbose lists the layers"
            )
        if self.begun is not None and self.folder is not None:
            click.echo(f"Going on with {self.folder.path}")
        if verbose:
            click.echo(self._setup())

    def _setup(self) -> str:
        """The run in words."""
        settings, data = self.settings, self.data
        rate = settings.learning_rate or self.recipe.highest_rate(settings.batch_size)
        changes = self.recipe.transforms(self.size)
        return (
            f"{self.recipe.title}\n"
            f"{len(data.train):,} training and {len(data.test):,} test images of {data.name}, "
            f"{len(data.classes)} classes; {settings.epochs} epochs, batches of "
            f"{settings.batch_size}, learning rate up to {rate:g}, seed {settings.seed}\n"
            + (f"augmentation: {', '.join(map(repr, changes))}\n" if changes else "")
            + f"striate {_core.__version__}, {_core.isa()}, {_core.num_threads()} threads "
            f"({_core.thread_reason()})\n"
        )

    def _result(self, scores: Scores, seconds: float) -> dict[str, Any]:
        """result.json's keys; seconds are those of training, its epochs' tests included."""
        settings = self.settings
        result = {
            "network": settings.network,
            "dataset": settings.dataset,
            "recipe": settings.recipe,
            "seed": settings.seed,
            "epochs": settings.epochs,
            "batch_size": settings.batch_size,
            "parameters": self.model.count_params(),
            "accuracy": scores.right(1) / len(scores.true),
            "seconds": round(seconds, 3),
            "images_per_second": round(
                settings.epochs * len(self.data.train) / max(seconds, 1e-9), 1
            ),
            "isa": _core.isa(),
            "threads": _core.num_threads(),
            "version": _core.__version__,
        }
        if scores.classes >= 20:
            result["top_5_accuracy"] = scores.right(5) / len(scores.true)
        return result
