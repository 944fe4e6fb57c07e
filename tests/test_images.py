"""Image files of every kind: how they are read, and what a bad one does.

The files are small ones that the tests write with Pillow.
"""

from __future__ import annotations

import io
import re
import struct
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from image_files import cut, photo, save  # noqa: E402
from striate.datasets import ImageFolder  # noqa: E402
from striate.datasets._decode import decode_image  # noqa: E402
from striate.errors import CorruptImageError  # noqa: E402

RNG = np.random.default_rng(8)
COLOURS = RNG.integers(0, 256, (6, 5, 3)).astype(np.uint8)


def png(header: bytes, rows: bytes) -> bytes:
    """A PNG file from its IHDR and its unpacked rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_colour_modes(tmp_path: Path) -> None:
    path = save(COLOURS, tmp_path / "a.png")
    np.testing.assert_array_equal(decode_image(path), COLOURS)
    gray = decode_image(path, "grayscale")
    np.testing.assert_allclose(gray[..., 0], COLOURS @ [0.299, 0.587, 0.114], atol=0.51)
    rgba = decode_image(path, "rgba")
    np.testing.assert_array_equal(rgba[..., :3], COLOURS)
    assert (rgba[..., 3] == 255).all()


def test_gray_palette_bilevel_and_transparent_images(tmp_path: Path) -> None:
    gray = COLOURS[..., 0]
    np.testing.assert_array_equal(
        decode_image(save(gray, tmp_path / "l.png")), np.repeat(gray[..., None], 3, 2)
    )
    palette = Image.fromarray(COLOURS).quantize(30)
    expected = np.asarray(palette.convert("RGB"))
    np.testing.assert_array_equal(decode_image(save(palette, tmp_path / "p.png")), expected)
    np.testing.assert_array_equal(
        decode_image(save(palette, tmp_path / "t.png", transparency=0)), expected
    )
    alpha = np.dstack([COLOURS, np.full((6, 5), 0, np.uint8)])
    np.testing.assert_array_equal(decode_image(save(alpha, tmp_path / "rgba.png")), COLOURS)
    with_alpha = np.stack([gray, gray // 2], axis=2)
    np.testing.assert_array_equal(decode_image(save(with_alpha, tmp_path / "la.png"))[..., 1], gray)
    bilevel = Image.fromarray((gray > 128).astype(np.uint8) * 255).convert("1")
    np.testing.assert_array_equal(
        decode_image(save(bilevel, tmp_path / "1.png"))[..., 0], (gray > 128) * np.uint8(255)
    )


def test_cmyk(tmp_path: Path) -> None:
    flat = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    for name in ("a.jpg", "a.tif"):
        read = decode_image(save(flat, tmp_path / name))
        np.testing.assert_allclose(read, np.full((16, 16, 3), [255, 0, 0]), atol=2)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_divided_by_257(tmp_path: Path, name: str) -> None:
    wide = np.array([[0, 257, 256 * 257 // 2, 30000, 65535]], np.uint16)
    path = save(wide, tmp_path / name)
    expected = np.rint(wide / 257).astype(np.uint8)
    np.testing.assert_array_equal(decode_image(path, "grayscale")[..., 0], expected)
    np.testing.assert_array_equal(decode_image(path)[..., 2], expected)
    np.testing.assert_array_equal(decode_image(path, "rgba")[..., 0], expected)
    assert expected[0, -1] == 255


def test_sixteen_bit_pgm_and_colour(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 65535\n" + struct.pack(">2H", 65535, 25700))
    assert decode_image(tmp_path / "a.pgm", "grayscale").ravel().tolist() == [255, 100]
    rows = b"\0" + struct.pack(">3H", 65535, 0x8123, 255)
    (tmp_path / "a.png").write_bytes(png(struct.pack(">2I5B", 1, 1, 16, 2, 0, 0, 0), rows))
    assert decode_image(tmp_path / "a.png").ravel().tolist() == [255, 0x81, 0]


def test_kinds_without_a_range_are_refused(tmp_path: Path) -> None:
    real = save(Image.fromarray(np.ones((3, 3), np.float32)), tmp_path / "f.tif")
    with pytest.raises(CorruptImageError, match="f.tif: .*mode F have no agreed range"):
        decode_image(real)
    wide = save(Image.fromarray(np.full((3, 3), 1 << 20, np.int32)), tmp_path / "i.tif")
    with pytest.raises(CorruptImageError, match="i.tif: 32-bit"):
        decode_image(wide)


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_of_an_animation_the_first_frame(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    lossless = {"lossless": True} if name == "a.webp" else {}
    save(frames[0], tmp_path / name, save_all=True, append_images=frames[1:], **lossless)
    assert (decode_image(tmp_path / name) == [255, 0, 0]).all()


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.png", "a.bmp", "a.gif", "a.webp", "a.ppm",
                                  "a.tiff"])  # fmt: skip
def test_formats(tmp_path: Path, name: str) -> None:
    save(np.full((9, 7, 3), 130, np.uint8), tmp_path / "set" / "class" / name)
    folder = ImageFolder(tmp_path / "set")
    np.testing.assert_allclose(folder.image(0), np.full((9, 7, 3), 130), atol=2)


def test_exif_orientation_is_not_followed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    save(photo(1, 8, 16), tmp_path / "a.jpg", exif=exif)
    assert decode_image(tmp_path / "a.jpg").shape == (8, 16, 3)


def jpegs() -> dict[str, bytes]:
    smooth = np.add.outer(np.arange(41) * 3, np.arange(37) * 2)[..., None] + RNG.integers(
        0, 40, (41, 37, 3)
    )
    image = Image.fromarray(smooth.astype(np.uint8))
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "4:4:4": (image, {"subsampling": 0}),
        "4:2:0": (image, {"subsampling": 2, "quality": 60}),
        "progressive": (image, {"progressive": True}),
        "gray": (image.convert("L"), {}),
        "cmyk": (image.convert("CMYK"), {}),
    }
    files = {}
    for name, (kind, options) in kinds.items():
        stream = io.BytesIO()
        kind.save(stream, "JPEG", **options)
        files[name] = stream.getvalue()
    return files


@pytest.mark.parametrize("kind", ["4:4:4", "4:2:0", "progressive", "gray", "cmyk"])
def test_simplejpeg_and_pillow_read_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    pytest.importorskip("simplejpeg")
    data = jpegs()[kind]
    damaged = bytearray(data)
    damaged[len(data) * 3 // 4 : len(data) * 3 // 4 + 8] = bytes(8)
    for name, content in (("whole", data), ("damaged", bytes(damaged))):
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(content)
        with_simplejpeg = decode_image(path)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "simplejpeg", None)
            np.testing.assert_array_equal(decode_image(path), with_simplejpeg)


# Bad files


def bomb(path: Path) -> None:
    """A PNG that says it has 100,000 x 100,000 pixels."""
    path.write_bytes(png(struct.pack(">2I5B", 100_000, 100_000, 8, 2, 0, 0, 0), b"\0"))


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "empty": ("x.png", lambda p: p.write_bytes(b""), "is empty"),
    "text": ("x.jpg", lambda p: p.write_text("<html>404</html>"), "no image of a known format"),
    "header only": ("x.jpg", lambda p: p.write_bytes(b"\xff\xd8\xff"), "x.jpg"),
    "cut png": ("x.png", lambda p: (save(photo(1, 60, 60), p), cut(p, 0.5)), "cut short"),
    "cut jpeg": ("x.jpg", lambda p: (save(photo(1, 60, 60), p), cut(p, 0.7)), "cut short"),
    "cut gif": ("x.gif", lambda p: (save(photo(1, 60, 60), p), cut(p, 0.5)), "x.gif"),
    "gigapixel": ("x.png", bomb, "decompression bomb"),
    "postscript": ("x.png", lambda p: p.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "no image"),
    "folder": ("x.png", lambda p: p.mkdir(), "cannot be read"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("simplejpeg", [True, False])
def test_a_bad_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, simplejpeg: bool
) -> None:
    name, make, message = BAD[kind]
    if not simplejpeg:
        monkeypatch.setitem(sys.modules, "simplejpeg", None)
    make(tmp_path / name)
    with pytest.raises(CorruptImageError, match=f"^{re.escape(str(tmp_path / name))}: ") as caught:
        decode_image(tmp_path / name)
    assert message in str(caught.value)


def test_bits_of_a_file_never_do_worse(tmp_path: Path) -> None:
    """Any damage is an image or a CorruptImageError."""
    for name in ("a.png", "a.gif", "a.bmp", "a.tif", "a.webp", "a.jpg"):
        data = save(photo(3, 20, 20), tmp_path / name).read_bytes()
        for seed in range(25):
            broken = bytearray(data)
            rng = np.random.default_rng(seed)
            for at in rng.integers(0, len(data), 4):
                broken[at] = rng.integers(256)
            (tmp_path / name).write_bytes(bytes(broken))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    assert decode_image(tmp_path / name, max_pixels=10**6).dtype == np.uint8
                except CorruptImageError as error:
                    assert str(tmp_path / name) in str(error)
