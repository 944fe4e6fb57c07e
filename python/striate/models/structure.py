"""How a model's inputs or outputs are given and handed back: one, a list, or a dict by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from striate.errors import ArgumentError
from striate.layers import InputLayer, SymbolicTensor


class Structure:
    """One tensor, a list of them, or a dict of them by name.

    Attributes:
        kind: "single", "list" or "dict"; a list of one tensor counts as single.
        names: of the tensors, in order; a dict's are its keys.
    """

    __slots__ = ("kind", "names")

    def __init__(self, kind: str, names: Sequence[str]) -> None:
        self.kind = kind
        self.names = tuple(names)

    def __len__(self) -> int:
        return len(self.names)

    def pack(self, values: Sequence[Any]) -> Any:
        """Values in order, as they were given."""
        if self.kind == "dict":
            return dict(zip(self.names, values, strict=True))
        return values[0] if self.kind == "single" else list(values)

    def is_wrapped(self, given: object, rank: int) -> bool:
        """Whether `given` is a list of one array of this rank, or a dict, for a single input."""
        if isinstance(given, Mapping):
            return True
        return (
            isinstance(given, (list, tuple))
            and len(given) == 1
            and isinstance(given[0], (np.ndarray, SymbolicTensor))
            and given[0].ndim == rank
        )

    def by_name(
        self, given: Mapping[str, Any], what: str, owner: str, optional: Sequence[str] = ()
    ) -> list[Any]:
        """The values of a dict in order; None for those of `optional` that it lacks.

        Raises:
            ArgumentError: a name that there is not, or one that is missing.
        """
        unknown = [name for name in given if name not in self.names]
        missing = [name for name in self.names if name not in given and name not in optional]
        if unknown or missing:
            wrong = f"no {what} {unknown[0]!r}" if unknown else f"{what} {missing[0]!r} is missing"
            raise ArgumentError(f"{owner}: {wrong}; there are {', '.join(self.names)}")
        return [given.get(name) for name in self.names]

    def listed(self, given: object, what: str, owner: str) -> list[Any]:
        """A list with one value for each of several tensors.

        Raises:
            ArgumentError: not a list, or of another length.
        """
        names = ", ".join(self.names)
        if not isinstance(given, (list, tuple)):
            raise ArgumentError(
                f"{owner}: has {len(self)} {what}s ({names}): give a list or a dict of "
                f"{len(self)}, not {type(given).__name__}"
            )
        if len(given) != len(self):
            raise ArgumentError(f"{owner}: has {len(self)} {what}s ({names}), got {len(given)}")
        return list(given)


def flat_tensors(
    given: Any, what: str, owner: str
) -> tuple[list[SymbolicTensor], str, list[str] | None]:
    """(the tensors of a Model's inputs or outputs, their structure's kind, a dict's names).

    Raises:
        TypeError: not symbolic tensors.
        ArgumentError: there are none.
    """
    names = None
    if isinstance(given, Mapping):
        kind, values, names = "dict", list(given.values()), list(given)
        if not all(isinstance(name, str) for name in names):
            raise TypeError(f"{owner}: {what} by name: a name is a string, got {names}")
    elif isinstance(given, (list, tuple)):
        kind, values = ("single" if len(given) == 1 else "list"), list(given)
    else:
        kind, values = "single", [given]
    if not values:
        raise ArgumentError(f"{owner}: {what} is empty")
    for value in values:
        if isinstance(value, InputLayer):
            raise TypeError(f"{owner}: {what} takes tensors: Input(..), or layer.output")
        if not isinstance(value, SymbolicTensor):
            raise TypeError(
                f"{owner}: {what} takes tensors that Input and layers called on them gave, "
                f"got {value!r}"
            )
    return values, kind, names


def numbered(names: Sequence[str]) -> list[str]:
    """The names with those that came before made unique: out, out_1, out_2."""
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        count = seen.get(name, 0)
        seen[name] = count + 1
        unique.append(f"{name}_{count}" if count else name)
    return unique
