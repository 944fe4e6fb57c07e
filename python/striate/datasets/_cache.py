"""The user's cache folder, and files that appear in it whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast


def cache_folder(name: str) -> Path:
    """The folder in which the data set `name` is kept: STRIATE_HOME, or the user's cache."""
    home = os.environ.get("STRIATE_HOME")
    if home:
        return Path(home).expanduser() / name
    import pooch

    return Path(pooch.os_cache("striate")) / name


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A new binary file that takes the name `path` when the block ends without an error.

    Until then it has a temporary name beside it, so that a reader, or another process that writes
    the same file, never sees half of it. Raises OSError as open() does.
    """
    handle, temporary = tempfile.mkstemp(prefix=path.name + ".", suffix=".part", dir=path.parent)
    try:
        with cast(BinaryIO, os.fdopen(handle, "wb")) as file:
            yield file
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's 0600 is for secrets
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
