"""What a pipeline promises: a sample is the same in any batch; and what it refuses."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest
from small_images import DIGITS, PHOTOS, RNG, apply, draw
from striate.augment import (
    CenterCrop,
    ColorJitter,
    Cutout,
    ElasticDeformation,
    MixUp,
    Normalize,
    PCAColor,
    Pipeline,
    RandomAffine,
    RandomCrop,
    RandomFlip,
    RandomResizedCrop,
    Resize,
    Transform,
)
from striate.errors import ArgumentError, ShapeError

EVERYTHING = Pipeline(
    [
        RandomFlip("horizontal_and_vertical"),
        RandomCrop(10, padding=3),
        RandomAffine(20, 0.2, 0.2, 0.1, 10, fill_mode="reflect"),
        ElasticDeformation(10, 3),
        RandomResizedCrop(9),
        ColorJitter(0.4, 0.4, 0.4, 0.1),
        PCAColor([0.2, 0.02, 0.004], np.eye(3)),
        Normalize(0.5, 0.25),
        Cutout(3),
    ]
)


def hashes(images: np.ndarray[Any, Any]) -> list[str]:
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in images]


def test_a_sample_is_the_same_in_any_batch() -> None:
    whole = hashes(EVERYTHING(PHOTOS, seed=4, epoch=2))
    order = RNG.permutation(40)
    shuffled = hashes(EVERYTHING(PHOTOS[order], seed=4, epoch=2, samples=order))
    assert shuffled == [whole[i] for i in order]
    for n in (0, 17, 39):
        assert hashes(EVERYTHING(PHOTOS[n : n + 1], seed=4, epoch=2, samples=[n])) == [whole[n]]
    assert hashes(EVERYTHING(PHOTOS, seed=4, epoch=2, threads=2)) == whole
    assert len({*whole, *hashes(EVERYTHING(PHOTOS, seed=4, epoch=3))}) == 80
    assert len({*whole, *hashes(EVERYTHING(PHOTOS, seed=5, epoch=2))}) == 80


@pytest.mark.parametrize("step", EVERYTHING.transforms, ids=lambda step: type(step).__name__)
def test_a_transform_leaves_its_input_alone(step: Transform) -> None:
    for x in (PHOTOS.copy(), PHOTOS.astype(np.float32)):
        before = x.copy()
        apply(step, x)
        np.testing.assert_array_equal(x, before)


def test_the_place_of_a_transform_counts() -> None:
    twice = Pipeline([RandomFlip(), RandomFlip()])(PHOTOS)
    assert not np.array_equal(twice, PHOTOS)
    nested = Pipeline([Pipeline([RandomFlip()]), Pipeline([RandomFlip()])])
    np.testing.assert_array_equal(nested(PHOTOS), twice)


def test_images_of_different_sizes() -> None:
    images = [PHOTOS[0], PHOTOS[1, :9], PHOTOS[2, :, :8]]
    steps = Pipeline([RandomFlip(), Resize(7), CenterCrop(7), Normalize()])
    out, _ = steps.run(images, None, draw(3))
    assert out.shape == (3, 7, 7, 3)
    for n, image in enumerate(images):
        np.testing.assert_array_equal(out[n : n + 1], steps(image[None], seed=1, samples=[n]))
    with pytest.raises(ShapeError, match="at the end.*let the pipeline begin"):
        Pipeline([RandomFlip()]).run(images, None, draw(3))
    with pytest.raises(ShapeError, match="before MixUp"):
        Pipeline([MixUp()]).run(images, None, draw(3))


def test_pipeline_takes_labels_and_gray_images() -> None:
    assert Pipeline([RandomFlip()])(DIGITS[..., 0]).shape == DIGITS.shape
    x, y = Pipeline([MixUp(0.2, 10)])(PHOTOS, np.arange(40) % 10)
    assert x.shape == PHOTOS.shape and y.shape == (40, 10)
    assert Pipeline()(PHOTOS.astype(np.float64)).dtype == np.float32
    assert "RandomFlip(mode='horizontal'" in repr(Pipeline(RandomFlip()))


def test_pipelines_that_are_none() -> None:
    with pytest.raises(ArgumentError, match="RandomFlip.*call it"):
        Pipeline([RandomFlip])  # type: ignore[list-item]
    with pytest.raises(ArgumentError, match="at most 256"):
        Pipeline([RandomFlip()] * 257)
    with pytest.raises(ShapeError, match=r"\(N, H, W, C\)"):
        Pipeline()(np.zeros((3, 4)))
    with pytest.raises(ShapeError, match="numbers"):
        Pipeline()(np.full((1, 2, 2, 1), "a"))
    with pytest.raises(ShapeError, match="40 integers"):
        Pipeline()(PHOTOS, samples=[1])
    with pytest.raises(NotImplementedError, match="needs images"):
        Transform().images(PHOTOS, draw(40))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomFlip("sideways"), "mode is one of"),
        (lambda: RandomCrop(0), "each at least 1"),
        (lambda: RandomCrop((3, 4, 5)), "integer or"),
        (lambda: RandomCrop(3.5), "integer or"),
        (lambda: RandomCrop(3, fill_mode="wrap"), "fill_mode is one of"),
        (lambda: RandomCrop(3, padding=-1), "at least 0"),
        (lambda: Cutout(3, probability=2), "within 0 .. 1"),
        (lambda: RandomAffine(degrees=-1), "at least 0"),
        (lambda: RandomAffine(degrees=(5, 1)), "low <= high"),
        (lambda: RandomAffine(scale=(0, 1)), "low at least"),
        (lambda: RandomAffine(shear=math.nan), "at least 0"),
        (lambda: RandomAffine(shear=(0, math.nan)), "a number or"),
        (lambda: ElasticDeformation(sigma=0.5), "sigma at least 1"),
        (lambda: ElasticDeformation(alpha=-1), "at least 0"),
        (lambda: ColorJitter(hue=0.6), "within -0.5"),
        (lambda: ColorJitter(brightness=(-1, 1)), "low at least 0"),
        (lambda: PCAColor([1, 2], np.eye(3)), "eigenvalues"),
        (lambda: PCAColor([1, 2, 3], np.eye(3), -1), "stddev"),
        (lambda: Normalize(std=0), "std above 0"),
        (lambda: Normalize(mean=math.inf), "numbers"),
        (lambda: MixUp(0), "above 0"),
        (lambda: MixUp(num_classes=0), "at least 1"),
        (lambda: Resize((4, 4), fit="bend"), "fit is one of"),
        (lambda: Resize(4, interpolation="linear"), "interpolation is one of"),
        (lambda: RandomResizedCrop(4, scale=(0, 1)), r"\(0, 1\]"),
        (lambda: RandomResizedCrop(4, scale=(0.5, 1.5)), r"\(0, 1\]"),
        (lambda: RandomResizedCrop(4, ratio=(0, 1)), "above 0"),
    ],
)
def test_bad_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_channels_that_a_colour_step_cannot_take() -> None:
    for step in (ColorJitter(0.1), PCAColor([1, 1, 1], np.eye(3))):
        with pytest.raises(ShapeError, match="3 channels"):
            apply(step, PHOTOS[..., :2])
    with pytest.raises(ShapeError, match=r"\(N, H, W, 3\)"):
        PCAColor.of(DIGITS)
