"""Warps and changes of size against plain reading between pixels, NumPy and Pillow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from small_images import DIGITS, PHOTOS, RNG, apply, draw
from striate import _core
from striate.augment import (
    Draw,
    ElasticDeformation,
    Pipeline,
    RandomAffine,
    RandomResizedCrop,
    Resize,
)
from striate.errors import ArgumentError, ShapeError


def read_bilinear(image: Any, row: float, column: float, fill: float) -> Any:
    """The value of one image [H, W, C] between its pixels; `fill` beyond them. Slow and plain."""
    total = np.zeros(image.shape[2])
    y0, x0 = math.floor(row), math.floor(column)
    for y, wy in ((y0, 1 - (row - y0)), (y0 + 1, row - y0)):
        for x, wx in ((x0, 1 - (column - x0)), (x0 + 1, column - x0)):
            inside = 0 <= y < image.shape[0] and 0 <= x < image.shape[1]
            total += wy * wx * (image[y, x] if inside else fill)
    return total


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_warp_is_bilinear_reading(channels: int, dtype: type) -> None:
    x = RNG.integers(0, 256, (3, 6, 7, channels)).astype(dtype)
    matrices = RNG.normal([1, 0, 0, 0, 1, 0], 0.3, (3, 6)).astype(np.float32)
    nodes = RNG.normal(size=(3, 2, 4, 5)).astype(np.float32)
    rows = RNG.normal(size=(6, 4)).astype(np.float32)
    columns = RNG.normal(size=(5, 7)).astype(np.float32)
    got = _core.warp_images(x, matrices, nodes, rows, columns, fill=9.0)
    for n in range(3):
        field = rows @ nodes[n].astype(np.float64) @ columns
        for row in range(6):
            for column in range(7):
                at = np.array([column + field[0, row, column], row + field[1, row, column], 1])
                expected = read_bilinear(
                    x[n], float(matrices[n, 3:] @ at), float(matrices[n, :3] @ at), 9.0
                )
                np.testing.assert_allclose(got[n, row, column], expected, atol=2e-3)


def test_warp_on_more_threads_has_the_same_bits() -> None:
    matrices = np.tile(np.float32([0.9, 0.2, 1, -0.2, 0.9, 2]), (40, 1))
    one, two = (_core.warp_images(PHOTOS, matrices, threads=k) for k in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("border", "mode"), [("reflect", "reflect"), ("nearest", "edge")])
def test_borders(border: str, mode: str) -> None:
    x = PHOTOS[:1].astype(np.float32)
    for shift in (-25, -9, 0, 3, 40):
        matrix = np.float32([[1, 0, shift, 0, 1, 0]])
        padded = np.pad(x, ((0, 0), (0, 0), (60, 60), (0, 0)), mode)
        expected = padded[:, :, 60 + shift : 70 + shift]
        np.testing.assert_array_equal(_core.warp_images(x, matrix, border=border), expected)
    column = x[:, :, :1].copy()
    moved = _core.warp_images(column, np.float32([[1, 0, 5, 0, 1, 0]]), border=border)
    np.testing.assert_array_equal(moved, column)


@pytest.mark.parametrize("border", ["constant", "reflect", "nearest"])
def test_coordinates_that_are_not_numbers_stay_inside(border: str) -> None:
    for bad in (math.nan, math.inf, -math.inf, 1e30):
        matrix = np.full((1, 6), bad, np.float32)
        out = _core.warp_images(PHOTOS[:1], matrix, border=border, fill=1.0)
        assert ((0 <= out) & (out <= 255)).all()


def fixed(**amounts: float) -> RandomAffine:
    """A RandomAffine whose ranges are points."""
    return RandomAffine(**{name: (value, value) for name, value in amounts.items()})  # type: ignore[arg-type]


def test_identity() -> None:
    for transform in (RandomAffine(), ElasticDeformation(alpha=0)):
        np.testing.assert_array_equal(apply(transform, PHOTOS), PHOTOS.astype(np.float32))


def test_rotation_is_counter_clockwise() -> None:
    for turns in (1, 2, 3):
        np.testing.assert_allclose(
            apply(fixed(degrees=90.0 * turns), DIGITS), np.rot90(DIGITS, turns, (1, 2)), atol=2e-3
        )


def test_translation_by_whole_pixels() -> None:
    move = RandomAffine(translate=((0.2, 0.2), (-0.25, -0.25)))  # 2 right, 3 up of 12 x 10
    expected = np.zeros_like(PHOTOS)
    expected[:, :9, 2:] = PHOTOS[:, 3:, :8]
    np.testing.assert_allclose(apply(move, PHOTOS), expected, atol=1e-3)


def test_translation_by_half_a_pixel_averages() -> None:
    move = RandomAffine(translate=((0.05, 0.05), (0, 0)))
    x = PHOTOS.astype(np.float32)
    out = apply(move, PHOTOS)
    np.testing.assert_allclose(out[:, :, 1:], (x[:, :, 1:] + x[:, :, :-1]) / 2, atol=1e-3)


def test_scale_squeeze_and_shear() -> None:
    x = DIGITS.astype(np.float32)[:, 1:, 1:]  # 13 x 13, whose centre is a pixel
    doubled = apply(fixed(scale=2.0), x)
    np.testing.assert_allclose(doubled[:, ::2, ::2], x[:, 3:10, 3:10], atol=1e-3)
    wide = apply(fixed(squeeze=2.0), x)  # the width doubled, the height halved
    np.testing.assert_allclose(wide[:, 4:9, ::2], x[:, 2:11:2, 3:10], atol=1e-3)
    leaning = apply(fixed(shear=45.0), x)  # what is k above the centre moves k to the left
    np.testing.assert_allclose(leaning[:, 4, 0:11], x[:, 4, 2:13], atol=1e-3)
    np.testing.assert_allclose(leaning[:, 6], x[:, 6], atol=1e-3)


def test_affine_amounts_fill_their_ranges() -> None:
    low, high = np.array(RandomAffine(10, 0.1, 0.2, 0.1, 5).ranges()).T
    np.testing.assert_allclose(low, [-10, -0.1, -0.1, 0.8, 0.9, -5])
    np.testing.assert_allclose(high, [10, 0.1, 0.1, 1.2, 1.1, 5])
    turns = RandomAffine(degrees=10).matrices(20, 20, draw(4000))
    degrees = np.rad2deg(np.arctan2(turns[:, 1, 0], turns[:, 0, 0]))
    assert degrees.min() == pytest.approx(-10, abs=0.1) and degrees.max() == pytest.approx(
        10, abs=0.1
    )
    assert degrees.std() == pytest.approx(20 / math.sqrt(12), rel=0.03)


def test_elastic_displacements_have_simards_deviation() -> None:
    # An image of its own columns shows where each pixel was read, as long as that is inside.
    alpha, sigma = 20.0, 4.0
    ramp = np.tile(np.arange(64, dtype=np.float32)[None, None, :, None], (400, 64, 1, 1))
    moved = (apply(ElasticDeformation(alpha, sigma), ramp) - ramp)[:, 12:-12, 12:-12, 0]
    assert moved.mean() == pytest.approx(0, abs=0.03)
    expected = alpha / (2 * math.sqrt(3 * math.pi) * sigma)
    assert moved.std() == pytest.approx(expected, rel=0.03)
    np.testing.assert_allclose(moved.std(axis=0), expected, rtol=0.25)  # the same everywhere
    # White noise that a Gaussian has blurred has the autocorrelation exp(-d^2 / (4 sigma^2)).
    for d in (2, 4, 8):
        correlation = (moved[:, :, d:] * moved[:, :, :-d]).mean() / moved.var()
        assert correlation == pytest.approx(math.exp(-(d**2) / (4 * sigma**2)), abs=0.05)


def test_neighbouring_warps_are_read_once() -> None:
    back_and_forth = Pipeline([fixed(degrees=30.0), fixed(degrees=-30.0)])
    np.testing.assert_allclose(
        back_and_forth(DIGITS)[:, 4:-4, 4:-4], DIGITS[:, 4:-4, 4:-4], atol=2e-2
    )
    # In the order given: first moved to the right, then turned about the centre.
    steps = [RandomAffine(translate=((2 / 14, 2 / 14), (0, 0))), fixed(degrees=90.0)]
    expected = np.rot90(np.pad(DIGITS, ((0, 0), (0, 0), (2, 0), (0, 0)))[:, :, :14], 1, (1, 2))
    np.testing.assert_allclose(Pipeline(steps)(DIGITS), expected, atol=2e-3)


def test_a_warp_draws_the_same_numbers_alone_and_among_others() -> None:
    affine, elastic = RandomAffine(degrees=20), ElasticDeformation(8, 3)
    both = Pipeline([affine, elastic])(DIGITS, seed=3, epoch=2)
    turns = affine.matrices(14, 14, Draw(3, 2, np.arange(40), 0))
    field = elastic.field(14, 14, Draw(3, 2, np.arange(40), 1))
    expected = _core.warp_images(
        DIGITS, turns[:, :2].reshape(-1, 6), field.nodes, field.rows, field.columns
    )
    np.testing.assert_array_equal(both, expected)
    # A field is known at the result's pixels alone, so what comes after it is read anew.
    assert len(Pipeline([elastic, affine])._steps) == 2
    assert len(Pipeline([affine, RandomAffine(5, fill_mode="reflect")])._steps) == 2


@pytest.mark.parametrize("interpolation", ["box", "bilinear", "bicubic", "lanczos3"])
@pytest.mark.parametrize("size", [(17, 11), (37, 53), (50, 60), (7, 53)])
def test_resize_has_pillows_bits(interpolation: str, size: tuple[int, int]) -> None:
    image = pytest.importorskip("PIL.Image")
    x = RNG.integers(0, 256, (37, 53, 3)).astype(np.uint8)
    kind = {"lanczos3": "LANCZOS"}.get(interpolation, interpolation.upper())
    expected = image.fromarray(x).resize(size[::-1], getattr(image.Resampling, kind))
    got = apply(Resize(size, interpolation=interpolation), x[None])[0]
    np.testing.assert_array_equal(got, np.asarray(expected))


def test_resize_of_rows_first() -> None:
    """Where an image gets lower and wider, rows come first; the order shows in the rounding."""
    pillow = pytest.importorskip("PIL")
    if int(pillow.__version__.split(".")[0]) < 13:
        pytest.skip("before Pillow 13, columns always came first")
    from PIL import Image

    x = RNG.integers(0, 256, (37, 53, 3)).astype(np.uint8)
    for size in ((7, 60), (10, 50)):
        expected = Image.fromarray(x).resize(size[::-1], Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(apply(Resize(size), x[None])[0], np.asarray(expected))


def test_resize_of_floats() -> None:
    x = PHOTOS.astype(np.float32)
    halved = apply(Resize((6, 5), interpolation="box"), x)
    expected = x.reshape(40, 6, 2, 5, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(halved, expected, rtol=1e-5)
    doubled = apply(Resize((24, 20), interpolation="nearest"), x)
    np.testing.assert_array_equal(doubled, x.repeat(2, axis=1).repeat(2, axis=2))
    flat = np.full((1, 9, 9, 1), 80, np.float32)
    for interpolation in ("bilinear", "bicubic", "lanczos3"):
        np.testing.assert_allclose(apply(Resize((4, 13), "stretch", interpolation), flat), 80, 1e-5)


def test_resize_keeps_proportions() -> None:
    x = np.zeros((1, 30, 41, 3), np.uint8)
    assert apply(Resize(10), x).shape == (1, 10, 13, 3)
    assert apply(Resize(10), x.swapaxes(1, 2)).shape == (1, 13, 10, 3)
    x[:, :, 15:26] = 200  # of the 41 columns the 30 in the middle are kept, and halved
    cropped = apply(Resize((15, 15), fit="crop"), x)
    assert cropped.shape == (1, 15, 15, 3) and (cropped[:, :, 6:9] == 200).all()
    assert (cropped[:, :, [0, 1, 13, 14]] == 0).all()
    padded = apply(Resize((20, 20), fit="pad", fill_value=9), np.full((1, 10, 20, 3), 77, np.uint8))
    assert (padded[:, 5:15] == 77).all() and (padded[:, :5] == 9).all()
    assert (padded[:, 15:] == 9).all()


def test_random_resized_crop() -> None:
    crop = RandomResizedCrop(8, scale=(0.1, 0.5), ratio=(0.5, 2))
    boxes = crop.boxes(60, 80, draw(2000))
    top, left, height, width = boxes.T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= 60).all() and (left + width <= 80).all()
    area, ratio = height * width / 4800, width / height
    assert area.min() > 0.09 and area.max() < 0.52 and area.std() > 0.1
    assert ratio.min() > 0.45 and ratio.max() < 2.2
    assert np.log(ratio).mean() == pytest.approx(0, abs=0.05)
    x = RNG.integers(0, 256, (3, 60, 80, 3)).astype(np.uint8)
    out = apply(crop, x)
    for n, (y, left_edge, h, w) in enumerate(crop.boxes(60, 80, draw(3))):
        expected = apply(Resize((8, 8)), x[n : n + 1, y : y + h, left_edge : left_edge + w])
        np.testing.assert_array_equal(out[n : n + 1], expected)


def test_random_resized_crop_of_an_image_that_no_rectangle_fits() -> None:
    boxes = RandomResizedCrop(8, scale=(1, 1), ratio=(1, 1)).boxes(10, 100, draw(3))
    np.testing.assert_array_equal(boxes, [[0, 45, 10, 10]] * 3)


def test_core_refuses_what_does_not_fit() -> None:
    matrices = np.zeros((40, 6), np.float32)
    with pytest.raises(ShapeError, match="C-contiguous uint8 or float32"):
        _core.warp_images(PHOTOS.astype(np.float64), matrices)
    with pytest.raises(ShapeError, match="matrices"):
        _core.warp_images(PHOTOS, matrices[:3])
    with pytest.raises(ShapeError, match="nodes must be"):
        _core.warp_images(PHOTOS, matrices, np.zeros((40, 2)), matrices, matrices)
    with pytest.raises(ShapeError, match="row_weights"):
        nodes = np.zeros((40, 2, 3, 3))
        _core.warp_images(PHOTOS, matrices, nodes, np.zeros((12, 4)), np.zeros((3, 10)))
    with pytest.raises(ArgumentError, match="border is"):
        _core.warp_images(PHOTOS, matrices, border="wrap")
    with pytest.raises(ArgumentError, match="filter is"):
        _core.resize_images(PHOTOS, 3, 3, "linear")
    with pytest.raises(ArgumentError, match="no pixel|empty size"):
        _core.resize_images(PHOTOS, 0, 3)
    with pytest.raises(ArgumentError, match="no pixel"):
        _core.resize_images(PHOTOS[:, :0].copy(), 3, 3)
    with pytest.raises(ShapeError, match=r"boxes must be \[N, 4\]"):
        _core.resize_images(PHOTOS, 3, 3, boxes=np.zeros((40, 3)))
    with pytest.raises(ArgumentError, match="leaves its image of 12 x 10"):
        _core.resize_images(PHOTOS[:1], 3, 3, boxes=np.array([[3, 0, 10, 4]]))
