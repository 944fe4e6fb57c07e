"""`striate info`: what runs here, and why."""

from __future__ import annotations

import importlib.metadata

import click

from striate.config import config

_EXTRAS = {"plot": "matplotlib", "images": "pillow"}


@click.command()
def info() -> None:
    """Show the version, the compiler, the instruction set, the threads and the extras."""
    rows = config() | {f"extra {name}": _version(package) for name, package in _EXTRAS.items()}
    width = max(map(len, rows))
    for name, value in rows.items():
        click.echo(f"{name:<{width}}  {value}")


def _version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{package} is not installed"
