"""runs/<name>/: the folder that a training run leaves behind.

model.safetensors   the trained network
history.csv         a line an epoch, written as it ends
result.json         what was trained, how well, how fast, on what
*.png               pictures, where matplotlib is installed
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from striate.errors import ArgumentError


class RunFolder:
    """A folder of its own for one run, made when this is made. OSError if it cannot be."""

    def __init__(self, runs: Path, name: str, *, numbered: bool) -> None:
        """numbered: take name-2, name-3, ... if name exists; else an existing one is an error."""
        if Path(name).name != name or name in (".", ".."):
            raise ArgumentError(f"--name: a folder's name, not a path, got {name!r}")
        runs.mkdir(parents=True, exist_ok=True)
        self.path = _make(runs, name, numbered)

    @property
    def model(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def history(self) -> Path:
        return self.path / "history.csv"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    def write_result(self, result: Mapping[str, Any]) -> None:
        """result.json, with a line a key."""
        self.result.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


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
                    f"{path} exists; another --name, or none, makes another folder"
                ) from None
            number += 1
        else:
            return path
