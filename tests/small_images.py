"""Small images for the tests of augmentation, and a transform applied to them."""

from __future__ import annotations

from typing import Any

import numpy as np
from striate.augment import Draw, Transform

RNG = np.random.default_rng(5)
PHOTOS = RNG.integers(0, 256, (40, 12, 10, 3)).astype(np.uint8)
DIGITS = RNG.integers(0, 256, (40, 14, 14, 1)).astype(np.uint8)


def draw(n: int, seed: int = 1, epoch: int = 0, place: int = 0) -> Draw:
    return Draw(seed, epoch, np.arange(n), place)


def apply(transform: Transform, x: np.ndarray[Any, Any], **key: int) -> np.ndarray[Any, Any]:
    return transform.images(x, draw(len(x), **key))
