"""Options that several commands have, and what checks them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from striate import _core
from striate.cli import inputs

F = TypeVar("F", bound=Callable[..., Any])


def numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> list[int] | None:
    """The callback of an option that takes positive whole numbers, "1,5": sorted, each once."""
    if value is None:
        return None
    try:
        found = sorted({int(part) for part in value.split(",")})
    except ValueError:
        found = [0]
    if found[0] < 1:
        raise click.BadParameter(
            f"{value!r}: whole numbers from 1 on, with commas between them", ctx, param
        )
    return found


def _set_threads(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    if value is not None:
        _core.set_num_threads(value)
    return value


def threads_option(command: F) -> F:
    """--threads, which takes effect at once."""
    return click.option(
        "--threads", type=click.IntRange(min=1), callback=_set_threads, expose_value=False,
        help="Threads to compute with.  [default: see `striate info`]",
    )(command)  # fmt: skip


def picture_options(command: F) -> F:
    """--resize, --preprocess and --labels: what is to be known of a network's images."""
    for option in (
        click.option(
            "--labels", type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="FILE", help="The classes' names, one a line.  [default: as the model says]",
        ),
        click.option(
            "--preprocess", type=click.Choice(inputs.CHOICES),
            help="How pixels become the network's input: none, 0 to 255; unit, 0 to 1; torch, "
            "caffe, tf: see applications.preprocess_input.  [default: as the model says]",
        ),
        click.option(
            "--resize", type=click.IntRange(min=1), metavar="N",
            help="An image's shorter side before its centre is cut out.  [default: as the model "
            "says; 256 for networks that see 224]",
        ),
    ):  # fmt: skip
        command = option(command)
    return command
