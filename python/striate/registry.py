"""Finding one of striate's own classes by object, class, name or configuration.

The registries are closed: a model file can name these classes and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from striate.errors import ArgumentError

T = TypeVar("T")


def find(
    identifier: object,
    base: type[T],
    classes: Mapping[str, type[T]],
    names: Mapping[str, type[T]],
    what: str,
) -> T:
    """The object that `identifier` means: one already, a class, a name or {"class", "config"}.

    Args:
        identifier: what the user or a model file gave.
        base: the class that all of them have.
        classes: by class name, as configurations and users spell it.
        names: by lower-case name.
        what: "loss", for the message.

    Raises:
        ArgumentError: no such one; lists the names.
    """
    if isinstance(identifier, base):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, base):
        return identifier()
    if isinstance(identifier, str):
        cls = classes.get(identifier) or names.get(identifier.lower())
        if cls is not None:
            return cls()
    if isinstance(identifier, Mapping) and identifier.get("class") in classes:
        found: Any = classes[identifier["class"]]
        made: T = found.from_config(identifier.get("config", {}))
        return made
    raise ArgumentError(f"no {what} {identifier!r}; there are {', '.join(sorted(names))}")
