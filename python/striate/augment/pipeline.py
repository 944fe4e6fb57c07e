"""Transforms in a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from striate import _core
from striate.augment.transform import Draw, Images, Transform
from striate.augment.warp import Geometric, Warps
from striate.errors import ArgumentError, ShapeError


class Pipeline:
    """Transforms applied one after another; neighbouring geometric ones as a single resampling.

    Args:
        transforms: the steps. Values are 0 to 255 up to Normalize, which comes last or, where
            Cutout's fill is to be the mean colour, last but Cutout and MixUp.

    Raises:
        ArgumentError: something that is no Transform, or more than 256 of them.
    """

    transforms: tuple[Transform, ...]

    def __init__(self, transforms: Transform | Sequence[Transform | Pipeline] = ()) -> None:
        flat: list[Transform] = []
        for transform in [transforms] if isinstance(transforms, Transform) else transforms:
            if isinstance(transform, Pipeline):
                flat.extend(transform.transforms)
            elif isinstance(transform, Transform):
                flat.append(transform)
            else:
                raise ArgumentError(
                    f"Pipeline: a step is a striate.augment.Transform, got {transform!r}"
                    + (": call it" if isinstance(transform, type) else "")
                )
        if len(flat) > 256:
            raise ArgumentError(f"Pipeline: at most 256 transforms, got {len(flat)}")
        self.transforms = tuple(flat)
        self._steps = tuple(_grouped(self.transforms))

    def __repr__(self) -> str:
        return f"Pipeline([{', '.join(map(repr, self.transforms))}])"

    def __call__(
        self,
        x: ArrayLike,
        y: Any = None,
        *,
        seed: int = 0,
        epoch: int = 0,
        samples: ArrayLike | None = None,
        threads: int | None = None,
    ) -> Any:
        """Transforms a batch.

        Args:
            x: [N, H, W, C] or [N, H, W], uint8 or what becomes float32; values from 0 to 255.
            y: labels, if any transform changes them.
            seed, epoch, samples: what the random numbers depend on; samples are 0 to N - 1 unless
                given.
            threads: for the steps that can use several; by default as many as the rest of striate.

        Returns:
            The images [N, H', W', C], or with labels (images, labels).

        Raises:
            ShapeError: the images are not what a step takes.
        """
        images = as_images(x)
        numbers = np.arange(len(images)) if samples is None else np.asarray(samples)
        if numbers.shape != (len(images),) or numbers.dtype.kind not in "iu":
            raise ShapeError(
                f"Pipeline: samples are {len(images)} integers, one an image, got {numbers.dtype} "
                f"of shape {numbers.shape}"
            )
        draw = Draw(seed, epoch, numbers.astype(np.int64), threads=threads or _core.num_threads())
        out, labels = self.run(images, y, draw)
        return out if y is None else (out, labels)

    def run(self, x: Images | list[NDArray[Any]], y: Any, draw: Draw) -> tuple[Images, Any]:
        """Images, as one array or as a list of [H, W, C] of different sizes, and labels.

        Raises:
            ShapeError: the images are not what a step takes, or still differ in size at the end.
        """
        if isinstance(x, list):
            x = _stacked(x)
        for place, step in self._steps:
            if isinstance(x, list):
                if step.whole_batch:
                    raise ShapeError(_differ(x, f"before {type(step).__name__}"))
                own = draw.at(place)
                x = _stacked([step.images(im[None], own.only(i))[0] for i, im in enumerate(x)])
            else:
                x, y = step.batch(x, y, draw.at(place))
        if isinstance(x, list):
            raise ShapeError(_differ(x, "at the end of the pipeline"))
        return x, y


def as_images(x: ArrayLike) -> Images:
    """x as uint8 or float32 [N, H, W, C]; [N, H, W] gets one channel.

    Raises:
        ShapeError: not numbers, or of another rank.
    """
    images = np.asarray(x)
    if images.dtype.kind not in "biuf":
        raise ShapeError(f"images must be numbers, got dtype {images.dtype}")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4:
        raise ShapeError(f"images are (N, H, W, C) or (N, H, W), got shape {images.shape}")
    return images if images.dtype == np.uint8 else images.astype(np.float32, copy=False)


def _grouped(transforms: Sequence[Transform]) -> Iterator[tuple[int, Transform]]:
    """(place, step), runs of geometric transforms being one step."""
    run: list[tuple[int, Geometric]] = []
    for place, transform in enumerate(transforms):
        if isinstance(transform, Geometric):
            if run and not _joins(run[-1][1], transform):
                yield run[0][0], Warps(run)
                run = []
            run.append((place, transform))
        else:
            if run:
                yield run[0][0], Warps(run)
                run = []
            yield place, transform
    if run:
        yield run[0][0], Warps(run)


def _joins(first: Geometric, second: Geometric) -> bool:
    """Whether `second`, after `first`, can be part of the same resampling.

    A displacement field is known at the result's pixels alone, so it must be the last one.
    """
    return type(first).field is Geometric.field and (
        (first.fill_mode, first.fill_value) == (second.fill_mode, second.fill_value)
    )


def _stacked(images: list[NDArray[Any]]) -> Images | list[NDArray[Any]]:
    """One array, if the images agree in shape and kind."""
    first = images[0]
    if all(im.shape == first.shape and im.dtype == first.dtype for im in images):
        return np.stack(images)
    return images


def _differ(images: list[NDArray[Any]], where: str) -> str:
    shapes = sorted({im.shape for im in images})[:2]
    return (
        f"images differ in size {where}: {' and '.join(map(str, shapes))}: let the pipeline begin "
        "with Resize((height, width)) or RandomResizedCrop, or with Resize and CenterCrop"
    )
