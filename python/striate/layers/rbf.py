"""LeNet-5's output layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from striate import _core
from striate.errors import ArgumentError, ShapeError
from striate.layers.layer import Layer


class RBFOutput(Layer):
    """Squared distance to a fixed code for each class: y[i] = sum_j (x[j] - codes[i, j])^2.

    Input (N, F), output (N, classes); LeCun et al., 1998, eq. 7. The answer is the class of the
    *smallest* output.

    Args:
        codes: (classes, F); not trained.
    """

    can_train = False

    def __init__(self, codes: ArrayLike, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        try:
            table = np.ascontiguousarray(codes, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise ShapeError(f"RBFOutput {self.name}: codes is a table: {error}") from None
        if table.ndim != 2 or 0 in table.shape:
            raise ShapeError(
                f"RBFOutput {self.name}: codes is (classes, features), got {table.shape}"
            )
        if not np.isfinite(table).all():
            raise ArgumentError(f"RBFOutput {self.name}: codes holds values that are not finite")
        self.codes = table

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.rbf(x, name=self.name, codes=self.codes)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"codes": self.codes.tolist()}
