"""Every error that striate raises on purpose.

Each one is also the built-in exception that a caller would expect, so `except ValueError` works.
"""

from __future__ import annotations

from striate._core import ArgumentError, FormatError, NumericsError, ShapeError, StriateError

__all__ = [
    "ArgumentError",
    "CorruptImageError",
    "DatasetNotFound",
    "FormatError",
    "MissingExtraError",
    "NumericsError",
    "ShapeError",
    "StriateError",
    "StriateWarning",
    "warn_once",
]


class DatasetNotFound(StriateError, FileNotFoundError):
    """A data set found in no folder and on no mirror."""


class CorruptImageError(FormatError):
    """An image file that cannot be read: damaged, cut short, too large, or of no known format."""


class MissingExtraError(StriateError, ImportError):
    """A package that an optional part of striate needs is not installed."""

    def __init__(self, package: str, extra: str, purpose: str = "this") -> None:
        super().__init__(
            f'{purpose} needs {package}, which is not installed: pip install "striate[{extra}]"'
        )
        self.package = package
        self.extra = extra


class StriateWarning(UserWarning):
    """Something that striate did not take literally, but could go on with."""


_warned: set[str] = set()


def warn_once(message: str) -> None:
    """Warns the first time that this message comes up in the process."""
    if message not in _warned:
        import warnings

        _warned.add(message)
        warnings.warn(message, StriateWarning, stacklevel=3)
