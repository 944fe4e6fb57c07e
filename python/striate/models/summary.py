"""The table that `Model.summary` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from striate.errors import ArgumentError
from striate.layers import RBFOutput, Subsampling2D

if TYPE_CHECKING:
    from striate.models.model import Model

_SHORTEST, _LONGEST = 80, 100


def lines(model: Model, line_length: int | None, connections: bool | None) -> Iterator[str]:
    """The table's lines.

    Raises:
        ArgumentError: the model is not built.
    """
    if not model.built and model.known_input_shape() is None:
        raise ArgumentError(
            f"{model.name}: the input's shape is not known yet, so neither are the layers': begin "
            "with Input(shape), or build(input_shape)"
        )
    if connections is None:
        connections = any(isinstance(layer, (RBFOutput, Subsampling2D)) for layer in model.layers)
    header = ["Layer (type)", "Output Shape", "Param #"]
    header += ["Connections", "MACs"] if connections else []
    rows, totals = _rows(model, connections)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    length = line_length or min(max(_SHORTEST, sum(widths) + 2 * (len(widths) - 1)), _LONGEST)
    widths = _fit(widths, length)
    yield f'Model: "{model.name}"'
    yield "=" * length
    yield _line(header, widths)
    yield "-" * length
    for row in rows:
        yield _line(row, widths)
    yield "=" * length
    rest = totals["parameters"] - totals["trainable"]
    yield f"Total params: {totals['parameters']:,} ({_bytes(4 * totals['parameters'])})"
    yield f"Trainable params: {totals['trainable']:,} ({_bytes(4 * totals['trainable'])})"
    yield f"Non-trainable params: {rest:,} ({_bytes(4 * rest)})"
    yield f"Connections: {totals['connections']:,}"
    yield f"Multiply-accumulates a sample: {totals['macs']:,}"


def _rows(model: Model, connections: bool) -> tuple[list[list[str]], dict[str, int]]:
    rows: list[list[str]] = []
    totals = {"parameters": 0, "trainable": 0, "connections": 0, "macs": 0}
    infos = model.network.parameters()
    for step in model.steps:
        cost = step.cost(model.graph)
        # The layer may have been frozen after it was described.
        cost["trainable"] = sum(
            int(info["count"])
            for info in infos
            if info["layer"] == step.layer.name and info["trainable"]
        )
        for name in totals:
            totals[name] += cost[name]
        row = [
            f"{step.layer.name} ({type(step.layer).__name__})",
            str((None, *step.output_shape)),
            f"{cost['parameters']:,}",
        ]
        rows.append(
            row + ([f"{cost['connections']:,}", f"{cost['macs']:,}"] if connections else [])
        )
    return rows, totals


def _fit(widths: list[int], length: int) -> list[int]:
    """The columns' widths for lines of this length: the first takes what is left, or gives it."""
    rest = length - sum(widths[1:]) - 2 * (len(widths) - 1)
    return [max(rest, 12), *widths[1:]]


def _line(cells: list[str], widths: list[int]) -> str:
    shown = []
    for i, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        if len(cell) > width:
            cell = cell[: width - 3] + "..."
        shown.append(f"{cell:<{width}}" if i < 2 else f"{cell:>{width}}")
    return "  ".join(shown).rstrip()


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.2f} {unit}"
