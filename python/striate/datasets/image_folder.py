"""A folder of images, one subfolder a class."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate import _core

from ..augment.arguments import one_of
from ..augment.loader import Fetched, Loader, Samples, Source
from ..augment.pipeline import Pipeline
from ..augment.resize import Resize
from ..augment.transform import Draw, Transform
from ..errors import ArgumentError, CorruptImageError, FormatError, ShapeError, warn_once
from ..identity import text_identity
from ..utils import to_categorical
from ._decode import CHANNELS, EXTENSIONS, MAX_PIXELS, Bytes, decode_image

__all__ = ["ImageFolder"]

_CHUNK = 64  # images that a thread decodes at a time when all are loaded
_NAMED = 10  # skipped files that a warning names


class ImageFolder:
    """Images in `root/CLASS/.../FILE`; classes are numbered in the order of their names.

    Attributes:
        root: the folder.
        classes: the classes' names; a label is a place in this list.
        paths: the files, class by class, sorted by name.
        labels: int64 [N], the class of each.
        skipped: with on_error="skip", the files that could not be read so far, and why.

    Args:
        root: the folder; subfolders whose names begin with a dot do not count.
        image_size: (height, width) of all images; one number, the shorter side; None, as they are.
        fit: how an image becomes (height, width): "stretch", "crop" or "pad", see augment.Resize.
        interpolation: see augment.Resize.
        color_mode: "rgb", "grayscale" or "rgba". How other kinds are converted, and which formats
            are read: see datasets/_decode.py; EXIF orientation is not followed.
        class_names: the classes to take, in this order; by default all there are.
        on_error: what a file that cannot be read leads to: "raise", an error that names it; "skip",
            a batch without it, and one warning that counts and names what was skipped.
        max_pixels: a larger image counts as one that cannot be read.
        follow_links: go into folders that are symbolic links.

    Raises:
        FormatError: no such folder, no class in it, or a class without an image.
        ArgumentError: an argument out of its domain, or a class that is not there.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        image_size: int | Sequence[int] | None = None,
        fit: str = "stretch",
        interpolation: str = "bilinear",
        color_mode: str = "rgb",
        class_names: Sequence[str] | None = None,
        on_error: str = "raise",
        max_pixels: int = MAX_PIXELS,
        follow_links: bool = False,
    ) -> None:
        self._set(
            root,
            image_size=image_size,
            fit=fit,
            interpolation=interpolation,
            color_mode=color_mode,
            on_error=on_error,
            max_pixels=max_pixels,
        )
        self.classes = _classes(self.root, class_names)
        found = [_image_files(self.root / name, follow_links) for name in self.classes]
        empty = [name for name, files in zip(self.classes, found, strict=True) if not files]
        if empty:
            raise FormatError(
                f"{self.root}: no image in {_listed(empty)}: a class is a folder with files of the "
                f"kinds {', '.join(sorted(EXTENSIONS))}; class_names= takes some classes only"
            )
        self.paths = [path for files in found for path in files]
        self.labels = np.repeat(np.arange(len(found)), [len(files) for files in found])

    def _set(
        self,
        root: str | os.PathLike[str],
        *,
        image_size: int | Sequence[int] | None = None,
        fit: str = "stretch",
        interpolation: str = "bilinear",
        color_mode: str = "rgb",
        on_error: str = "raise",
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        one_of("ImageFolder", "color_mode", color_mode, tuple(CHANNELS))
        one_of("ImageFolder", "on_error", on_error, ("raise", "skip"))
        self.root = Path(root).expanduser()
        self.color_mode = color_mode
        self.on_error = on_error
        self.max_pixels = max_pixels
        self.skipped: dict[Path, str] = {}
        self._resize = None if image_size is None else Resize(image_size, fit, interpolation)

    @classmethod
    def of_files(
        cls, root: str | os.PathLike[str], follow_links: bool = False, **options: Any
    ) -> ImageFolder:
        """All images below `root`, whatever folder they are in, as one class named "".

        Raises:
            FormatError: there is none.
        """
        folder = object.__new__(cls)
        folder._set(root, **options)
        folder.classes = [""]
        folder.paths = _image_files(folder.root, follow_links)
        folder.labels = np.zeros(len(folder.paths), np.int64)
        if not folder.paths:
            raise FormatError(f"{root}: no image in it, or no such folder")
        return folder

    def __repr__(self) -> str:
        return f"ImageFolder({str(self.root)!r}: {len(self)} images of {len(self.classes)} classes)"

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, samples: Iterable[int] | NDArray[Any]) -> ImageFolder:
        """The images of these numbers, with all the classes; its own images count from 0."""
        chosen = np.asarray(list(samples), np.int64)
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.paths = [self.paths[i] for i in chosen]
        other.labels = self.labels[chosen]
        other.skipped = {}
        return other

    def with_classes(self, classes: Sequence[str]) -> ImageFolder:
        """The same images with the numbers that their classes' names have in this list.

        Raises:
            ArgumentError: the list lacks some of this folder's classes.
        """
        places = {name: place for place, name in enumerate(classes)}
        missing = [name for name in self.classes if name not in places]
        if missing:
            raise ArgumentError(
                f"{self.root}: has {_listed(missing)}, which {'is' if len(missing) == 1 else 'are'}"
                f" none of the {len(classes)} classes {_listed(list(classes))}"
            )
        other = self.subset(range(len(self)))
        own = np.array([places[name] for name in self.classes], np.int64)
        other.labels = own[self.labels]
        other.classes = list(classes)
        return other

    def identity(self) -> dict[str, Any]:
        """What a resumed run compares: how many images each class has, and a checksum of names."""
        counts = np.bincount(self.labels, minlength=len(self.classes))
        root = os.path.join(self.root, "")
        names = [os.fspath(path).removeprefix(root) for path in self.paths]
        return {
            "images": dict(zip(self.classes, counts.tolist(), strict=True)),
            "file_names": text_identity(names),
            "color_mode": self.color_mode,
            "resize": repr(self._resize),
        }

    def image(self, index: int) -> Bytes:
        """Image `index`, uint8 [H, W, C].

        Raises:
            CorruptImageError: it cannot be read, whatever on_error says.
        """
        pixels = decode_image(self.paths[index], self.color_mode, self.max_pixels)
        if self._resize is None:
            return pixels
        draw = Draw(0, 0, np.zeros(1, np.int64))
        resized: Bytes = self._resize.images(pixels[None], draw)[0]
        return resized

    def fetch(self, samples: Samples) -> tuple[Samples, list[Bytes]]:
        """(numbers, images) of those samples that can be read, see on_error."""
        read, images = [], []
        for sample in samples.tolist():
            try:
                images.append(self.image(sample))
                read.append(sample)
            except CorruptImageError as error:
                if self.on_error == "raise":
                    raise
                self.skipped[self.paths[sample]] = str(error)
        return np.array(read, np.int64), images

    def load(self, workers: int | None = None) -> tuple[Bytes, NDArray[np.int64]]:
        """All images in memory: x uint8 [N, H, W, C] and y int64 [N]; for small sets.

        Args:
            workers: threads that decode; by default as many as striate computes with.

        Raises:
            ShapeError: images differ in size; the message names two of them.
            CorruptImageError: see on_error; also if no image at all can be read.
        """
        chunks = [
            np.arange(start, min(start + _CHUNK, len(self)))
            for start in range(0, len(self), _CHUNK)
        ]
        with ThreadPoolExecutor(workers or _core.num_threads(), "striate-images") as executor:
            parts = list(executor.map(self.fetch, chunks))
        self.warn_skipped()
        samples = np.concatenate([read for read, _ in parts])
        images = [image for _, part in parts for image in part]
        if not images:
            raise CorruptImageError(f"{self.root}: none of {len(self)} images can be read")
        for sample, image in zip(samples, images, strict=True):
            if image.shape != images[0].shape:
                raise ShapeError(
                    f"images differ in size: {self.paths[samples[0]]} is {images[0].shape}, "
                    f"{self.paths[sample]} is {image.shape}: give ImageFolder an "
                    "image_size=(height, width)"
                )
        return np.stack(images), self.labels[samples]

    def loader(
        self,
        pipeline: Pipeline | Transform | Sequence[Transform] | None = None,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        workers: int | None = None,
        drop_remainder: bool = False,
        label_mode: str | None = "int",
    ) -> Loader:
        """Batches for `fit`, decoded and augmented by threads ahead of the training step.

        Args:
            pipeline: what images go through; it has to bring them to one size if they are not.
            label_mode: "int", class numbers; "categorical", one-hot; "binary", float32 [N, 1];
                None, no labels.
            batch_size, shuffle, seed, workers, drop_remainder: see augment.Loader.
        """
        source = FolderSource(self, label_mode)
        return Loader(source, pipeline, batch_size, shuffle, seed, workers, drop_remainder)

    def warn_skipped(self) -> None:
        """Warns of what was skipped so far: how many, which and why."""
        if not self.skipped:
            return
        reasons = [self.skipped[path] for path in sorted(self.skipped)]
        more = f"\n  and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
        warn_once(
            f"{self.root}: skipped {len(reasons)} of {len(self)} images, which cannot be read:\n  "
            + "\n  ".join(reasons[:_NAMED])
            + more
        )


