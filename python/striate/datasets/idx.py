"""IDX files, the format of MNIST: read strictly, written atomically, plain or gzip.

An IDX file is two zero bytes, a type code, the rank, one big-endian uint32 per dimension, and the
elements in C order, big-endian. Nothing else: a file that is longer or shorter is refused.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, FormatError
from ._cache import atomic_file

__all__ = ["read_idx", "write_idx"]

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
_CODES = {np.dtype(text): code for code, text in _DTYPES.items()}
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_RANK = 64  # NumPy's
# Deflate cannot do better than 1032:1, so that what a header claims can be held against the size
# of a compressed file too, before any of it is allocated.
_MAX_DEFLATE_RATIO = 1032
_CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Reads an IDX file, plain or gzip (told by its first bytes, not by its name).

    Returns:
        A new, writable, C-contiguous array in native byte order, with the file's shape; its type
        is uint8, int8, int16, int32, float32 or float64.

    Raises:
        FormatError: the file, which the message names, is not a whole IDX file and nothing more.
        OSError: it cannot be opened or read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        packed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        try:
            if packed:
                with gzip.GzipFile(fileobj=file, mode="rb") as stream:
                    return _parse(stream, size * _MAX_DEFLATE_RATIO, os.fspath(path))
            return _parse(file, size, os.fspath(path))
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise FormatError(f"{os.fspath(path)}: damaged gzip file: {error}") from None


def write_idx(path: str | os.PathLike[str], array: NDArray[Any]) -> None:
    """Writes `array` as an IDX file, through gzip if the name ends in ".gz".

    The file appears whole or not at all, and the same array always gives the same bytes.

    Raises:
        ArgumentError: IDX has no code for the array's type, or no room for its shape.
        OSError: the file cannot be written.
    """
    array = np.asarray(array)
    header = idx_header(array)
    big_endian = np.ascontiguousarray(array, array.dtype.newbyteorder(">"))
    with atomic_file(Path(path)) as file:
        if os.fspath(path).endswith(".gz"):
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as stream:
                stream.write(header)
                stream.write(big_endian.data)
        else:
            file.write(header)
            file.write(big_endian.data)


def idx_header(array: NDArray[Any]) -> bytes:
    """The bytes before the elements in the one IDX file that holds `array`."""
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        known = ", ".join(str(np.dtype(text)) for text in _DTYPES.values())
        raise ArgumentError(f"write_idx: IDX holds {known}; got {array.dtype}")
    if not 1 <= array.ndim <= _MAX_RANK:
        raise ArgumentError(f"write_idx: rank must be 1 to {_MAX_RANK}, got {array.ndim}")
    if max(array.shape) >= 1 << 32:
        raise ArgumentError(f"write_idx: a dimension must be below 2**32, got shape {array.shape}")
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)


def _parse(stream: IO[bytes] | gzip.GzipFile, most: int, name: str) -> NDArray[Any]:
    """The array in `stream`, of which at most `most` bytes can exist."""
    dtype, shape = _parse_header(stream, name)
    header_size = 4 + 4 * len(shape)
    claimed = math.prod(shape) * dtype.itemsize
    if header_size + claimed > most:
        raise FormatError(
            f"{name}: the header claims shape {shape} of {dtype.name}, {claimed} bytes; "
            f"the file has room for {max(0, most - header_size)}"
        )
    # A zero among the dimensions lets the others claim anything; NumPy's limit is on them.
    if math.prod(max(1, extent) for extent in shape) * dtype.itemsize >= 1 << 62:
        raise FormatError(f"{name}: the header claims shape {shape}, which no array can have")
    payload = bytearray()
    while len(payload) < claimed:
        chunk = stream.read(min(_CHUNK, claimed - len(payload)))
        if not chunk:
            raise FormatError(
                f"{name}: the header claims {claimed} bytes of elements, "
                f"the file ends after {len(payload)}"
            )
        payload += chunk
    if stream.read(1):
        raise FormatError(f"{name}: there is more after the {claimed} bytes that the header claims")
    array = np.frombuffer(payload, dtype.newbyteorder(">")).reshape(shape)
    return np.ascontiguousarray(array, dtype)


def _parse_header(
    stream: IO[bytes] | gzip.GzipFile, name: str
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Type and shape that the first bytes of `stream` claim."""
    magic = stream.read(4)
    if len(magic) < 4:
        raise FormatError(f"{name}: {len(magic)} bytes long, too short for an IDX file")
    zero, code, rank = struct.unpack(">HBB", magic)
    if zero != 0 or code not in _DTYPES:
        raise FormatError(f"{name}: not an IDX file: it begins with {magic.hex(' ')}")
    if not 1 <= rank <= _MAX_RANK:
        raise FormatError(f"{name}: rank must be 1 to {_MAX_RANK}, got {rank}")
    extents = stream.read(4 * rank)
    if len(extents) < 4 * rank:
        raise FormatError(f"{name}: the file ends in the middle of its {rank} dimensions")
    return np.dtype(_DTYPES[code]), struct.unpack(f">{rank}I", extents)
