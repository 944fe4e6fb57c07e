"""A data set of four IDX files: where it is looked for, how it is fetched, how it is verified.

In order: the folder that the caller names, the folder in STRIATE_DATA, the user's cache, and the
mirrors. A folder must hold all four files, each plain or as .gz; whatever is found is verified.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DatasetNotFound, FormatError
from ._cache import cache_folder
from ._mirrors import cache_is_writable, fetch_from_any
from .idx import idx_header, read_idx

Bytes: TypeAlias = NDArray[np.uint8]
Split: TypeAlias = tuple[Bytes, Bytes]


@dataclass(frozen=True)
class IdxFile:
    """One file of a set. At least one of the two checksums is known.

    `sha256` is of the uncompressed file: mirrors compress differently. `sha256_gz` is of the .gz
    that the set's authors publish, for sets of which no other checksum is published.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str | None = None
    sha256_gz: str | None = None


@dataclass(frozen=True)
class IdxSet:
    """A set: its files in the order train images and labels, test images and labels."""

    name: str
    files: tuple[IdxFile, IdxFile, IdxFile, IdxFile]
    mirrors: tuple[str, ...]  # addresses, each ending in "/", to which `<file name>.gz` is added


def load_idx_set(wanted: IdxSet, path: str | os.PathLike[str] | None) -> tuple[Split, Split]:
    """`(x_train, y_train), (x_test, y_test)` of a set, all uint8.

    Raises:
        DatasetNotFound: it is in no folder and on no mirror, or the cache cannot be written.
        FormatError: a file was found and is not the set's: damaged, or with another checksum.
    """
    tried: list[str] = []
    if path is not None:
        folder = _given_folder(path)
        if folder.suffix == ".npz":
            # Keras's argument names the cache's file. A file of that name is Keras's archive; a
            # bare name is what scripts pass by habit, and asks for nothing.
            if folder.is_file():
                return _read_npz(wanted, folder)
            if folder.parent != Path("."):
                raise DatasetNotFound(_report(wanted, [f"no file {folder}"]))
        else:
            found = _find(wanted, folder, tried)
            if found is None:
                raise DatasetNotFound(_report(wanted, tried))
            return _read_all(wanted, found)
    data = os.environ.get("STRIATE_DATA")
    if data:
        found = _find(wanted, _given_folder(data), tried)
        if found is not None:
            return _read_all(wanted, found)
    cache = cache_folder(wanted.name)
    found = _find_in(wanted, cache, tried)
    if found is None:
        found = _download(wanted, cache, tried)
    return _read_all(wanted, found)


def _given_folder(path: str | os.PathLike[str]) -> Path:
    return Path(path).expanduser()


def _find(wanted: IdxSet, folder: Path, tried: list[str]) -> list[Path] | None:
    """The set's files in `folder` or in its subfolder of the set's name, or None."""
    found = _find_in(wanted, folder, tried)
    return found if found is not None else _find_in(wanted, folder / wanted.name, tried)


def _find_in(wanted: IdxSet, folder: Path, tried: list[str]) -> list[Path] | None:
    """The set's four files in `folder`, or None and a line in `tried` that says what lacks."""
    found = [_plain_or_gz(folder, file) for file in wanted.files]
    paths = [path for path in found if path is not None]
    if len(paths) == len(found):
        return paths
    if not folder.is_dir():
        tried.append(f"{folder}: no such folder")
    elif not paths:
        tried.append(f"{folder}: none of the four files")
    else:
        lacking = [f.name for f, path in zip(wanted.files, found, strict=True) if path is None]
        tried.append(f"{folder}: lacks {', '.join(lacking)}")
    return None