class FolderSource(Source):
    """The samples of an ImageFolder, with labels in the form asked for."""

    def __init__(self, folder: ImageFolder, label_mode: str | None) -> None:
        self._folder = folder
        self._label = _label_form(label_mode, len(folder.classes))

    def __len__(self) -> int:
        return len(self._folder)

    def fetch(self, samples: Samples) -> Fetched:
        """See Source."""
        read, images = self._folder.fetch(samples)
        return Fetched(read, images, self._label(self._folder.labels[read]))

    def end_of_epoch(self) -> None:
        """See Source."""
        self._folder.warn_skipped()

    def identity(self) -> dict[str, Any]:
        """See Source."""
        return self._folder.identity()


def _label_form(mode: str | None, classes: int) -> Callable[[NDArray[np.int64]], Any]:
    if mode == "int":
        return lambda labels: labels
    if mode == "categorical":
        return lambda labels: to_categorical(labels, classes)
    if mode == "binary":
        if classes != 2:
            raise ArgumentError(f'label_mode="binary" is for 2 classes, there are {classes}')
        return lambda labels: labels.astype(np.float32)[:, None]
    if mode is None:
        return lambda labels: None
    raise ArgumentError(f'label_mode is "int", "categorical", "binary" or None, got {mode!r}')


def _classes(root: Path, wanted: Sequence[str] | None) -> list[str]:
    """The subfolders that are classes."""
    try:
        with os.scandir(root) as entries:
            there = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise FormatError(f"{root}: cannot be read: {error.strerror or error}") from None
    if wanted is not None:
        missing = [name for name in wanted if name not in there]
        if missing or len(set(wanted)) != len(wanted) or not wanted:
            raise ArgumentError(
                f"class_names must name folders of {root}, each once; there are {_listed(there)}"
                + (f", but not {_listed(missing)}" if missing else "")
            )
        return list(wanted)
    if not there:
        raise FormatError(
            f"{root}: no class: images are expected in {root}/CLASS, a folder a class, and there "
            "is no folder"
        )
    return there


def _image_files(folder: Path, follow_links: bool) -> list[Path]:
    """The image files in a folder and below it, sorted by path; names with a dot first are none."""
    seen: set[str] = set()
    found: list[Path] = []
    for where, folders, files in os.walk(folder, followlinks=follow_links):
        real = os.path.realpath(where)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(where, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS
        ]
    return sorted(found)


def _listed(names: Sequence[str], most: int = 10) -> str:
    """The names, or the first of them, for a message."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "none"
