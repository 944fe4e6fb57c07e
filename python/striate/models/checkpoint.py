"""The state of training as a file: everything that its next step depends on.

A safetensors file, epoch-0007.safetensors after seven epochs, with

    weights/NAME            every weight, batch normalisation's statistics among them
    optimizer/SLOT          the optimizer's slots, gathered gradients, averages: flat buffers
    callback/I/KEY/J        arrays that callbacks keep

and in its metadata: `format` and `format_version`; `striate_version` and `isa`, which the bits
depend on; `signature`, see signature.py; `progress`, the clocks; `callbacks`, what they remember;
`crc32` of the tensors. It is written under another name and then renamed, so it is never there by
half; the two newest are kept.
"""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from striate import _core
from striate.callbacks import Callback
from striate.errors import ArgumentError, FormatError, warn_once
from striate.models.signature import first_difference, signature

if TYPE_CHECKING:
    from striate.models.model import Model

__all__ = ["Checkpoint", "newest", "remove_all", "restore", "save", "signature"]

FORMAT, VERSION = "striate checkpoint", "1"
_KEPT = 2
_NAME = re.compile(r"epoch-(\d+)\.safetensors")
_UNFINISHED = re.compile(r"epoch-\d+\.safetensors\.tmp\..*")  # of a process that was killed

Tensors = dict[str, NDArray[Any]]


class Checkpoint(NamedTuple):
    """A file's contents."""

    path: Path
    metadata: dict[str, Any]
    tensors: Tensors


def save(
    model: Model,
    folder: Path,
    epoch: int,
    signed: Mapping[str, Any],
    callbacks: Sequence[Callback] = (),
) -> None:
    """Writes the state after `epoch` (the first is 0), and removes files but for the last two."""
    network = model.network
    averaged = network.average_in_use
    if averaged:
        network.use_average(False)
    try:
        infos = network.parameters()
        tensors = {
            f"weights/{info['name']}": network.get_parameter(index)
            for index, info in enumerate(infos)
        }
        tensors |= {f"optimizer/{name}": slot for name, slot in network.optimizer_state().items()}
    finally:
        if averaged:
            network.use_average(True)
    states = [_packed(callback, place, tensors) for place, callback in enumerate(callbacks)]
    ended = model.compiled.optimizer.schedule is None
    progress = {
        "epoch": epoch + 1,
        "epochs_trained": model.epochs_trained,
        "iterations": network.iterations,
        "samples_seen": network.samples_seen,
        "learning_rate": network.learning_rate if ended else None,
        "stopped": model.stop_training,
    }
    metadata = {
        "format": FORMAT,
        "format_version": VERSION,
        "striate_version": _core.__version__,
        "isa": _core.isa(),
        "signature": json.dumps(signed),
        "progress": json.dumps(progress),
        "callbacks": json.dumps(states),
        "crc32": str(_checksum(tensors)),
    }
    _core.write_safetensors(str(folder / f"epoch-{epoch + 1:04}.safetensors"), metadata, tensors)
    for old in _files(folder)[_KEPT:]:
        old.unlink(missing_ok=True)


def newest(folder: Path) -> Checkpoint | None:
    """The newest file in the folder that can be read; None where there is no file.

    What a process that was killed had begun to write is removed.

    Raises:
        FormatError: there are files, and all are damaged.
    """
    for path in folder.iterdir():
        if _UNFINISHED.fullmatch(path.name):
            with contextlib.suppress(OSError):
                path.unlink()
    files = _files(folder)
    reasons = []
    for path in files:
        try:
            return read(path)
        except FormatError as error:
            reasons.append(str(error))
            if path is not files[-1]:
                warn_once(f"{error}; the checkpoint before it is taken")
    if reasons:
        raise FormatError("no checkpoint can be read:\n  " + "\n  ".join(reasons))
    return None


