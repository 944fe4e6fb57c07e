"""Keras's weight files, read with care: three layouts of one HDF5 file, and the .keras archive.

    .weights.h5   /layers/conv2d_1/vars/0, 1, ..; the groups are named by class and number, and
                  their attribute "name" (since Keras 3.3) is the layer's
    .keras        a zip archive with model.weights.h5 of that layout, and config.json
    .h5, legacy   /[model_weights/]NAME/..., attributes "layer_names" and "weight_names"

Nothing in a file is run: of a configuration only numbers and names are looked at. Links out of the
file, external and virtual datasets are refused, and an array is read only once its shape is known
to be a weight's, so that no file makes striate take more memory than the model itself.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.errors import FormatError, MissingExtraError, StriateError

MOST_GROUPS, MOST_DEPTH = 20_000, 32
MOST_CONFIG = 64 * 2**20  # bytes of config.json
_SPARE = 64 * 2**20  # bytes beyond the weights and an optimizer's copies of them
_MEMBER = "model.weights.h5"


@dataclass
class Stored:
    """What a file holds of one layer, or of a model inside the model.

    Attributes:
        path: in the file, for messages: "layers/conv2d_1".
        kind, number: of the group's name: "conv2d", 1. Empty and the place in a legacy file.
        name: the layer's, where the file says it.
        arrays: the layer's weights in get_weights order.
        inner: of a model, its layers.
    """

    path: str
    kind: str
    number: int
    name: str | None
    arrays: list[StoredArray] = field(default_factory=list)
    inner: list[Stored] = field(default_factory=list)

    def all_arrays(self) -> Iterator[StoredArray]:
        """Its own and those of the layers inside."""
        yield from self.arrays
        for layer in self.inner:
            yield from layer.all_arrays()


@dataclass(frozen=True)
class StoredArray:
    """An array that has not been read yet."""

    path: str
    dataset: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """As the file claims it."""
        return tuple(self.dataset.shape or ())

    def read(self) -> NDArray[np.float32]:
        """The values; call it only for a shape that is expected."""
        return np.asarray(self.dataset[()], np.float32)


@dataclass(frozen=True)
class WeightFile:
    """The layers of the outermost model, and its configuration if the file has one."""

    layers: list[Stored]
    config: Mapping[str, Any] | None


@contextmanager
def open_weights(path: str, model_bytes: int) -> Iterator[WeightFile]:
    """The weights in a file; its arrays can be read until the end of the block.

    Args:
        path: of the file.
        model_bytes: what the model's weights take, which bounds what is unpacked.

    Raises:
        FormatError: not a file of Keras's, or one that reaches out of itself.
        MissingExtraError: h5py is not installed.
        OSError: the file cannot be opened.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "keras", "reading Keras's weights") from error

    try:
        if zipfile.is_zipfile(path):
            config, source = _unpacked(path, model_bytes)
            _check_heaps(path, source.getvalue())
            with h5py.File(source, "r") as file:
                yield _Reader(path).contents(file, config)
        else:
            with open(path, "rb") as raw, mmap(raw.fileno(), 0, access=ACCESS_READ) as view:
                _check_heaps(path, view)
            with h5py.File(path, "r") as file:
                yield _Reader(path).contents(file, _legacy_config(file))
    except (StriateError, FileNotFoundError, PermissionError):
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise FormatError(f"{path}: is no weight file of Keras's: {error}") from error


def _check_heaps(path: str, data: bytes | mmap) -> None:
    """Refuses a file that would keep libhdf5 busy for ever.

    It keeps names in "global heaps": GCOL, version, size, then objects of (index, references, size)
    end to end, the last with index 0 for the rest. libhdf5 steps from one to the next by the sizes
    that it finds, and never ends where one is 0 or leads back.
    """
    start = data.find(b"GCOL\x01")
    while start >= 0:
        end = start + int.from_bytes(data[start + 8 : start + 16], "little")
        at = start + 16
        while start + 4096 <= end <= len(data) and at + 16 <= end:  # else libhdf5 refuses it
            index = int.from_bytes(data[at : at + 2], "little")
            size = int.from_bytes(data[at + 8 : at + 16], "little")
            step = 16 + (size + 7) // 8 * 8 if index else size
            if not 16 <= step <= end - at:
                raise FormatError(f"{path}: its table of names is damaged")
            at += step
        start = data.find(b"GCOL\x01", start + 1)


def _unpacked(path: str, model_bytes: int) -> tuple[Mapping[str, Any] | None, io.BytesIO]:
    most = 8 * model_bytes + _SPARE
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if _MEMBER not in names:
            raise FormatError(f"{path}: holds no {_MEMBER}: it is no .keras file")
        config = None
        if "config.json" in names:
            config = _json(path, _member(path, archive, "config.json", MOST_CONFIG))
        return config, io.BytesIO(_member(path, archive, _MEMBER, most))