def _plain_or_gz(folder: Path, file: IdxFile) -> Path | None:
    """`file` in `folder`: the one that can be verified first, then the other."""
    names = [file.name, file.name + ".gz"]
    if file.sha256 is None:
        names.reverse()
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_all(wanted: IdxSet, paths: list[Path]) -> tuple[Split, Split]:
    arrays = [_read_verified(file, path) for file, path in zip(wanted.files, paths, strict=True)]
    return (arrays[0], arrays[1]), (arrays[2], arrays[3])


def _read_verified(file: IdxFile, path: Path) -> Bytes:
    """The array in the file at `path`, if it is what `file` should be. Raises FormatError."""
    array = read_idx(path)
    if array.dtype != np.uint8 or array.shape != file.shape:
        raise FormatError(
            f"{path}: expected uint8 of shape {file.shape}, got {array.dtype} of {array.shape}"
        )
    if file.sha256 is not None:
        _check(path, file.sha256, _sha256_of_payload(array), "uncompressed ")
    elif file.sha256_gz is not None and path.suffix == ".gz":
        _check(path, file.sha256_gz, hashlib.sha256(path.read_bytes()).hexdigest(), "")
    return array


def _sha256_of_payload(array: Bytes) -> str:
    """Of the uncompressed IDX file that holds `array`: there is only one such file."""
    digest = hashlib.sha256(idx_header(array))
    digest.update(array.data)
    return digest.hexdigest()


def _check(path: Path, expected: str, got: str, what: str) -> None:
    if got != expected:
        raise FormatError(
            f"{path}: wrong {what}SHA-256: expected {expected}, got {got}. It is not the published "
            "file: remove it to fetch another (striate.datasets.idx.read_idx reads files of yours)"
        )


def _read_npz(wanted: IdxSet, path: Path) -> tuple[Split, Split]:
    """Keras's archive of a set, verified as the IDX files are. Nothing in it is unpickled."""
    arrays: list[Bytes] = []
    try:
        with np.load(path, allow_pickle=False) as archive:
            for key, file in zip(
                ("x_train", "y_train", "x_test", "y_test"), wanted.files, strict=True
            ):
                arrays.append(np.ascontiguousarray(archive[key]))
                if arrays[-1].dtype != np.uint8 or arrays[-1].shape != file.shape:
                    raise ValueError(f"{key}: expected uint8 of shape {file.shape}")
                if file.sha256 is not None:
                    _check(path, file.sha256, _sha256_of_payload(arrays[-1]), f"{key} ")
    except FormatError:
        raise
    except Exception as error:  # zipfile, zlib, struct, tokenize: whatever a bad archive sets off
        raise FormatError(f"{path}: not an archive of {wanted.name}: {error}") from None
    return (arrays[0], arrays[1]), (arrays[2], arrays[3])


def _download(wanted: IdxSet, cache: Path, tried: list[str]) -> list[Path]:
    """Fetches what the cache lacks of a set; its four files there."""
    if not cache_is_writable(cache, tried):
        raise DatasetNotFound(_report(wanted, tried))
    mirrors = list(wanted.mirrors)
    paths = []
    for file in wanted.files:
        path = _plain_or_gz(cache, file)
        if path is None:
            path = cache / (file.name + ".gz")
            check = partial(_read_verified, file)
            mirrors = fetch_from_any(mirrors, file.name + ".gz", path, check, tried)
            if not mirrors:
                raise DatasetNotFound(_report(wanted, tried))
        paths.append(path)
    return paths


def _report(wanted: IdxSet, tried: list[str]) -> str:
    """What was tried, and how to bring the files by hand."""
    names = ", ".join(file.name for file in wanted.files)
    lines = "\n".join(f"  {line}" for line in tried)
    return (
        f"{wanted.name}: found in no folder and on no mirror. Tried:\n{lines}\n"
        f"To bring the files by hand, put {names} (plain or .gz) into a folder DIR, or "
        f"DIR/{wanted.name}, and set STRIATE_DATA=DIR, or pass --data DIR on the command line or "
        "path=DIR to load_data. striate.datasets.digits needs no files."
    )