def read(path: Path) -> Checkpoint:
    """A file's contents, checked against its checksum.

    Raises:
        FormatError: damaged, or no checkpoint of this version.
    """
    text, tensors = _core.read_safetensors(str(path))
    if text.get("format") != FORMAT:
        raise FormatError(f"{path}: is not a striate checkpoint")
    if text.get("format_version") != VERSION:
        raise FormatError(
            f"{path}: has format version {text.get('format_version')!r}, striate "
            f"{_core.__version__} reads {VERSION!r}: a newer striate may have written it"
        )
    if text.get("crc32") != str(_checksum(tensors)):
        raise FormatError(f"{path}: damaged: its checksum is not that of its contents")
    try:
        metadata = {name: json.loads(text[name]) for name in ("signature", "progress", "callbacks")}
        _check_progress(metadata["progress"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"{path}: damaged: {error}") from None
    return Checkpoint(path, text | metadata, tensors)


def _check_progress(progress: Mapping[str, Any]) -> None:
    for name in ("epoch", "epochs_trained", "iterations", "samples_seen"):
        if type(progress[name]) is not int or progress[name] < 0:
            raise ValueError(f"{name} is {progress[name]!r}")
    if type(progress["stopped"]) is not bool or not isinstance(
        progress["learning_rate"], (float, int, type(None))
    ):
        raise ValueError("progress has values of other kinds")


def restore(
    model: Model,
    found: Checkpoint,
    signed: Mapping[str, Any],
    callbacks: Sequence[Callback] = (),
) -> None:
    """Puts model, optimizer and callbacks into the state of the file.

    Raises:
        ArgumentError: the model, its optimizer or its data are not those of the file.
        FormatError: the file lacks something.
    """
    difference = first_difference(found.metadata["signature"], signed)
    if difference is not None:
        raise ArgumentError(
            f"{found.path}: cannot be resumed from: {difference}. A resumed run goes on with the "
            "network, the data and the settings that it began with: give those back, or begin "
            "another run in another folder"
        )
    _note_other_machine(found)
    progress, tensors = found.metadata["progress"], found.tensors
    rate = progress["learning_rate"]
    if rate is None and model.optimizer.schedule is None:
        raise ArgumentError(
            f"{found.path}: cannot be resumed from: the learning rate's schedule was ended in this "
            "process: compile the model again"
        )
    network = model.network_to_update()
    if network.average_in_use:
        network.use_average(False)
    try:
        names = [f"weights/{info['name']}" for info in network.parameters()]
        slots = {
            name.removeprefix("optimizer/"): tensor
            for name, tensor in tensors.items()
            if name.startswith("optimizer/")
        }
        stored = _stored_weights(found, names)
        network.set_optimizer_state(slots)
        for index, values in enumerate(stored):
            network.set_parameter(index, values)
    except (KeyError, ValueError) as error:
        raise FormatError(f"{found.path}: does not hold this network's state: {error}") from error
    network.iterations = progress["iterations"]
    network.samples_seen = progress["samples_seen"]
    if rate is not None:
        model.optimizer.learning_rate = rate
    model.epochs_trained = progress["epochs_trained"]
    model.initial_epoch = progress["epoch"]
    model.stop_training = progress["stopped"]
    _unpack(found, callbacks)


def _stored_weights(found: Checkpoint, names: list[str]) -> list[NDArray[Any]]:
    """By place: where a layer has another automatic name now, its weights have too."""
    stored = [entry[0] for entry in found.metadata["signature"]["weights"]]
    return [found.tensors[f"weights/{name}"] for name in stored[: len(names)]]


def remove_all(folder: Path) -> None:
    """Removes the checkpoints, and the folder if nothing else is in it."""
    for path in _files(folder):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _files(folder: Path) -> list[Path]:
    """The checkpoints in the folder, the newest first."""
    if not folder.is_dir():
        return []
    named = [(match, path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(named, key=lambda pair: -int(pair[0][1]))]


def _checksum(tensors: Tensors) -> int:
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(np.ascontiguousarray(tensors[name]).data, crc)
    return crc


def _packed(callback: Callback, place: int, tensors: Tensors) -> dict[str, Any]:
    """A callback's state without its arrays, which go to `tensors`."""
    state: dict[str, Any] = {}
    arrays: dict[str, int] = {}
    for key, value in callback.get_state().items():
        if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
            arrays[key] = len(value)
            tensors |= {f"callback/{place}/{key}/{i}": array for i, array in enumerate(value)}
        else:
            state[key] = value
    return {"class": type(callback).__name__, "state": state, "arrays": arrays}


def _unpack(found: Checkpoint, callbacks: Sequence[Callback]) -> None:
    """Gives states to callbacks of the same classes, in order; new ones stay as they are."""
    waiting = list(callbacks)
    for place, entry in enumerate(found.metadata["callbacks"]):
        same = [callback for callback in waiting if type(callback).__name__ == entry["class"]]
        if not same:
            continue
        waiting.remove(same[0])
        state = dict(entry["state"])
        for key, count in entry["arrays"].items():
            state[key] = [found.tensors[f"callback/{place}/{key}/{i}"] for i in range(count)]
        if state:
            same[0].set_state(state)


def _note_other_machine(found: Checkpoint) -> None:
    for key, what, now in (
        ("isa", "instruction set", _core.isa()),
        ("striate_version", "version", _core.__version__),
    ):
        was = found.metadata.get(key)
        if was != now:
            warn_once(
                f"{found.path}: was written with the {what} {was}, this is {now}: the run goes on, "
                "but may end with other bits than it would have had"
            )
