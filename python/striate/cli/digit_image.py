"""Any picture of one digit, made to look like MNIST's.

MNIST's digits are white ink (255) on black (0), fitted into 20 x 20 pixels with their proportions
kept, and placed in 28 x 28 so that the centre of mass of the ink is the centre of the field
(LeCun et al. 1998, section III-A). A network that learned those sees a photograph of a digit as
noise until the photograph is treated in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from striate.errors import FormatError, MissingExtraError

if TYPE_CHECKING:
    from PIL.Image import Image

FIELD, BOX = 28, 20
INK_THRESHOLD = 0.2  # of the strongest ink: below it is paper, its grain and its shadows
EDGE = 0.1  # of the strongest ink: what belongs to a stroke that has been found
LARGEST = 2000  # pixels a side; beyond it a picture is reduced before it is looked at


@dataclass(frozen=True)
class DigitImage:
    """pixels: [28, 28] uint8, ink on 0; steps: what was done to get there, for the reader."""

    pixels: NDArray[np.uint8]
    steps: tuple[str, ...]


def read_digit(path: str | Path) -> DigitImage:
    """The digit in an image file of any kind that Pillow reads; FormatError if it is none."""
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise MissingExtraError("pillow", "images", "reading image files") from error
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened)
            picture.thumbnail((LARGEST, LARGEST))
            gray = _gray(picture)
    except UnidentifiedImageError as error:
        raise FormatError(f"{path}: not an image that Pillow can read") from error
    except (Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise FormatError(f"{path}: damaged image: {error}") from error
    return like_mnist(gray, str(path))


def like_mnist(gray: NDArray[np.uint8], what: str = "image") -> DigitImage:
    """A gray picture [H, W] of one digit, dark on bright or bright on dark, as MNIST has it."""
    border = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    paper = float(np.median(border))
    if gray.shape == (FIELD, FIELD) and paper == 0:
        return DigitImage(gray, ("28x28 with a black background: taken as it is",))
    steps = []
    ink = gray.astype(np.float32) - paper
    if paper > 127:
        ink = -ink
        steps.append("inverted, as the background is bright")
    ink = np.clip(ink, 0, None)
    if ink.max() < 16:
        raise FormatError(f"{what}: no digit in it: every pixel is as bright as its border")
    ink /= ink.max()
    rows, columns = (np.flatnonzero((ink > INK_THRESHOLD).any(axis=axis)) for axis in (1, 0))
    ink = np.where(ink > EDGE, ink, 0)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    steps.append(f"cut to the ink, {ink.shape[1]}x{ink.shape[0]} pixels")
    small = _fit(ink)
    steps.append(f"scaled to {small.shape[1]}x{small.shape[0]} within {BOX}x{BOX}")
    pixels, down, right = _centred(small)
    steps.append(f"placed at row {down}, column {right} of {FIELD}x{FIELD}: its centre of mass")
    return DigitImage(pixels, tuple(steps))


def _gray(picture: Image) -> NDArray[np.uint8]:
    """[H, W], with what is transparent taken for white paper."""
    from PIL import Image

    if picture.mode.startswith("I") or picture.mode == "F":  # 16 and 32 bits: by their own range
        values = np.asarray(picture, np.float64)
        low, high = float(values.min()), float(values.max())
        return ((values - low) * (255 / ((high - low) or 1))).astype(np.uint8)
    if "A" in picture.getbands() or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
    return np.asarray(picture.convert("L"), np.uint8)


def _fit(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scaled so that the longer side is 20 pixels; the strongest ink stays 1."""
    from PIL import Image

    height, width = ink.shape
    scale = BOX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    scaled = Image.fromarray(ink).resize(size, Image.Resampling.BOX if scale < 1 else
                                         Image.Resampling.BILINEAR)  # fmt: skip
    small = np.asarray(scaled, np.float32)
    return np.asarray(small / small.max(), np.float32)


def _centred(small: NDArray[np.float32]) -> tuple[NDArray[np.uint8], int, int]:
    """In a 28x28 field, the centre of mass as near to its centre as whole pixels allow."""
    height, width = small.shape
    mass = small.sum()
    centre = (FIELD - 1) / 2
    place = []
    for axis, size in ((1, height), (0, width)):
        middle = float((small.sum(axis=axis) * np.arange(size)).sum() / mass)
        place.append(min(max(round(centre - middle), 0), FIELD - size))
    down, right = place
    field = np.zeros((FIELD, FIELD), np.uint8)
    field[down : down + height, right : right + width] = np.rint(small * 255)
    return field, down, right
