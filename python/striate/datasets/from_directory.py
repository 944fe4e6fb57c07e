"""Keras 3's image_dataset_from_directory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from striate import _core

from ..augment.loader import Loader
from ..errors import ArgumentError
from .image_folder import FolderSource, ImageFolder

__all__ = ["DirectoryDataset", "image_dataset_from_directory"]

_INTERPOLATIONS = {
    "bilinear": "bilinear", "nearest": "nearest", "bicubic": "bicubic", "area": "box",
    "lanczos3": "lanczos3",
}  # fmt: skip


class DirectoryDataset(Loader):
    """Batches of the images of a directory, for `fit`, `evaluate` and `predict`.

    Attributes:
        class_names: the classes, in the order of their numbers.
        file_paths: the files, in the order of the samples' numbers.
    """

    class_names: list[str]
    file_paths: list[str]


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: str | Sequence[int] | None = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int = 32,
    image_size: Sequence[int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    verbose: bool = True,
    *,
    on_error: str = "raise",
    workers: int | None = None,
) -> Any:
    """Batches of the images in `directory/CLASS/FILE`, float32 from 0 to 255, as Keras makes them.

    Args:
        labels: "inferred" from the folders; or class numbers, one a file in the order of the sorted
            paths, folders then meaning nothing; or None.
        label_mode: "int", "categorical" (one-hot), "binary" (float32 [N, 1]), or None.
        class_names: the folders to take, in this order.
        color_mode: "rgb", "grayscale" or "rgba".
        batch_size: Keras's None, single samples, is not offered.
        image_size: (height, width); what is reduced is antialiased, unlike in Keras.
        shuffle: in another order each epoch.
        seed: of the order; None: the model's. validation_split with shuffle needs one.
        validation_split: the fraction kept for validation, after one shuffle by `seed`.
        subset: "training", "validation", or "both" for a pair.
        interpolation: "bilinear", "nearest", "bicubic", "area" or "lanczos3".
        follow_links: go into folders that are symbolic links.
        crop_to_aspect_ratio: cut the largest rectangle of image_size's proportions, not stretch.
        pad_to_aspect_ratio: add black on two sides, not stretch.
        data_format: None or "channels_last".
        verbose: print how many files were found.
        on_error, workers: see ImageFolder and augment.Loader.

    Returns:
        A DirectoryDataset, or for subset="both" a pair (training, validation).

    Raises:
        ArgumentError: an argument out of its domain.
        FormatError: as ImageFolder does.
    """
    name = "image_dataset_from_directory"
    if interpolation not in _INTERPOLATIONS:
        raise ArgumentError(
            f"{name}: interpolation is one of {', '.join(_INTERPOLATIONS)}, got {interpolation!r}"
        )
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ArgumentError(f"{name}: either crop_to_aspect_ratio or pad_to_aspect_ratio")
    if data_format not in (None, "channels_last"):
        raise ArgumentError(f"{name}: images are channels_last here, got {data_format!r}")
    if isinstance(image_size, (int, np.integer)) or len(image_size) != 2:
        raise ArgumentError(f"{name}: image_size is (height, width), got {image_size!r}")
    _check_split(name, validation_split, subset, shuffle, seed)
    fit = "crop" if crop_to_aspect_ratio else "pad" if pad_to_aspect_ratio else "stretch"
    options: dict[str, Any] = {
        "image_size": image_size, "fit": fit, "interpolation": _INTERPOLATIONS[interpolation],
        "color_mode": color_mode, "on_error": on_error, "follow_links": follow_links,
    }  # fmt: skip
    if labels is None:
        label_mode = None
    folder = (
        ImageFolder(directory, class_names=class_names, **options)
        if labels == "inferred"
        else _unsorted(name, Path(directory).expanduser(), labels, class_names, options)
    )
    if verbose:
        classes = f" belonging to {len(folder.classes)} classes" if label_mode else ""
        print(f"Found {len(folder)} files{classes}.", flush=True)

    def batches(part: ImageFolder) -> DirectoryDataset:
        source = FolderSource(part, label_mode)
        made = DirectoryDataset(source, None, batch_size, shuffle, seed, workers)
        made.class_names = list(part.classes)
        made.file_paths = [str(path) for path in part.paths]
        return made

    if validation_split is None:
        return batches(folder)
    parts = _split(name, folder, validation_split, seed if shuffle else None)
    wanted = list(parts) if subset == "both" else [str(subset)]
    if verbose:
        for part in wanted:
            print(f"Using {len(parts[part])} files for {part}.", flush=True)
    made = tuple(batches(parts[part]) for part in wanted)
    return made if subset == "both" else made[0]


def _check_split(
    name: str, split: float | None, subset: str | None, shuffle: bool, seed: int | None
) -> None:
    if (split is None) != (subset is None):
        raise ArgumentError(f"{name}: validation_split and subset go together")
    if split is None:
        return
    if not 0 < split < 1:
        raise ArgumentError(f"{name}: validation_split must lie between 0 and 1, got {split!r}")
    if subset not in ("training", "validation", "both"):
        raise ArgumentError(f'{name}: subset is "training", "validation" or "both", got {subset!r}')
    if shuffle and seed is None:
        raise ArgumentError(
            f"{name}: validation_split with shuffle needs a seed: without one the two parts could "
            "share images"
        )


def _split(
    name: str, folder: ImageFolder, fraction: float, seed: int | None
) -> dict[str, ImageFolder]:
    """The folder's images for training, then for validation; shuffled before, given a seed."""
    count = len(folder)
    order = np.arange(count) if seed is None else _core.shuffled(count, seed, 0)
    held_out = int(fraction * count)
    if not 0 < held_out < count:
        raise ArgumentError(
            f"{name}: validation_split={fraction} of {count} images leaves one part empty"
        )
    return {
        "training": folder.subset(order[: count - held_out]),
        "validation": folder.subset(order[count - held_out :]),
    }


def _unsorted(
    name: str,
    root: Path,
    labels: Sequence[int] | str | None,
    class_names: Sequence[str] | None,
    options: dict[str, Any],
) -> ImageFolder:
    """All images below `root` as they lie, with the labels given or none."""
    if isinstance(labels, str):
        raise ArgumentError(f'{name}: labels is "inferred", a list or None, got {labels!r}')
    if class_names is not None:
        raise ArgumentError(f'{name}: class_names goes with labels="inferred"')
    folder = ImageFolder.of_files(root, **options)
    if labels is None:
        return folder
    given = np.asarray(labels)
    if given.shape != (len(folder),) or given.dtype.kind not in "iu" or (given < 0).any():
        raise ArgumentError(
            f"{name}: labels are {len(folder)} class numbers, one a file in the order of the "
            f"sorted paths; got {given.dtype} of shape {given.shape}"
        )
    folder.labels = given.astype(np.int64)
    folder.classes = [str(label) for label in range(int(given.max()) + 1)]
    return folder
