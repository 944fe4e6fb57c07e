"""The random numbers of augmentation, and each transform on images whose results are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from small_images import DIGITS, PHOTOS, RNG, apply, draw
from striate import _core
from striate.augment import (
    CenterCrop,
    ColorJitter,
    Cutout,
    Draw,
    MixUp,
    Normalize,
    PCAColor,
    RandomCrop,
    RandomFlip,
)
from striate.augment.mixup import beta_quantile
from striate.errors import ArgumentError, ShapeError


def test_uniforms_are_philox_at_the_samples_coordinates() -> None:
    seed, epoch, place = 0x1122334455667788, 7, 3
    got = _core.uniforms(seed, epoch, place, np.array([5, 2**32 - 1]), 6)
    for row, sample in zip(got, (5, 2**32 - 1), strict=True):
        words = [
            word
            for group in (0, 1)
            for word in _core.philox4x32(
                [(place << 22) + group, sample, epoch, 5], [0x55667788, 0x11223344]
            )
        ]
        np.testing.assert_array_equal(row, [(word >> 8) / 2**24 for word in words[:6]])


def test_normals_are_box_muller() -> None:
    got = _core.normals(9, 0, 2, np.array([4]), 4)[0]
    words = [w for g in (0, 1) for w in _core.philox4x32([(2 << 22) + g, 4, 0, 5], [9, 0])]
    for k in range(4):
        u, turn = (words[2 * k] + 0.5) / 2**32, words[2 * k + 1] / 2**32
        assert got[k] == pytest.approx(math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * turn))
    many = _core.normals(1, 0, 0, np.arange(1000), 100)
    assert many.mean() == pytest.approx(0, abs=0.02) and many.std() == pytest.approx(1, abs=0.01)


def test_numbers_differ_by_every_coordinate() -> None:
    base = (1, 0, 0, 0)
    keys = [base, (2, 0, 0, 0), (1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1)]
    firsts = {float(_core.uniforms(s, e, p, np.array([n]), 1)[0, 0]) for s, e, p, n in keys}
    assert len(firsts) == len(keys)


def test_numbers_out_of_range() -> None:
    with pytest.raises(ArgumentError, match="samples are numbered"):
        _core.uniforms(0, 0, 0, np.array([-1]), 1)
    with pytest.raises(ArgumentError, match="at most 256 transforms"):
        _core.normals(0, 0, 256, np.array([0]), 1)
    with pytest.raises(ArgumentError, match="not be negative"):
        _core.uniforms(0, 0, 0, np.array([0]), -1)


@pytest.mark.parametrize(
    ("mode", "axes"), [("horizontal", [2]), ("vertical", [1]), ("horizontal_and_vertical", [1, 2])]
)
def test_flip(mode: str, axes: list[int]) -> None:
    x = np.concatenate([PHOTOS] * 10)
    out = apply(RandomFlip(mode), x)
    kinds = [x]
    for axis in axes:
        kinds += [np.flip(kind, axis) for kind in kinds]
    same = np.array([(out == kind).all(axis=(1, 2, 3)) for kind in kinds])
    assert (same.sum(axis=0) == 1).all() and out.dtype == np.uint8
    np.testing.assert_allclose(same.mean(axis=1), 1 / len(kinds), atol=0.07)


def test_alternating_flip_shows_both_sides_in_turn() -> None:
    flip = RandomFlip(alternate=True)
    first, second, third = (apply(flip, PHOTOS, epoch=epoch) for epoch in range(3))
    np.testing.assert_array_equal(first, third)
    np.testing.assert_array_equal(first, second[:, :, ::-1])
    np.testing.assert_array_equal(first, apply(RandomFlip(), PHOTOS, epoch=0))


@pytest.mark.parametrize("fill_mode", ["reflect", "constant", "nearest"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_random_crop_is_a_window_of_the_padded_image(fill_mode: str, dtype: type) -> None:
    x = PHOTOS.astype(dtype)
    out = apply(RandomCrop((9, 8), padding=(2, 3), fill_mode=fill_mode, fill_value=7), x)
    kind = {"reflect": "reflect", "nearest": "edge", "constant": "constant"}[fill_mode]
    values = {"constant_values": 7} if fill_mode == "constant" else {}
    padded = np.pad(x, ((0, 0), (2, 2), (3, 3), (0, 0)), kind, **values)
    places = set()
    for image, source in zip(out, padded, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(source, (9, 8, 3))[..., 0, :, :, :]
        found = np.argwhere((windows == image).all(axis=(2, 3, 4)))
        assert len(found) == 1
        places.add(tuple(found[0]))
    assert out.dtype == dtype and out.shape == (40, 9, 8, 3)
    assert {0, 7} <= {y for y, _ in places} and {0, 8} <= {x for _, x in places}


def test_crops_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match="smaller than size=16"):
        apply(RandomCrop(16, padding=1), PHOTOS)
    with pytest.raises(ShapeError, match="less than their own size"):
        apply(RandomCrop(12, padding=10), PHOTOS)
    with pytest.raises(ShapeError, match="put a Resize before"):
        apply(CenterCrop(11), PHOTOS)


def test_center_crop() -> None:
    np.testing.assert_array_equal(apply(CenterCrop((5, 4)), PHOTOS), PHOTOS[:, 3:8, 3:7])


def test_cutout_covers_one_rectangle() -> None:
    x = np.ones((300, 12, 10, 3), np.float32)
    out = apply(Cutout((4, 6), fill_value=-1), x)
    rows = (out[..., 0] == -1).any(axis=2).sum(axis=1)
    columns = (out[..., 0] == -1).any(axis=1).sum(axis=1)
    np.testing.assert_array_equal((out == -1).sum(axis=(1, 2, 3)), 3 * rows * columns)
    # From half of it, where the centre is an edge pixel, to all of it.
    assert set(rows) == {2, 3, 4} and set(columns) == {3, 4, 5, 6}
    some = (apply(Cutout(4, -1, probability=0.25), x) == -1).any(axis=(1, 2, 3)).mean()
    assert some == pytest.approx(0.25, abs=0.08)


def test_brightness_contrast_and_saturation() -> None:
    x = np.array([[[[100, 50, 0], [200, 50, 100]]]], np.float32)
    gray = x @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(
        apply(ColorJitter(brightness=(1.5, 1.5)), x), np.minimum(x * 1.5, 255), rtol=1e-6
    )
    expected = gray.mean() + 0.5 * (x - gray.mean())
    np.testing.assert_allclose(apply(ColorJitter(contrast=(0.5, 0.5)), x), expected, rtol=1e-5)
    expected = np.clip(gray[..., None] + 2 * (x - gray[..., None]), 0, 255)
    np.testing.assert_allclose(apply(ColorJitter(saturation=(2, 2)), x), expected, rtol=1e-5)
    one_channel = apply(ColorJitter(0, 0, (2, 2), 0.3), DIGITS)
    np.testing.assert_array_equal(one_channel, DIGITS.astype(np.float32))


def test_hue_turns_on_the_colour_circle() -> None:
    import colorsys

    third = (1 / 3, 1 / 3)
    red = np.float32([[[[255, 0, 0], [60, 60, 60]]]])
    expected = np.float32([[[[0, 255, 0], [60, 60, 60]]]])
    np.testing.assert_allclose(apply(ColorJitter(hue=third), red), expected, atol=1e-3)
    out = apply(ColorJitter(hue=(-0.2, -0.2)), PHOTOS)
    for before, after in zip(PHOTOS[0].reshape(-1, 3), out[0].reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(before / 255.0))
        turned = colorsys.hsv_to_rgb((hue - 0.2) % 1, saturation, value)
        np.testing.assert_allclose(after / 255, turned, atol=1e-5)


def test_jitter_factors_fill_their_ranges() -> None:
    x = np.full((3000, 1, 1, 3), 100, np.uint8)
    out = apply(ColorJitter(brightness=0.3), x)[:, 0, 0, 0] / 100
    assert out.min() == pytest.approx(0.7, abs=0.01) and out.max() == pytest.approx(1.3, abs=0.01)
    assert ColorJitter(brightness=2).ranges()[0] == (0, 3)


def test_pca_colour_shifts_along_the_data() -> None:
    line = RNG.normal(128, 20, (50, 8, 8, 1)) * [1.0, 0.5, 0.25]  # one principal component
    colour = PCAColor.of(line)
    shift = apply(colour, np.full((2000, 1, 1, 3), 100, np.uint8))[:, 0, 0] - 100
    np.testing.assert_allclose(shift[:, 1], shift[:, 0] * 0.5, atol=1e-3)
    np.testing.assert_allclose(shift[:, 2], shift[:, 0] * 0.25, atol=1e-3)
    eigenvalue = (line / 255).reshape(-1, 3).var(axis=0, ddof=1).sum()
    length = np.sqrt((shift.astype(np.float64) ** 2).sum(axis=1).mean())
    assert length == pytest.approx(255 * 0.1 * eigenvalue, rel=0.05)


def test_normalize() -> None:
    out = apply(Normalize([0.1, 0.2, 0.3], [0.5, 0.25, 1]), PHOTOS)
    expected = (PHOTOS / 255 - [0.1, 0.2, 0.3]) / [0.5, 0.25, 1]
    np.testing.assert_allclose(out, expected, atol=2e-6)
    assert out.dtype == np.float32
    np.testing.assert_allclose(apply(Normalize(), DIGITS), DIGITS / 255, rtol=1e-6)
    with pytest.raises(ShapeError, match="mean has 2 numbers, the images 3 channels"):
        apply(Normalize([0, 0]), PHOTOS)


def test_mixup_mixes_each_sample_with_one_other() -> None:
    x = np.eye(6, dtype=np.float32)[:, None, None, :]  # a sample is its own share in the result
    y = np.arange(6)
    mixed, labels = MixUp(1.0, num_classes=6).batch(x, y, draw(6))
    shares = mixed[:, 0, 0]
    np.testing.assert_allclose(labels, shares, atol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert ((shares > 0).sum(axis=1) == 2).all() and ((shares > 0).sum(axis=0) == 2).all()
    assert (np.diag(shares) > 0).all()


def test_mixup_does_not_depend_on_the_order_of_a_batch() -> None:
    order = np.array([3, 1, 4, 0, 2])
    samples, y = np.arange(5) + 17, np.arange(5)
    mix = MixUp(0.4, 5)
    x, labels = mix.batch(PHOTOS[:5], y, Draw(0, 0, samples))
    x2, labels2 = mix.batch(PHOTOS[:5][order], y[order], Draw(0, 0, samples[order]))
    np.testing.assert_array_equal(x[order], x2)
    np.testing.assert_array_equal(labels[order], labels2)


def test_mixup_of_one_hot_labels_and_of_none() -> None:
    one_hot = np.eye(5, dtype=np.float32)
    _, labels = MixUp().batch(PHOTOS[:5], one_hot, draw(5))
    assert labels.shape == (5, 5)
    assert MixUp().batch(PHOTOS[:5], None, draw(5))[1] is None
    alone, _ = MixUp().batch(PHOTOS[:1], None, draw(1))
    np.testing.assert_allclose(alone, PHOTOS[:1], atol=1e-4)
    with pytest.raises(ArgumentError, match="need num_classes"):
        MixUp().batch(PHOTOS[:5], np.arange(5), draw(5))
    with pytest.raises(ShapeError, match="class numbers"):
        MixUp().batch(PHOTOS[:5], one_hot.astype(int), draw(5))


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0, 2.0])
def test_shares_are_beta_distributed(alpha: float) -> None:
    u = ((np.arange(100000) + 0.5) / 100000).astype(np.float32)
    share = beta_quantile(alpha, u).astype(np.float64)
    assert (np.diff(share) >= 0).all() and share.min() >= 0 and share.max() <= 1
    for power in (1, 2, 4):  # E x^p = prod (alpha + k) / (2 alpha + k)
        expected = np.prod([(alpha + k) / (2 * alpha + k) for k in range(power)])
        assert (share**power).mean() == pytest.approx(expected, rel=1e-3)
