"""Image files as uint8 arrays.

Pillow decodes; simplejpeg, where it is installed, decodes JPEG about four times faster. Both stand
on libjpeg-turbo and give the same bytes, and what simplejpeg refuses is left to Pillow, so results
do not depend on which is there.

An EXIF orientation is not followed: a photograph taken with the camera on its side stays on its
side, as in torchvision and Keras. Transparency is dropped, which shows the colour beneath. Of an
animation or of several pages, the first image is taken. 16-bit grays are divided by 257, so that
white stays white; 16-bit colours keep their upper 8 bits.
"""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import CorruptImageError, MissingExtraError

if TYPE_CHECKING:
    from PIL.Image import Image

Bytes: TypeAlias = NDArray[np.uint8]

CHANNELS = {"rgb": 3, "grayscale": 1, "rgba": 4}
EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
MAX_PIXELS = 89_478_485  # Pillow's own limit: a quarter of a gigabyte as RGB

# Only these of Pillow's formats: some others start programs, such as a PostScript interpreter.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_pillow_lock = threading.Lock()
_registered = False
_MODES = {"rgb": "RGB", "grayscale": "L", "rgba": "RGBA"}


def decode_image(path: Path, color_mode: str = "rgb", max_pixels: int = MAX_PIXELS) -> Bytes:
    """The image in a file: uint8 [H, W, 3], or [H, W, 1] for "grayscale", [H, W, 4] for "rgba".

    Raises:
        CorruptImageError: it is no image, damaged, cut short, of a kind that has no 8-bit meaning,
            or has more than max_pixels pixels; the message names the file.
        MissingExtraError: Pillow is not installed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorruptImageError(f"{path}: cannot be read: {error.strerror or error}") from None
    if color_mode == "rgb" and data[:2] == b"\xff\xd8":
        pixels = _simplejpeg(data, max_pixels)
        if pixels is not None:
            return pixels
    _register_formats()
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_size(image.width, image.height, max_pixels)
            return eight_bits(image, color_mode)
    except CorruptImageError as error:
        raise CorruptImageError(f"{path}: {error}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise CorruptImageError(f"{path}: {error}") from None
    except UnidentifiedImageError:
        what = "is empty" if not data else "is no image of a known format"
        raise CorruptImageError(f"{path}: {what}") from None
    except Exception as error:  # struct, zlib, Syntax, Value, Index: whatever damage sets off
        raise CorruptImageError(f"{path}: damaged or cut short: {error}") from error


def _register_formats() -> None:
    """Makes Pillow load its format drivers: given a list of formats, it would know five of them."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("Pillow", "images", "an image file") from error
    global _registered
    if not _registered:
        with _pillow_lock:  # threads that came while it loads would find some formats unknown
            Image.init()
            _registered = True


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise CorruptImageError(
            f"{width} x {height} is more than {max_pixels:,} pixels: a mistake or a decompression "
            "bomb; raise max_pixels if it is neither"
        )


def _simplejpeg(data: bytes, max_pixels: int) -> Bytes | None:
    """The JPEG decoded, or None where Pillow has to see to it."""
    try:
        import simplejpeg
    except ImportError:
        return None
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        # CMYK has no standard way to RGB; what is too large is refused in one place.
        if colorspace not in ("YCbCr", "Gray") or width * height > max_pixels:
            return None
        pixels: Bytes = simplejpeg.decode_jpeg(data, "RGB")
        return pixels
    except ValueError:
        return None


def eight_bits(image: Image, color_mode: str) -> Bytes:
    """An opened image, decoded and converted."""
    mode = _MODES[color_mode]
    if image.mode.startswith("I") or image.mode == "F":
        gray = _from_wide(image)
        return np.repeat(gray[..., None], 3, axis=2) if mode == "RGB" else _with_alpha(gray, mode)
    converted = image.convert(mode)  # decodes the first frame
    pixels = np.asarray(converted, np.uint8)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _from_wide(image: Image) -> Bytes:
    """A gray image of 16 bits as one of 8; convert() would cut it off at 255."""
    values: NDArray[Any] = np.asarray(image)
    if image.mode == "F" or image.format not in ("PNG", "PPM", "TIFF"):
        raise CorruptImageError(f"pixels of mode {image.mode} have no agreed range of values")
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise CorruptImageError("32-bit pixels have no agreed range of values")
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _with_alpha(gray: Bytes, mode: str) -> Bytes:
    if mode == "L":
        return gray[..., None]
    return np.stack([gray, gray, gray, np.full_like(gray, 255)], axis=2)
