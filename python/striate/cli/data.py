"""Which images a command works on: a data set by its name, or a folder of images."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate import _core
from striate.augment import AugmentedArrays, Loader, Pipeline, Transform
from striate.datasets import ImageFolder
from striate.errors import ArgumentError, DatasetNotFound
from striate.identity import array_identity

NAMED = ("mnist", "fashion_mnist", "kmnist", "digits", "cifar10", "cifar100")
HELD_OUT_FOLDERS = ("val", "validation", "valid", "test")
DEFAULT_SPLIT = 0.1  # of a folder of classes without a folder for validation
_STATISTICS = 2000  # image files that the channels' mean and deviation are taken from

_GET_MNIST = (
    "put its four files (train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
    "t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz) into a folder DIR and add --data DIR; "
    "with a network connection they are downloaded"
)


class Arrays:
    """Images in memory, [N, H, W, C] uint8, and their labels, int64 [N]."""

    def __init__(self, x: NDArray[np.uint8], y: NDArray[Any]) -> None:
        self.x = x[..., None] if x.ndim == 3 else x
        self.y = y.astype(np.int64)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 [N]."""
        return self.y

    def loader(
        self,
        pipeline: Sequence[Transform],
        batch_size: int,
        shuffle: bool,
        workers: int | None = None,
    ) -> Loader:
        """Batches, through the pipeline."""
        return AugmentedArrays(
            self.x, self.y, pipeline, batch_size, shuffle=shuffle, workers=workers
        )

    def identity(self) -> dict[str, Any]:
        """What a resumed run compares."""
        return {"images": len(self), "pixels": array_identity(self.x),
                "labels": array_identity(self.y)}  # fmt: skip

    def statistics(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation of each channel, of pixels 0 to 1."""
        return _statistics([self.x])

    def sample(self, count: int, pipeline: Sequence[Transform]) -> NDArray[Any]:
        """At most so many of the images, from all over, through the pipeline."""
        images: NDArray[Any] = Pipeline(pipeline)(self.x[some(len(self), count)])
        return images


class Files:
    """Images in files."""

    def __init__(self, folder: ImageFolder) -> None:
        self.folder = folder

    def __len__(self) -> int:
        return len(self.folder)

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 [N]."""
        return self.folder.labels

    def loader(
        self,
        pipeline: Sequence[Transform],
        batch_size: int,
        shuffle: bool,
        workers: int | None = None,
    ) -> Loader:
        """Batches, through the pipeline."""
        return self.folder.loader(pipeline, batch_size, shuffle=shuffle, workers=workers)

    def identity(self) -> dict[str, Any]:
        """What a resumed run compares."""
        return self.folder.identity()

    def statistics(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation of each channel, of pixels 0 to 1, from at most 2000 of the files."""
        chosen = self.folder.subset(some(len(self), _STATISTICS))
        _, images = chosen.fetch(np.arange(len(chosen), dtype=np.int64))
        return _statistics(images)

    def sample(self, count: int, pipeline: Sequence[Transform]) -> NDArray[Any]:
        """At most so many of the images, from all over, through the pipeline."""
        chosen = self.folder.subset(some(len(self), count))
        _, images = chosen.fetch(np.arange(len(chosen), dtype=np.int64))
        through = Pipeline(pipeline)
        return np.concatenate([through(image[None]) for image in images])


Part = Arrays | Files


@dataclass(frozen=True)
class Data:
    """Images to train on and images to test on.

    Attributes:
        note: set where they stand in for MNIST.
        held_out: the share of a folder's images that were kept from training, if they were.
    """

    name: str
    classes: list[str]
    train: Part
    test: Part
    note: str = ""
    held_out: float | None = None

    def identity(self) -> dict[str, Any]:
        """JSON-able values that tell these images from others."""
        return {
            "name": self.name,
            "classes": self.classes,
            "training images": self.train.identity(),
            "test images": self.test.identity(),
        }


def load_named(dataset: str, data: Path | None, limit: int | None = None) -> Data:
    """The data set named, from the folder `data` if given, cut to the first `limit` of each part.

    "auto" is MNIST if it is on this machine or can be downloaded, else the built-in digits. A
    folder that was named must hold it: DatasetNotFound if it does not.
    """
    note = ""
    if dataset == "auto":
        try:
            parts, dataset = _load("mnist", data, limit), "mnist"
        except DatasetNotFound:
            if data is not None:
                raise
            parts, dataset = _load("digits", None, limit), "digits"
            note = f"MNIST was not found: these are the built-in digits. For MNIST, {_GET_MNIST}."
    else:
        parts = _load(dataset, data, limit)
    train, test = (Arrays(x[:limit], y[:limit]) for x, y in parts)
    module = importlib.import_module(f"striate.datasets.{dataset}")
    classes = getattr(module, "CLASSES", [str(digit) for digit in range(10)])
    return Data(dataset, list(classes), train, test, note)


def _load(name: str, data: Path | None, limit: int | None) -> Any:
    """striate.datasets.<name>.load_data; the built-in digits have no folder, and are drawn anew."""
    module = importlib.import_module(f"striate.datasets.{name}")
    if name != "digits":
        return module.load_data(path=data)
    if limit is None:
        return module.load_data()
    return module.load_data(train=limit, test=limit)


def is_folder(dataset: str) -> bool:
    """Whether this is no data set's name, but a folder's.

    Raises:
        ArgumentError: it is neither.
    """
    if dataset in ("auto", *NAMED):
        return False
    if not Path(dataset).is_dir():
        raise ArgumentError(
            f"--dataset {dataset}: no data set has that name, and no folder either; there are "
            f"auto, {', '.join(NAMED)}"
        )
    return True


def load_folder(
    root: Path,
    *,
    color_mode: str = "rgb",
    on_error: str = "raise",
    validation_split: float | None = None,
    limit: int | None = None,
    in_memory: int | None = None,
) -> Data:
    """Images as root/train/CLASS/FILE and root/val/CLASS/FILE, or all as root/CLASS/FILE.

    The folder with the test images may be called val, validation, valid or test. Where there is
    none, `validation_split` of each class, chosen once and for all, is kept from training.

    in_memory: read them all at once, as squares of so many pixels.

    Raises:
        FormatError: no class, or a class without images.
        ArgumentError: a class that training has not, or a split that leaves a part empty.
    """
    options: dict[str, Any] = {"color_mode": color_mode, "on_error": on_error}
    if in_memory is not None:
        options |= {"image_size": (in_memory, in_memory), "fit": "crop"}
    held_out, fraction = held_out_folder(root), None
    if (root / "train").is_dir() and held_out is not None:
        if validation_split is not None:
            raise ArgumentError(
                f"--validation-split: {root} has images for validation in {held_out.name}/"
            )
        train = ImageFolder(root / "train", **options)
        test = ImageFolder(held_out, **options).with_classes(train.classes)
    else:
        inner = root / "train" if (root / "train").is_dir() else root
        whole = ImageFolder(inner, **options)
        fraction = validation_split or DEFAULT_SPLIT
        kept = split_by_class(whole.labels, fraction, str(root))
        train, test = whole.subset(np.flatnonzero(~kept)), whole.subset(np.flatnonzero(kept))
    if limit is not None:
        train, test = (part.subset(some(len(part), limit)) for part in (train, test))
    if in_memory is not None:
        one, other = Arrays(*train.load()), Arrays(*test.load())
        return Data(str(root), train.classes, one, other, held_out=fraction)
    return Data(str(root), train.classes, Files(train), Files(test), held_out=fraction)


def held_out_folder(root: Path) -> Path | None:
    """The folder in `root` with images to test on, of several classes; None if there is none."""
    for name in HELD_OUT_FOLDERS:
        folder = root / name  # or a class of that name
        if folder.is_dir() and any(inner.is_dir() for inner in folder.iterdir()):
            return folder
    return None


def split_by_class(labels: NDArray[np.int64], fraction: float, owner: str) -> NDArray[np.bool_]:
    """Which samples are kept from training: the fraction of each class, at least one of each.

    Always the same ones, whatever the run's seed, so that runs can be compared.

    Raises:
        ArgumentError: a class has too few images to give and to keep one.
    """
    kept = np.zeros(len(labels), bool)
    for label in range(int(labels.max()) + 1):
        own = np.flatnonzero(labels == label)
        count = max(1, round(fraction * len(own)))
        if len(own) and count >= len(own):
            raise ArgumentError(
                f"{owner}: a class has {len(own)} images, too few for training and for "
                f"validation with --validation-split {fraction:g}"
            )
        kept[own[_core.shuffled(len(own), 0, label)[:count]]] = len(own) > 0
    return kept


def some(count: int, most: int) -> NDArray[np.int64]:
    """The numbers of at most `most` of `count` samples, of all classes alike, in order."""
    return np.sort(_core.shuffled(count, 0, 0)[:most])


def _statistics(images: Sequence[NDArray[Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of images [.., C], of any sizes. Integer sums, so the same on every machine."""
    count = 0
    total: Any = 0
    squares: Any = 0
    for image in images:
        pixels = image.reshape(-1, image.shape[-1])
        for part in range(0, len(pixels), 1 << 20):
            values = pixels[part : part + (1 << 20)].astype(np.int64)
            count += len(values)
            total = total + values.sum(axis=0)
            squares = squares + (values * values).sum(axis=0)
    mean = total / count
    variance = squares / count - mean**2
    # Of images that are all of one colour, nothing is to be divided.
    deviation = np.sqrt(np.maximum(variance, 1.0))
    return np.asarray(mean / 255), np.asarray(deviation / 255)
