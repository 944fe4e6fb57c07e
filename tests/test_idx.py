"""IDX files: what is written reads back, and nothing but a whole IDX file is read."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from striate.datasets.idx import read_idx, write_idx
from striate.errors import ArgumentError, FormatError

DTYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]


def small(dtype: str = "uint8") -> np.ndarray:
    return (np.arange(24).reshape(2, 3, 4) * 5 - 7 * (dtype != "uint8")).astype(dtype)


@pytest.mark.parametrize("name", ["plain", "packed.gz"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_round_trip(tmp_path: Path, dtype: str, name: str) -> None:
    write_idx(tmp_path / name, small(dtype))
    got = read_idx(tmp_path / name)
    np.testing.assert_array_equal(got, small(dtype))
    assert got.dtype == dtype and got.dtype.isnative
    assert got.flags.writeable and got.flags.c_contiguous
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("shape", [(1,), (0,), (0, 28, 28), (3, 0), (2, 1, 1, 1, 3)])
def test_round_trip_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write_idx(tmp_path / "a", np.ones(shape, np.int16))
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), np.ones(shape, np.int16))


def test_round_trip_of_foreign_order_and_strides(tmp_path: Path) -> None:
    array = np.arange(12, dtype=">i4").reshape(3, 4)[:, ::2].T
    write_idx(tmp_path / "a", array)
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), array)


def test_bytes_on_disk(tmp_path: Path) -> None:
    write_idx(tmp_path / "a", np.array([[1, -2]], np.int16))
    assert (tmp_path / "a").read_bytes() == bytes.fromhex("00000b02 00000001 00000002 0001fffe")


def test_gzip_is_told_by_content_and_reproducible(tmp_path: Path) -> None:
    write_idx(tmp_path / "a.gz", small())
    write_idx(tmp_path / "b.gz", small())
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    (tmp_path / "a.gz").rename(tmp_path / "no-suffix")
    np.testing.assert_array_equal(read_idx(tmp_path / "no-suffix"), small())


@pytest.mark.parametrize("name", ["plain", "packed.gz"])
def test_truncated_at_every_byte(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_idx(path, small())
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(FormatError, match=name):
            read_idx(path)


@pytest.mark.parametrize("name", ["plain", "packed.gz"])
def test_every_bit_flipped(tmp_path: Path, name: str) -> None:
    """Either the file is refused, or (a bit of an element, or of gzip's time stamp) it reads."""
    path = tmp_path / name
    write_idx(path, small())
    whole = path.read_bytes()
    read = 0
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            assert read_idx(path).shape == (2, 3, 4)
            read += 1
        except FormatError as error:
            assert name in str(error)
    # Plain: every bit of the 24 elements, and uint8's code turned into int8's.
    assert read == 8 * 24 + 1 if name == "plain" else read < 8 * 10


@pytest.mark.parametrize("name", ["plain", "packed.gz"])
@pytest.mark.parametrize("more", [b"\0", b"more"])
def test_over_long(tmp_path: Path, name: str, more: bytes) -> None:
    path = tmp_path / name
    write_idx(path, small())
    content = path.read_bytes()
    if name == "plain":
        path.write_bytes(content + more)
    else:
        path.write_bytes(gzip.compress(gzip.decompress(content) + more))
    with pytest.raises(FormatError, match="more after the 24 bytes"):
        read_idx(path)


@pytest.mark.parametrize("content", [
    b"<!DOCTYPE html><html>not found</html>",
    b"version https://git-lfs.github.com/spec/v1\n",
    bytes.fromhex("00000a01 00000001 00"),  # a type code that is not used
    bytes.fromhex("01000801 00000001 00"),
])  # fmt: skip
def test_wrong_magic(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(FormatError, match="not an IDX file"):
        read_idx(tmp_path / "a")


@pytest.mark.parametrize("rank", [0, 65, 255])
def test_wrong_rank(tmp_path: Path, rank: int) -> None:
    (tmp_path / "a").write_bytes(bytes([0, 0, 8, rank]) + struct.pack(">I", 1) * rank + b"x")
    with pytest.raises(FormatError, match="rank"):
        read_idx(tmp_path / "a")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(1 << 20, 1 << 20), (0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 60])
def test_terabyte_header(tmp_path: Path, shape: tuple[int, ...], packed: bool) -> None:
    """A header is not believed: nothing of what it claims is allocated."""
    content = struct.pack(f">HBB{len(shape)}I", 0, 0x0E, len(shape), *shape) + bytes(64)
    (tmp_path / "a").write_bytes(gzip.compress(content) if packed else content)
    tracemalloc.start()
    with pytest.raises(FormatError, match="claims shape"):
        read_idx(tmp_path / "a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_zero_dimension_hides_no_impossible_shape(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(struct.pack(">HBB4I", 0, 8, 4, 0, *(0xFFFFFFFF,) * 3))
    with pytest.raises(FormatError, match="no array can have"):
        read_idx(tmp_path / "a")


def test_write_refuses(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="got int64"):
        write_idx(tmp_path / "a", np.arange(3))
    with pytest.raises(ArgumentError, match="rank must be"):
        write_idx(tmp_path / "a", np.array(3, np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_missing_file_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "a")
