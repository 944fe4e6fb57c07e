"""CIFAR-10 and CIFAR-100: where they are looked for, how they are fetched, verified and read.

In order: the folder that the caller names, the folder in STRIATE_DATA, the user's cache, and the
mirrors. A folder may hold, itself or in a subfolder of the set's name: the published archive of the
binary version; that archive unpacked; or the images as train/CLASS/FILE and test/CLASS/FILE, which
are read as they are, verified by nothing but their classes and their size of 32 x 32 pixels.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DatasetNotFound, FormatError
from ._cache import cache_folder
from ._mirrors import cache_is_writable, fetch_from_any
from .image_folder import ImageFolder

Bytes: TypeAlias = NDArray[np.uint8]
Split: TypeAlias = tuple[Bytes, Bytes]

SIDE = 32
_PIXELS = 3 * SIDE * SIDE


@dataclass(frozen=True)
class CifarFile:
    """One file of the binary version: records of label bytes and 3072 pixels, red plane first."""

    name: str
    records: int
    sha256: str


@dataclass(frozen=True)
class CifarSet:
    """A set and its published archive."""

    name: str
    archive: str
    sha256: str
    folder: str  # in the archive
    train: tuple[CifarFile, ...]
    test: tuple[CifarFile, ...]
    label_bytes: int
    label: int  # which of them is the label
    classes: tuple[str, ...]  # by label; the names of the folders of images
    mirrors: tuple[str, ...]  # addresses, each ending in "/"

    def file_size(self, file: CifarFile) -> int:
        """In bytes."""
        return file.records * (self.label_bytes + _PIXELS)


class _Found(NamedTuple):
    """Where a set was found, in which of its three forms."""

    archive: Path | None = None
    unpacked: Path | None = None
    images: Path | None = None


def load_cifar_set(wanted: CifarSet, path: str | os.PathLike[str] | None) -> tuple[Split, Split]:
    """`(x_train, y_train), (x_test, y_test)`: uint8 [N, 32, 32, 3] and uint8 [N].

    Raises:
        DatasetNotFound: it is in no folder and on no mirror, or the cache cannot be written.
        FormatError: what was found is not the set: damaged, or with another checksum.
    """
    tried: list[str] = []
    if path is not None:
        found = _find(wanted, Path(path).expanduser(), tried)
        if found is None:
            raise DatasetNotFound(_report(wanted, tried))
        return _read(wanted, found)
    data = os.environ.get("STRIATE_DATA")
    found = _find(wanted, Path(data).expanduser(), tried) if data else None
    if found is None:
        cache = cache_folder(wanted.name)
        found = _find_in(wanted, cache, tried) or _download(wanted, cache, tried)
    return _read(wanted, found)


def _find(wanted: CifarSet, folder: Path, tried: list[str]) -> _Found | None:
    return _find_in(wanted, folder, tried) or _find_in(wanted, folder / wanted.name, tried)


def _find_in(wanted: CifarSet, folder: Path, tried: list[str]) -> _Found | None:
    """The set in `folder` itself, or None and a line in `tried` that says what lacks."""
    if not folder.is_dir():
        tried.append(f"{folder}: no such folder")
        return None
    if (folder / wanted.archive).is_file():
        return _Found(archive=folder / wanted.archive)
    names = [file.name for file in (*wanted.train, *wanted.test)]
    for place in (folder, folder / wanted.folder):
        if all((place / name).is_file() for name in names):
            return _Found(unpacked=place)
    # Other sets have train and test folders too: the classes decide whether it is this one.
    for split in ("train", "test"):
        if not all((folder / split / name).is_dir() for name in wanted.classes):
            tried.append(
                f"{folder}: neither {wanted.archive} nor all of {names[0]} .. {names[-1]} nor "
                f"{split}/CLASS with the {len(wanted.classes)} classes"
            )
            return None
    return _Found(images=folder)


def _read(wanted: CifarSet, found: _Found) -> tuple[Split, Split]:
    if found.images is not None:
        return _read_images(wanted, found.images / "train"), _read_images(
            wanted, found.images / "test"
        )
    if found.archive is not None:
        return _read_archive(wanted, found.archive)
    assert found.unpacked is not None
    parts = []
    for files in (wanted.train, wanted.test):
        contents = [_read_verified(wanted, file, found.unpacked / file.name) for file in files]
        parts.append(_decode(wanted, contents))
    return parts[0], parts[1]


def _read_images(wanted: CifarSet, folder: Path) -> Split:
    images = ImageFolder(folder, class_names=wanted.classes)
    x, y = images.load()
    if x.shape[1:] != (SIDE, SIDE, 3):
        raise FormatError(
            f"{folder}: {wanted.name} has images of {SIDE} x {SIDE} pixels, these are "
            f"{x.shape[1]} x {x.shape[2]}"
        )
    return x, y.astype(np.uint8)


def _read_verified(wanted: CifarSet, file: CifarFile, path: Path) -> bytes:
    size = path.stat().st_size
    if size != wanted.file_size(file):
        raise FormatError(f"{path}: expected {wanted.file_size(file)} bytes, got {size}")
    content = path.read_bytes()
    _check(path, file.sha256, hashlib.sha256(content).hexdigest())
    return content


def _check(path: Path, expected: str, got: str) -> None:
    if got != expected:
        raise FormatError(
            f"{path}: wrong SHA-256: expected {expected}, got {got}. It is not the published file: "
            "remove it to fetch another"
        )


def _read_archive(wanted: CifarSet, path: Path) -> tuple[Split, Split]:
    """The set from its verified archive. Nothing is unpacked to disk: members are read by name."""
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    _check(path, wanted.sha256, digest.hexdigest())
    contents: dict[str, bytes] = {}
    sizes = {
        f"{wanted.folder}/{file.name}": wanted.file_size(file)
        for file in (*wanted.train, *wanted.test)
    }
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.name in sizes and member.isfile() and member.size == sizes[member.name]:
                    stream_in = archive.extractfile(member)
                    assert stream_in is not None  # a plain file always has one
                    contents[member.name] = stream_in.read(member.size)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise FormatError(f"{path}: damaged: {error}") from None
    lacking = [name for name, size in sizes.items() if len(contents.get(name, b"")) != size]
    if lacking:
        raise FormatError(f"{path}: lacks {', '.join(lacking)}, or not of the right size")
    parts = [
        _decode(wanted, [contents[f"{wanted.folder}/{file.name}"] for file in files])
        for files in (wanted.train, wanted.test)
    ]
    return parts[0], parts[1]


def _decode(wanted: CifarSet, contents: list[bytes]) -> Split:
    """Files' contents as images [N, 32, 32, 3] and labels [N]. Raises FormatError for a label."""
    records = np.concatenate(
        [np.frombuffer(c, np.uint8).reshape(-1, wanted.label_bytes + _PIXELS) for c in contents]
    )
    y = records[:, wanted.label].copy()
    if y.size and y.max() >= len(wanted.classes):
        raise FormatError(
            f"{wanted.name}: label {y.max()} in record {int(y.argmax())}: labels are below "
            f"{len(wanted.classes)}"
        )
    planes = records[:, wanted.label_bytes :].reshape(-1, 3, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), y


def _download(wanted: CifarSet, cache: Path, tried: list[str]) -> _Found:
    path = cache / wanted.archive
    if not cache_is_writable(cache, tried) or not fetch_from_any(
        wanted.mirrors, wanted.archive, path, lambda part: _read_archive(wanted, part), tried
    ):
        raise DatasetNotFound(_report(wanted, tried))
    return _Found(archive=path)


def _report(wanted: CifarSet, tried: list[str]) -> str:
    """What was tried, and how to bring the files by hand."""
    lines = "\n".join(f"  {line}" for line in tried)
    return (
        f"{wanted.name}: found in no folder and on no mirror. Tried:\n{lines}\n"
        f"To bring it by hand, put {wanted.archive} (or what is in it, or the images as "
        f"train/CLASS/FILE and test/CLASS/FILE) into a folder DIR, or DIR/{wanted.name}, and set "
        "STRIATE_DATA=DIR, or pass --data DIR on the command line or path=DIR to load_data."
    )
