"""Fetching a file from one of several mirrors into the cache."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from ._cache import atomic_file

_log = logging.getLogger("striate.datasets")
# Seconds without an answer, then without a byte, before the next mirror's turn.
_TIMEOUT = (10.0, 30.0)


def cache_is_writable(cache: Path, tried: list[str]) -> bool:
    """Makes the cache folder; False, and a line in `tried`, if nothing can be put there."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        tried.append(
            f"cache folder {cache} cannot be written ({error.strerror or error}): "
            "set STRIATE_HOME to a folder that can"
        )
        return False
    return True


def fetch(url: str, path: Path, check: Callable[[Path], object], tried: list[str]) -> bool:
    """Brings what is at `url` to `path`; False, and a line in `tried`, if it cannot.

    Args:
        check: raises OSError or ValueError for a file that is not the one wanted; the file is at
            `path` only once it has passed.
    """
    _log.info("downloading %s", url)
    part = path.with_name(f"{os.getpid()}.{path.name}")  # keeps the suffix, which a check looks at
    try:
        with atomic_file(part) as stream:
            _http_get(url, stream)
        check(part)
        os.replace(part, path)
    except (OSError, ValueError) as error:  # requests' errors are OSErrors, FormatError ValueError
        tried.append(f"{url}: {error}")
        with contextlib.suppress(OSError):
            part.unlink()
        return False
    return True


def fetch_from_any(
    mirrors: Sequence[str],
    name: str,
    path: Path,
    check: Callable[[Path], object],
    tried: list[str],
) -> list[str]:
    """Brings `<mirror><name>` to `path` from the first mirror that has it.

    Returns:
        That mirror and those after it: one that failed need not be asked again, as several waits
        would be no better than one. Empty if none had the file.
    """
    for k, mirror in enumerate(mirrors):
        if fetch(f"{mirror}{name}", path, check, tried):
            return list(mirrors[k:])
    return []


def _http_get(url: str, stream: IO[bytes]) -> None:
    """Writes what is at `url` to `stream`, with a progress bar if someone is watching."""
    import pooch

    watched = sys.stderr is not None and sys.stderr.isatty()
    get = pooch.HTTPDownloader(progressbar=watched, chunk_size=1 << 16, timeout=_TIMEOUT)
    get(url, stream, None)
