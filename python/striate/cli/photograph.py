"""Image files of any kind, as a network that was trained on photographs sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.augment import Draw, Pipeline, Transform
from striate.datasets._decode import eight_bits
from striate.errors import CorruptImageError, FormatError, MissingExtraError


def read_photograph(path: Path, color_mode: str) -> NDArray[np.uint8]:
    """[H, W, C] uint8 of an image file of any kind that Pillow reads, the right way up.

    Unlike the images of a folder, which are read as they lie in the file, a single one is turned
    as its EXIF orientation says: it may come straight from a camera.

    Raises:
        FormatError: it is no image, or a damaged one; the message names the file.
        MissingExtraError: Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise MissingExtraError("pillow", "images", "reading image files") from error
    try:
        with Image.open(path) as opened:
            turned = ImageOps.exif_transpose(opened)
            turned.format = opened.format
            return eight_bits(turned, color_mode)
    except UnidentifiedImageError as error:
        raise FormatError(f"{path}: not an image that Pillow can read") from error
    except CorruptImageError as error:
        raise FormatError(f"{path}: {error}") from error
    except OSError as error:
        if error.filename is not None:  # no such file, or one that may not be read
            raise
        raise FormatError(f"{path}: damaged image: {error}") from error
    except (Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise FormatError(f"{path}: damaged image: {error}") from error


def as_input(image: NDArray[np.uint8], pipeline: list[Transform]) -> NDArray[Any]:
    """One image [H, W, C] through a pipeline: what the network takes, without the batch's axis."""
    draw = Draw(0, 0, np.zeros(1, np.int64))
    made, _ = Pipeline(pipeline).run(image[None], None, draw)
    out: NDArray[Any] = made[0]
    return out
