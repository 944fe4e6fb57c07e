"""The table that `Model.summary` prints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from striate.errors import StriateError
from striate.layers import Layer, RBFOutput, Subsampling2D
from striate.layers.symbolic import Node
from striate.models.description import Description, Step
from striate.models.topology import Topology

if TYPE_CHECKING:
    from striate.models.model import Model

_SHORTEST, _LONGEST, _LONGEST_GRAPH = 80, 100, 120
_BATCH = 32  # that the memory is told for
_COUNTS = ("parameters", "trainable", "connections", "macs")


class _Row(NamedTuple):
    name: str
    shape: str
    counts: dict[str, int]
    activations: int  # bytes of the outputs for one sample
    connected: str


def lines(
    model: Model, line_length: int | None, connections: bool | None, expand_nested: bool
) -> Iterator[str]:
    """The table's lines.

    Raises:
        ArgumentError: the model is not built, and does not know its input's shape.
    """
    if connections is None:
        connections = any(
            isinstance(layer, (RBFOutput, Subsampling2D)) for layer in model.leaf_layers()
        )
    # Described anew: layers may have been frozen since.
    description = Description(model.topology, model.name)
    costs = {step: step.cost(description.graph) for step in description.steps}
    chain = _is_chain(model.topology)
    rows = list(_rows(model.topology, costs, 0, expand_nested))
    rows = rows[1:] if chain else rows  # the input goes without saying
    header = ["Layer (type)", "Output Shape", "Param #"]
    header += ["Connections"] if connections else []
    header += ["MACs", "Act. bytes"] + ([] if chain else ["Connected to"])
    cells = [_cells(row, connections, chain) for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    longest = _LONGEST if chain else _LONGEST_GRAPH
    length = line_length or min(max(_SHORTEST, sum(widths) + 2 * (len(widths) - 1)), longest)
    widths = _fit(widths, length, chain)
    yield f'Model: "{model.name}"'
    yield "=" * length
    yield _line(header, widths, chain)
    yield "-" * length
    for row in cells:
        yield _line(row, widths, chain)
    yield "=" * length
    totals = {name: sum(cost[name] for cost in costs.values()) for name in _COUNTS}
    rest = totals["parameters"] - totals["trainable"]
    yield f"Total params: {totals['parameters']:,} ({_bytes(4 * totals['parameters'])})"
    yield f"Trainable params: {totals['trainable']:,} ({_bytes(4 * totals['trainable'])})"
    yield f"Non-trainable params: {rest:,} ({_bytes(4 * rest)})"
    if connections:
        yield f"Connections: {totals['connections']:,}"
    yield f"Multiply-accumulates a sample: {totals['macs']:,}"
    yield f"Activations a sample: {_bytes(sum(_activation_bytes(step) for step in costs))}"
    yield from _memory(model)


def _memory(model: Model) -> Iterator[str]:
    for training, purpose in ((True, "training on"), (False, "predicting")):
        try:
            total = model.memory(_BATCH, training)["total"]
        except StriateError:
            continue  # not compiled, or a OneCycle that waits for fit to tell it its steps
        yield f"Memory, {purpose} {_BATCH} samples at a time: {_bytes(total)}"


def _rows(
    topology: Topology, costs: dict[Step, dict[str, int]], depth: int, expand: bool
) -> Iterator[_Row]:
    """A row for each layer in the order of its first call; a nested model's own rows below its."""
    calls: dict[Layer, list[Node]] = {layer: [] for layer in topology.entries}
    for node in topology.nodes:
        calls.setdefault(node.layer, []).append(node)
    steps: dict[Layer, list[Step]] = {layer: [] for layer in calls}
    for step in costs:
        steps[step.path[depth]].append(step)
    for layer, nodes in calls.items():
        own = steps[layer]
        outputs = (nodes[0] if nodes else layer.nodes[0]).outputs
        yield _Row(
            f"{'  ' * depth}{layer.name} ({_kind(layer)})",
            ", ".join(str(tensor.shape) for tensor in outputs),
            {name: sum(costs[step][name] for step in own) for name in _COUNTS},
            sum(_activation_bytes(step) for step in own),
            ", ".join(tensor.name for node in nodes for tensor in node.inputs) or "-",
        )
        inner = layer.inner_topology()
        if expand and inner is not None:
            yield from _rows(inner, {step: costs[step] for step in own}, depth + 1, expand)


def _is_chain(topology: Topology) -> bool:
    """Whether every layer takes what the one before it gave."""
    last = topology.inputs
    for node in topology.nodes:
        if len(last) != 1 or len(node.inputs) != 1 or node.inputs[0] is not last[0]:
            return False
        last = list(node.outputs)
    return len(topology.inputs) == 1


def _kind(layer: Layer) -> str:
    kind = type(layer).__name__
    return "Functional" if kind == "Model" else kind


def _activation_bytes(step: Step) -> int:
    return 4 * math.prod(step.output_shape)


def _cells(row: _Row, connections: bool, chain: bool) -> list[str]:
    numbers = [row.counts["parameters"]]
    numbers += [row.counts["connections"]] if connections else []
    numbers += [row.counts["macs"], row.activations]
    last = [] if chain else [row.connected]
    return [row.name, row.shape, *(f"{number:,}" for number in numbers), *last]


def _fit(widths: list[int], length: int, chain: bool) -> list[int]:
    """The columns' widths for lines of this length: the first takes what is left, or gives it.

    What a layer is connected to gives first, down to 20 columns.
    """
    widths = list(widths)
    over = sum(widths) + 2 * (len(widths) - 1) - length
    if not chain and over > 0:
        widths[-1] = max(min(widths[-1], 20), widths[-1] - over)
    rest = length - sum(widths[1:]) - 2 * (len(widths) - 1)
    return [max(rest, 12), *widths[1:]]


def _line(cells: list[str], widths: list[int], chain: bool) -> str:
    left = (0, 1) if chain else (0, 1, len(cells) - 1)
    shown = []
    for i, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        if len(cell) > width:
            cell = cell[: width - 3] + "..."
        shown.append(f"{cell:<{width}}" if i in left else f"{cell:>{width}}")
    return "  ".join(shown).rstrip()


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.2f} {unit}"
