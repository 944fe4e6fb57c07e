"""The command line: `striate train lenet5` and what surrounds it.

Each command is a file of its own here; this one holds the group, and turns every error that
striate raises on purpose into one clean message and an exit code: 2 for what the user can mend in
the command or its data, 1 for the rest, 130 after Ctrl-C.
"""

from __future__ import annotations

import warnings
from typing import Any, TextIO

import click

from striate import __version__
from striate.cli.bench import bench
from striate.cli.evaluate import evaluate
from striate.cli.info import info
from striate.cli.predict import predict
from striate.cli.summary import summary
from striate.cli.train import train
from striate.errors import ArgumentError, DatasetNotFound, StriateError, StriateWarning


class CannotGoOn(click.ClickException):
    """A message on stderr, without a traceback, and exit code 1."""


class CannotBegin(click.ClickException):
    """The same for what the user can mend in the command or its data."""

    exit_code = 2


class CleanGroup(click.Group):
    """A group whose commands end in an exit code, never in a traceback for an expected error."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                warnings.simplefilter("always", StriateWarning)
                return super().invoke(ctx)
        except (ArgumentError, DatasetNotFound) as error:
            raise CannotBegin(str(error)) from error
        except StriateError as error:
            raise CannotGoOn(str(error)) from error
        except OSError as error:
            if isinstance(error, BrokenPipeError):  # `striate ... | head`: click knows what to do
                raise
            where = f"{error.filename}: " if error.filename else ""
            raise CannotGoOn(f"{where}{error.strerror or error}") from error
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(130)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """striate's own warnings without the line of code that they come from."""
    if issubclass(category, StriateWarning):
        click.echo(f"Warning: {message}", err=True)
    else:
        click.echo(warnings.formatwarning(message, category, filename, lineno, line), err=True)


@click.group(cls=CleanGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="striate %(version)s")
def main() -> None:
    """Train convolutional networks on the CPU, and use them."""


for _command in (train, evaluate, predict, summary, bench, info):
    main.add_command(_command)
