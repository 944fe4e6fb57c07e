"""runs/<name>/: the folder that a training run leaves behind.

run.json            how the run was begun: what --resume goes on with
checkpoints/        the state after each of the last two epochs, while the run has not ended
history.csv         a line an epoch, written as it ends
model.safetensors   the trained network
result.json         what was trained, how well, how fast, on what; it comes last
*.png               pictures, where matplotlib is installed
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from striate.datasets._cache import atomic_file
from striate.errors import ArgumentError, FormatError


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, runs: Path, name: str, *, numbered: bool) -> RunFolder:
        """A new one. OSError if it cannot be made.

        numbered: take name-2, name-3, ... if name exists; else an existing one is an error.
        """
        if Path(name).name != name or name in (".", ".."):
            raise ArgumentError(f"--name: a folder's name, not a path, got {name!r}")
        runs.mkdir(parents=True, exist_ok=True)
        return cls(_make(runs, name, numbered))

    @classmethod
    def find(cls, runs: Path, run: str) -> RunFolder:
        """The one of this path, or of this name in `runs`."""
        for path in (Path(run), runs / run):
            if (path / "run.json").is_file():
                return cls(path)
        raise ArgumentError(
            f"--resume {run}: no run: neither {run} nor {runs / run} has a run.json"
        )

    @classmethod
    def newest(cls, runs: Path, wanted: Callable[[Mapping[str, Any]], bool]) -> RunFolder:
        """The run in `runs` that was begun last, of those that have not ended and are `wanted`."""
        begun = []
        for file in runs.glob("*/run.json"):
            folder = cls(file.parent)
            if not folder.ended and wanted(folder.read_run()):
                begun.append((file.stat().st_mtime_ns, folder.path.name, folder))
        if not begun:
            raise ArgumentError(f"--resume: {runs} has no such run that has not ended")
        return max(begun)[2]

    @property
    def run(self) -> Path:
        return self.path / "run.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def history(self) -> Path:
        return self.path / "history.csv"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def ended(self) -> bool:
        """Whether everything is written."""
        return self.result.exists()

    def write_run(self, run: Mapping[str, Any]) -> None:
        """run.json, whole or not at all."""
        _write(self.run, run)

    def read_run(self) -> dict[str, Any]:
        """run.json's contents. FormatError if it is damaged."""
        return _read(self.run)

    def write_result(self, result: Mapping[str, Any]) -> None:
        """result.json, with a line a key, whole or not at all."""
        _write(self.result, result)

    def read_result(self) -> dict[str, Any]:
        """result.json's contents. FormatError if it is damaged."""
        return _read(self.result)


def _write(path: Path, values: Mapping[str, Any]) -> None:
    with atomic_file(path) as file:
        file.write((json.dumps(values, indent=2) + "\n").encode())
        file.flush()
        os.fsync(file.fileno())  # a crash of the machine must not leave a run without it


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: damaged: {error}") from None
    if not isinstance(values, dict):
        raise FormatError(f"{path}: damaged: it is no JSON object")
    return values


def _make(runs: Path, name: str, numbered: bool) -> Path:
    """The first of name, name-2, name-3, ... that can be made; two runs never share one."""
    number = 1
    while True:
        path = runs / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            if not numbered:
                raise ArgumentError(
                    f"{path} exists; another --name, or none, makes another folder; "
                    f"--resume {path} goes on with a run that was stopped"
                ) from None
            number += 1
        else:
            return path
