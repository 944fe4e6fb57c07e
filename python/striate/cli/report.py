"""Results as text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def confusion_text(matrix: NDArray[np.integer[Any]]) -> str:
    """A confusion matrix [classes, classes] as a table; zeros are dots, so that errors stand out.

    A row is a true class, a column a predicted one; the last column is the share recognised.
    """
    classes = len(matrix)
    width = max(5, len(f"{matrix.max():,}") + 1)
    head = "true" + "".join(f"{label:>{width}}" for label in range(classes)) + f"{'right':>8}"
    lines = [f"{'':4}{'predicted as':>{width + 8}}", head]
    for label, row in enumerate(matrix):
        cells = "".join(f"{f'{count:,}' if count else '.':>{width}}" for count in row)
        total = int(row.sum())
        share = f"{100 * row[label] / total:8.2f} %" if total else "      --"
        lines.append(f"{label:>4}{cells}{share}")
    return "\n".join(lines)
