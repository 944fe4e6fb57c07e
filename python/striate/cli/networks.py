"""Networks and model files, as a command line names them."""

from __future__ import annotations

from pathlib import Path

import click

from striate import recipes
from striate.errors import ArgumentError
from striate.models import Model, load_model


def recipe_argument(ctx: click.Context, param: click.Parameter, value: str) -> recipes.Recipe:
    """The callback of an argument that names a recipe."""
    try:
        return recipes.find(value)
    except ArgumentError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def open_model(path: str | Path) -> Model:
    """The model in a file; a folder that a run left stands for its model.safetensors."""
    path = Path(path)
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise ArgumentError(f"no model file {path}")
    return load_model(path)


def network_or_model(name: str) -> Model:
    """A fresh network by its recipe's name, or the model in the file of that name."""
    try:
        return recipes.find(name).build()
    except ArgumentError as error:
        if Path(name).exists():
            return open_model(name)
        raise ArgumentError(f"{error}, and no model file has that name") from None
