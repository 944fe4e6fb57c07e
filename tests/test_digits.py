"""The digits that the package draws: the same everywhere, balanced, and looking like digits."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from striate.datasets import digits


def test_shapes_and_types() -> None:
    (x_train, y_train), (x_test, y_test) = digits.load_data(train=30, test=20, seed=3)
    assert x_train.shape == (30, 28, 28) and y_train.shape == (30,)
    assert x_test.shape == (20, 28, 28) and y_test.shape == (20,)
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert not np.array_equal(x_train[:20], x_test)


def test_golden() -> None:
    """No release and no machine draws other digits: accuracies stay comparable."""
    x, y = digits.draw(50)
    assert y[:10].tolist() == [0, 3, 6, 1, 8, 9, 5, 7, 2, 4]
    assert hashlib.sha256(x.tobytes()).hexdigest() == (
        "d4492ed544ff30b1e57d54cfb568f0591c51adc27838f27cbae6c8a3d7854588"
    )


def test_a_sample_does_not_depend_on_how_many_are_drawn() -> None:
    x, y = digits.draw(1203, seed=5)
    for count in (0, 1, 9, 10, 11, 499, 500, 501):
        shorter_x, shorter_y = digits.draw(count, seed=5)
        assert np.array_equal(shorter_x, x[:count]) and np.array_equal(shorter_y, y[:count])
    for first, count in ((0, 0), (3, 4), (7, 13), (495, 510), (1000, 203)):
        part_x, part_y = digits.draw(count, seed=5, first=first)
        assert np.array_equal(part_x, x[first : first + count])
        assert np.array_equal(part_y, y[first : first + count])


def test_seeds_and_splits_differ() -> None:
    base = digits.draw(50)[0]
    assert not np.array_equal(base, digits.draw(50, seed=1)[0])
    assert not np.array_equal(base, digits.draw(50, split=1)[0])
    assert not np.array_equal(digits.draw(50, seed=1)[0], digits.draw(50, split=1)[0])


def test_no_global_state() -> None:
    np.random.seed(7)
    before = np.random.random()
    np.random.seed(7)
    digits.draw(20)
    assert np.random.random() == before


def test_balanced_and_shuffled() -> None:
    y = digits.draw(1000)[1].reshape(-1, 10)
    assert np.array_equal(np.sort(y, axis=1), np.tile(np.arange(10), (100, 1)))
    assert all(len(set(column)) == 10 for column in y.T)


def test_no_two_alike_and_no_page_blank() -> None:
    x = digits.draw(1000)[0]
    assert len({image.tobytes() for image in x}) == 1000
    assert (x > 100).sum(axis=(1, 2)).min() >= 12
    share = (x > 0).mean()
    assert 0.1 < share < 0.35, "mostly paper, as MNIST is"


def centred(images: np.ndarray) -> np.ndarray:
    """Images with their ink's centre of mass moved to the middle: (n, 28 * 28), of length 1."""
    rows = images.sum(axis=2, dtype=np.float32) @ np.arange(28) / images.sum(axis=(1, 2))
    columns = images.sum(axis=1, dtype=np.float32) @ np.arange(28) / images.sum(axis=(1, 2))
    moved = [
        np.roll(image, (14 - round(row), 14 - round(column)), axis=(0, 1)).ravel()
        for image, row, column in zip(images, rows, columns, strict=True)
    ]
    flat = np.array(moved, np.float32)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def test_a_digit_looks_like_its_class() -> None:
    """Where it stands on the page apart, the most alike of other digits tells most of them."""
    (x, y), (x_test, y_test) = digits.load_data(3000, 500)
    nearest = (centred(x_test) @ centred(x).T).argmax(axis=1)
    assert (y[nearest] == y_test).mean() > 0.85


@pytest.mark.parametrize("wrong", [{"train": -1}, {"test": -1}, {"seed": -1}, {"seed": 1 << 64}])
def test_refuses(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="digits: "):
        digits.load_data(**{"train": 10, "test": 10, **wrong})
