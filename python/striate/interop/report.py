"""What became of somebody else's weights: which tensor went where, and what found no place."""

from __future__ import annotations

from dataclasses import dataclass, field

from striate.errors import ShapeError


@dataclass(frozen=True)
class Match:
    """A weight of the model and the tensor that it was set from."""

    ours: str
    theirs: str
    shape: tuple[int, ...]
    """As the model has it."""
    change: str = ""
    """What was done to the tensor: "OIHW -> HWIO"."""


@dataclass
class Report:
    """`print(report)` shows it as a table.

    Attributes:
        matched: weights that were set.
        missing: weights of the model that the source has nothing for; they keep their values.
        unexpected: tensors of the source that the model has no weight for.
        mismatched: "conv1/kernel is (5, 5, 1, 6), conv1.weight (8, 1, 5, 5)".
        notes: what a reader should know: how names were paired, what could not be checked.
    """

    source: str
    matched: list[Match] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every weight was set and every tensor used."""
        return not (self.missing or self.unexpected or self.mismatched)

    def require_complete(self, model: str, mend: str) -> None:
        """Raises ShapeError that names what does not fit, unless everything does."""
        if self.complete:
            return
        problems = [*self.mismatched]
        problems += _listed(f"not in {self.source}", self.missing)
        problems += _listed(f"no place in {model}", self.unexpected)
        raise ShapeError(
            f"{model}: {self.source} does not fit, and nothing was loaded: "
            f"{'; '.join(problems)}. {mend}"
        )

    def __str__(self) -> str:
        rows = [("weight", f"from {self.source}", "shape", "change")]
        rows += [(m.ours, m.theirs, str(m.shape), m.change) for m in self.matched]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = ["  ".join([*(f"{row[i]:<{widths[i]}}" for i in range(3)), row[3]]) for row in rows]
        lines += [f"missing: {name}" for name in self.missing]
        lines += [f"unexpected: {name}" for name in self.unexpected]
        lines += [f"mismatched: {text}" for text in self.mismatched]
        lines += [f"note: {text}" for text in self.notes]
        lines.append(
            f"{len(self.matched)} weights set, {len(self.missing)} missing, "
            f"{len(self.mismatched)} of another shape, {len(self.unexpected)} tensors unused"
        )
        return "\n".join(line.rstrip() for line in lines)


def _listed(what: str, names: list[str], most: int = 8) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return [f"{what}: {', '.join(names[:most])}{more}"]