def _member(path: str, archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    with archive.open(name) as member:
        data = member.read(most + 1)
    if len(data) > most:
        raise FormatError(f"{path}: {name} unpacks to more than {most} bytes: not of this model")
    return data


def _json(path: str, text: str | bytes) -> Mapping[str, Any] | None:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: its configuration is not JSON: {error}") from None
    return config if isinstance(config, dict) else None


def _legacy_config(file: Any) -> Mapping[str, Any] | None:
    text = _text(file, "model_config")
    return _json(str(file.filename), text[0]) if text else None


class _Reader:
    """Walks through a file, never out of it and not for ever."""

    def __init__(self, path: str) -> None:
        import h5py

        self._h5py = h5py
        self._path = path
        self._groups = 0

    def contents(self, file: Any, config: Mapping[str, Any] | None) -> WeightFile:
        """Finds out which layout it is."""
        for top in ("layers", "_layer_checkpoint_dependencies"):
            if top in file:
                return WeightFile(self.layers(self.group(file, top), top), config)
        group = self.group(file, "model_weights") if "model_weights" in file else file
        names = _names(group, "layer_names")
        if names is None:
            raise FormatError(
                f'{self._path}: has neither a group "layers" nor an attribute "layer_names": '
                "no weight file of Keras's"
            )
        return WeightFile(self.legacy_layers(group, names), config)

    def layers(self, group: Any, shown: str, depth: int = 0) -> list[Stored]:
        """What lies under /layers, or under a model inside."""
        if depth > MOST_DEPTH:
            raise FormatError(f"{self._path}: models inside models {MOST_DEPTH} deep")
        found = []
        for key in group:
            layer = self.group(group, key)
            kind, number = _kind_and_number(key)
            stored = Stored(f"{shown}/{key}", kind, number, None)
            if "vars" in layer:
                variables = self.group(layer, "vars")
                stored.name = next(iter(_text(variables, "name") or []), None)
                stored.arrays = [
                    self.array(variables, index, f"{stored.path}/vars/{index}")
                    for index in sorted(variables, key=int)
                ]
            if "layers" in layer:
                inner = self.group(layer, "layers")
                stored.inner = self.layers(inner, f"{stored.path}/layers", depth + 1)
            found.append(stored)
        return found

    def legacy_layers(self, group: Any, names: list[str]) -> list[Stored]:
        """The layers of these names, which the file gives in the model's order."""
        found = []
        for number, name in enumerate(names):
            layer = self.group(group, name)
            arrays = []
            for weight in _names(layer, "weight_names") or []:
                *parents, last = [part for part in weight.split("/") if part]
                parent = layer
                for part in parents:
                    parent = self.group(parent, part)
                arrays.append(self.array(parent, last, f"{name}/{weight}"))
            found.append(Stored(name, "", number, name, arrays))
        return found

    def group(self, parent: Any, name: str) -> Any:
        """A group of the file itself."""
        group = self._child(parent, name)
        if not isinstance(group, self._h5py.Group):
            raise FormatError(f"{self._path}: {name} is no group")
        self._groups += 1
        if self._groups > MOST_GROUPS or len(group) > MOST_GROUPS:
            raise FormatError(
                f"{self._path}: more than {MOST_GROUPS} groups, or groups in a circle"
            )
        return group

    def array(self, parent: Any, name: str, shown: str) -> StoredArray:
        """A dataset of the file itself, of numbers; not read yet."""
        dataset = self._child(parent, name)
        if not isinstance(dataset, self._h5py.Dataset):
            raise FormatError(f"{self._path}: {shown} is no dataset")
        if dataset.is_virtual or dataset.external:
            raise FormatError(f"{self._path}: {shown} lies in another file")
        if dataset.dtype.kind not in "fiu" or dataset.dtype.itemsize > 8:
            raise FormatError(f"{self._path}: {shown} holds {dataset.dtype}, expected numbers")
        if dataset.chunks and math.prod(dataset.chunks) > 4 * dataset.size + 2**20:
            raise FormatError(f"{self._path}: {shown} is kept in pieces larger than itself")
        return StoredArray(shown, dataset)

    def _child(self, parent: Any, name: str) -> Any:
        link = parent.get(name, getlink=True)
        if not isinstance(link, self._h5py.HardLink):
            raise FormatError(
                f"{self._path}: {name} is a {type(link).__name__}, which may lead anywhere"
            )
        return parent[name]


def _kind_and_number(key: str) -> tuple[str, int]:
    """("conv2d", 1) of conv2d_1, ("conv2d", 0) of conv2d."""
    found = re.fullmatch(r"(.*?)_([1-9]\d{0,6})", key)
    return (found[1], int(found[2])) if found else (key, 0)


def _names(group: Any, attribute: str) -> list[str] | None:
    """A list of names; a long one is cut into attributes layer_names0, layer_names1, .."""
    whole = _text(group, attribute)
    if whole is not None:
        return whole
    names: list[str] = []
    count = 0
    while (part := _text(group, f"{attribute}{count}")) is not None:
        names += part
        count += 1
    return names if count else None


def _text(group: Any, attribute: str) -> list[str] | None:
    """An attribute's strings; None if there is no such attribute, or none of strings.

    Its type is looked at first: libhdf5 crashes on a string whose type says that it is a list.
    """
    import h5py

    if attribute not in group.attrs:
        return None
    dtype = group.attrs.get_id(attribute).dtype
    if dtype.kind != "S" and h5py.check_string_dtype(dtype) is None:
        return None
    value = group.attrs[attribute]
    return [
        text.decode("utf-8") if isinstance(text, bytes) else str(text)
        for text in np.atleast_1d(value)
    ]
