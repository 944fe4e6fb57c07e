"""Automatic names as Keras gives them: conv2d, conv2d_1, conv2d_2, ..."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

_counts: dict[str, int] = {}


def snake_case(name: str) -> str:
    """MaxPooling2D -> max_pooling2d, RBFOutput -> rbf_output."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def unique_name(stem: str) -> str:
    """`stem` the first time in this process, then stem_1, stem_2, ..."""
    count = _counts.get(stem, 0)
    _counts[stem] = count + 1
    return f"{stem}_{count}" if count else stem


@contextmanager
def names_kept() -> Iterator[None]:
    """Names given meanwhile leave the numbers of those given afterwards as they would be."""
    before = dict(_counts)
    try:
        yield
    finally:
        _counts.clear()
        _counts.update(before)


def reset_names() -> None:
    """Starts the numbers afresh, as Keras's clear_session does."""
    _counts.clear()
