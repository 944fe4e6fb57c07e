"""Training networks that have heads beside their output, as GoogLeNet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from striate.augment import Loader
from striate.models import Model

HEAD_WEIGHT = 0.3  # of a head's loss (Szegedy et al., 2015, section 5)


class ForEachOutput:
    """A loader's batches with the labels once for each of a model's outputs."""

    def __init__(self, loader: Loader, outputs: int) -> None:
        self._loader = loader
        self._outputs = outputs

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._each(iter(self._loader))

    def epoch_batches(self, seed: int, epoch: int) -> Iterator[tuple[Any, ...]]:
        """See Loader."""
        return self._each(self._loader.epoch_batches(seed, epoch))

    def identity(self) -> dict[str, Any]:
        """See Loader."""
        return self._loader.identity()

    def _each(self, batches: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        for x, y in batches:
            yield x, [y] * self._outputs


def for_outputs(model: Model, data: Any) -> Any:
    """A loader, or (x, y), as `fit` wants them for this model."""
    count = len(model.outputs)
    if count == 1:
        return data
    if isinstance(data, Loader):
        return ForEachOutput(data, count)
    x, y = data
    return x, [y] * count


def compile_arguments(model: Model, loss: Any) -> dict[str, Any]:
    """`compile`'s loss, loss_weights and metrics: the first output counts whole."""
    heads = len(model.outputs) - 1
    if not heads:
        return {"loss": loss, "metrics": ["accuracy"]}
    return {
        "loss": [loss] * (heads + 1),
        "loss_weights": [1.0] + [HEAD_WEIGHT] * heads,
        "metrics": [["accuracy"], *([] for _ in range(heads))],
    }
