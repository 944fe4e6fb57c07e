"""The command line, called by tests."""

from __future__ import annotations

from click.testing import CliRunner, Result
from striate.cli import main


def striate(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def succeed(*arguments: object) -> str:
    result = striate(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def fail(exit_code: int, *arguments: object) -> str:
    """What a command says that must fail cleanly, without a traceback."""
    result = striate(*arguments)
    assert result.exit_code == exit_code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.output
