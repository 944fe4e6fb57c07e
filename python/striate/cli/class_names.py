"""The classes' names: from a file, or from the model."""

from __future__ import annotations

from pathlib import Path

from striate.cli import inputs
from striate.errors import ArgumentError, FormatError
from striate.models import Model


def names_of(model: Model, labels: Path | None) -> list[str] | None:
    """The names by number, from the file `labels` if given; None where nothing says them.

    Raises:
        FormatError: the file is no text.
        ArgumentError: it has another number of lines than the model has classes.
    """
    count = class_count(model)
    if labels is None:
        return inputs.class_names(model, count)
    names = read_names(labels)
    if len(names) != count:
        raise ArgumentError(
            f"--labels {labels}: has {len(names):,} names, {model.name} has {count:,} classes"
        )
    return names


def read_names(path: Path) -> list[str]:
    """The lines of a text file; empty ones at its end do not count.

    Raises:
        FormatError: it is no text in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: no text in UTF-8: {error.reason}") from None
    return [line.strip() for line in text.rstrip().splitlines()]


def class_count(model: Model) -> int:
    """How many classes the first output tells apart."""
    return model.output_sample_shapes[0][-1]


def tops_of(model: Model, given: list[int] | None) -> list[int]:
    """The k of top-k: as given, or ILSVRC's 1 and 5, or 1 where 5 would be nearly all classes.

    Raises:
        ArgumentError: a k that is not below the number of classes.
    """
    count = class_count(model)
    if given is None:
        return [1, 5] if count >= 20 else [1]
    if given[-1] >= count:
        raise ArgumentError(
            f"--top {','.join(map(str, given))}: {model.name} has {count} classes, so top-"
            f"{given[-1]} is always right"
        )
    return given
