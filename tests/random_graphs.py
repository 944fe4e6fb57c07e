"""Seeded graphs of any shape, twice: a `_core.Network`, and autodiff64's in float64.

`random_plan` draws nodes over images and vectors: values with several readers, merges of a value
with itself, broadcast gates, shared layers, frozen ones, dropout, several inputs and outputs, two
losses on one value, outputs that other nodes read, outputs without a loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import autodiff64 as ad
import numpy as np
from autodiff64 import Value
from numerics import Doubles
from numpy.typing import NDArray
from striate import _core

DROPOUT = 3  # RandomPurpose::kDropout
MERGES = ("add", "multiply", "average", "maximum", "subtract")


@dataclass(frozen=True)
class Node:
    """kind: a method of `_core.Graph`; name: of the layer, alike for a shared layer's nodes."""

    kind: str
    name: str
    inputs: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)
    trainable: bool = True


@dataclass(frozen=True)
class Plan:
    inputs: tuple[tuple[int, ...], ...]
    nodes: tuple[Node, ...]  # node i makes value len(inputs) + i
    outputs: tuple[int, ...]
    losses: tuple[str | None, ...]  # by output

    def live(self) -> set[int]:
        """The values that the outputs depend on; nothing else runs."""
        found = set(self.outputs)
        for number in range(len(self.nodes) - 1, -1, -1):
            if len(self.inputs) + number in found:
                found.update(self.nodes[number].inputs)
        return found


class Drawing:
    """A graph under construction, drawn node by node."""

    def __init__(self, seed: int, wide: bool, dropout: bool) -> None:
        self.rng = np.random.default_rng((97, seed))
        self.dropout = dropout
        count = int(self.rng.integers(1, 4))
        self.shapes: list[tuple[int, ...]] = []
        for _ in range(count):
            side = int(self.rng.integers(3, 8))
            self.shapes.append((side, side + int(self.rng.integers(0, 3)), self.width()))
        self.inputs = tuple(self.shapes)
        self.nodes: list[Node] = []
        for _ in range(int(self.rng.integers(5, 13))):
            self.step()
        vector = self.flattened(self.pick())
        if wide:
            vector = self.wide_layers(vector)
        self.head = self.add("dense", (vector,), units=int(self.rng.integers(2, 7)))

    def width(self) -> int:
        return int(self.rng.choice([1, 2, 3, 5, 8, 17]))

    def choice(self, items: Sequence[Any]) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def pick(self, rank: int | None = None) -> int:
        """A value, mostly one of the latest."""
        values = [i for i, s in enumerate(self.shapes) if rank is None or len(s) == rank]
        return int(self.choice(values[-4:] if self.rng.random() < 0.7 else values))

    def add(self, method: str, inputs: tuple[int, ...], **options: Any) -> int:
        trainable = self.rng.random() > 0.15
        node = Node(method, f"{method}{len(self.nodes)}", inputs, options, trainable)
        graph = _core.Graph()
        given = [graph.input(self.shapes[v], f"in{k}") for k, v in enumerate(inputs)]
        made = call(graph, node, given)
        self.shapes.append(tuple(graph.shape(made)))
        self.nodes.append(node)
        return len(self.shapes) - 1

    def step(self) -> None:
        steps = [
            self.conv, self.conv, self.norm, self.norm, self.act, self.act, self.pool, self.merge,
            self.merge, self.join, self.gate, self.again, self.block,
        ]  # fmt: skip
        self.choice(steps)()

    def conv(self, x: int | None = None, filters: int | None = None, same: bool = False) -> int:
        x = self.pick(3) if x is None else x
        groups = int(self.choice([g for g in (1, 1, 1, 2, 3) if self.shapes[x][2] % g == 0]))
        filters = filters or groups * int(self.rng.integers(1, 9))
        if filters % groups:
            groups = 1
        size = int(self.choice([1, 2, 3]))
        stride = 1 if same else int(self.choice([1, 1, 2]))
        fits = not same and min(self.shapes[x][:2]) >= size
        padding = self.choice(["same", ((1, 0), (0, 1))]) if fits else "same"
        return self.add(
            "conv2d", (x,), filters=filters, kernel=(size, size), strides=(stride, stride),
            padding=padding, groups=groups, use_bias=bool(self.rng.random() < 0.5),
        )  # fmt: skip

    def norm(self, x: int | None = None) -> int:
        return self.add(
            "batch_normalization", (self.pick() if x is None else x,), momentum=0.75, epsilon=0.01,
            scale=bool(self.rng.random() < 0.8), center=bool(self.rng.random() < 0.8),
            inference=bool(self.rng.random() < 0.1),
        )  # fmt: skip

    def act(self, x: int | None = None) -> int:
        kind = self.choice(["relu", "relu", "tanh", "gelu", "sigmoid", "linear"])
        return self.add("activation", (self.pick() if x is None else x,), kind=kind)

    def pool(self) -> int:
        x = self.pick(3)
        kind = self.choice(["max_pool2d", "max_pool2d", "avg_pool2d"])
        options = {"window": (2, 2), "strides": (2, 2), "padding": "same"}
        if self.rng.random() < 0.3:
            options |= {"window": (3, 3), "strides": (1, 1)}
        return self.add(kind, (x,), **options)

    def merge(self) -> int:
        """Of values of one shape; a value may come twice."""
        x = self.pick()
        alike = [i for i, s in enumerate(self.shapes) if s == self.shapes[x]]
        kind = str(self.choice(MERGES))
        count = 2 if kind == "subtract" else int(self.choice([2, 2, 3]))
        return self.add(kind, (x, *(int(self.choice(alike)) for _ in range(count - 1))))

    def join(self) -> int:
        x = self.pick(3)
        alike = [
            i for i, s in enumerate(self.shapes) if s[:2] == self.shapes[x][:2] and len(s) == 3
        ]
        return self.add("concatenate", (x, int(self.choice(alike))))

    def gate(self) -> int:
        """A number a channel times, or plus, the image."""
        x = self.pick(3)
        vector = self.add("global_avg_pool2d", (x,), keepdims=True)
        gate = self.add("activation", (vector,), kind="sigmoid")
        pair = (gate, x) if self.rng.random() < 0.5 else (x, gate)
        return self.add(str(self.choice(["multiply", "add"])), pair)

    def again(self) -> None:
        """An earlier layer with parameters, on another value of its input's shape."""
        known = [n for n in self.nodes if n.kind in ("conv2d", "dense", "batch_normalization")]
        if not known:
            return
        node = self.choice(known)
        shape = self.shapes[node.inputs[0]]
        alike = [i for i, s in enumerate(self.shapes) if s == shape]
        self.shapes.append(self.shapes[len(self.inputs) + self.nodes.index(node)])
        self.nodes.append(
            Node(node.kind, node.name, (int(self.choice(alike)),), node.options, node.trainable)
        )

    def block(self) -> int:
        """A residual block, as ResNet's."""
        x = self.pick(3)
        a = self.act(self.norm(self.conv(x, same=True)))
        b = self.norm(self.conv(a, filters=self.shapes[x][2], same=True))
        return self.add("activation", (self.add("add", (b, x)),), kind="relu")

    def flattened(self, x: int) -> int:
        if len(self.shapes[x]) == 3:
            kind = "flatten" if np.prod(self.shapes[x]) < 200 else "global_avg_pool2d"
            x = self.add(kind, (x,))
        if self.dropout:
            x = self.add("dropout", (x,), rate=0.25)
        return x

    def wide_layers(self, x: int) -> int:
        for units in (1500, 1400):
            x = self.add("activation", (self.add("dense", (x,), units=units),), kind="tanh")
        return x

    def plan(self) -> Plan:
        """The head and up to three values more; one value may be an output twice."""
        outputs, losses = [self.head], [str(self.choice(["squares", "crossentropy"]))]
        if self.rng.random() < 0.3:  # sometimes the plan takes the softmax into the loss
            outputs[0] = self.add("activation", (self.head,), kind="softmax")
            losses[0] = "probabilities"
        for _ in range(int(self.rng.integers(0, 4))):
            last = len(self.inputs)
            value = (
                self.head
                if self.rng.random() < 0.2
                else int(self.rng.integers(last, len(self.shapes)))
            )
            outputs.append(value)
            losses.append(self.choice(["squares", "crossentropy", "squares", None]))
        return Plan(self.inputs, tuple(self.nodes), tuple(outputs), tuple(losses))


def random_plan(seed: int, wide: bool = False, dropout: bool = False) -> Plan:
    return Drawing(seed, wide, dropout).plan()


def call(graph: _core.Graph, node: Node, values: list[int]) -> int:
    options = dict(node.options)
    if node.kind in ("conv2d", "dense", "batch_normalization"):
        options["trainable"] = node.trainable
    several = node.kind in (*MERGES, "concatenate")
    made: int = getattr(graph, node.kind)(
        values if several else values[0], name=node.name, **options
    )
    return made


def build(plan: Plan, seed: int = 0) -> _core.Network:
    """Compiled for SGD with momentum; weights of variance 1 / fan-in."""
    graph = _core.Graph()
    values = [graph.input(shape, f"input{i}") for i, shape in enumerate(plan.inputs)]
    graph.reuse = True
    for node in plan.nodes:
        values.append(call(graph, node, [values[v] for v in node.inputs]))
    network = _core.Network(graph, [values[v] for v in plan.outputs], seed)
    rng = np.random.default_rng((5, seed))
    for i, parameter in enumerate(network.parameters()):
        shape = parameter["shape"]
        drawn = rng.normal(size=shape) / np.sqrt(
            max(np.prod(shape[:-1]), 1) if len(shape) > 1 else 4
        )
        if parameter["name"].endswith(("gamma", "moving_variance")):
            drawn = np.abs(drawn) + 0.5
        network.set_parameter(i, drawn.astype(np.float32))
    compile_losses(network, plan)
    return network


FACTORS = (1.0, 0.5, 2.0, 0.25)  # of the outputs' losses
RATE, MOMENTUM = 0.05, 0.9


def compile_losses(network: _core.Network, plan: Plan) -> None:
    specs = []
    for loss, factor in zip(plan.losses, FACTORS, strict=False):
        if loss == "squares":
            specs.append(("mean_squared_error", {}, factor))
        elif loss is not None:
            options = {"from_logits": loss == "crossentropy"}
            specs.append(("sparse_categorical_crossentropy", options, factor))
        else:
            specs.append(None)
    network.compile(specs, "sgd", {"learning_rate": RATE, "momentum": MOMENTUM})


def parameters(network: _core.Network) -> dict[str, Doubles]:
    return {
        p["name"]: network.get_parameter(i).astype(np.float64)
        for i, p in enumerate(network.parameters())
    }


@dataclass
class Batch:
    x: list[NDArray[np.float32]]
    y: list[NDArray[Any] | None]
    weights: list[NDArray[np.float32] | None]

    def __len__(self) -> int:
        return len(self.x[0])


class Run:
    """One forward pass in float64; `loss` has the gradients once `ad.backward` went through it."""

    def __init__(
        self,
        plan: Plan,
        params: dict[str, Doubles],
        x: Sequence[Doubles],
        training: bool,
        first_sample: int = 0,
        seed: int = 0,
    ) -> None:
        self.plan, self.training = plan, training
        self.first_sample, self.seed = first_sample, seed
        self.params = {name: Value(array) for name, array in params.items()}
        self.moved = dict(params)  # moving statistics after the batch
        self.values = [Value(np.asarray(array, np.float64)) for array in x]
        live = plan.live()
        for value, node in enumerate(plan.nodes, start=len(plan.inputs)):
            if value not in live:
                self.values.append(Value(np.empty(0)))
                continue
            given = [self.values[v] for v in node.inputs]
            self.values.append(self.made(node, given, value))

    def of(self, node: Node, name: str) -> Value | None:
        return self.params.get(f"{node.name}/{name}")

    def made(self, node: Node, x: list[Value], number: int) -> Value:
        o = node.options
        if node.kind in MERGES:
            return ad.elementwise(node.kind, x)
        if node.kind == "concatenate":
            return ad.concatenate(x)
        if node.kind == "conv2d":
            kernel = self.params[f"{node.name}/kernel"]
            return ad.conv2d(
                x[0], kernel, self.of(node, "bias"), strides=o["strides"], padding=o["padding"],
                groups=o["groups"],
            )  # fmt: skip
        if node.kind == "dense":
            return ad.dense(x[0], self.params[f"{node.name}/kernel"], self.of(node, "bias"))
        if node.kind == "batch_normalization":
            return self.normalized(node, x[0])
        if node.kind == "activation":
            return ad.activation(x[0], o["kind"])
        if node.kind in ("max_pool2d", "avg_pool2d"):
            return ad.pool2d(x[0], node.kind[:3], **o)
        if node.kind == "global_avg_pool2d":
            return ad.global_pool2d(x[0], "avg", o.get("keepdims", False))
        if node.kind == "flatten":
            return ad.reshape(x[0], (x[0].array[0].size,))
        if node.kind == "dropout":
            return self.dropped(x[0], o["rate"], number) if self.training else x[0]
        raise ValueError(node.kind)

    def normalized(self, node: Node, x: Value) -> Value:
        o, names = node.options, ("moving_mean", "moving_variance")
        moving = tuple(self.params[f"{node.name}/{name}"].array for name in names)
        frozen = o["inference"] or not node.trainable or not self.training
        if not frozen:
            for name, of_batch in zip(names, ad.batch_statistics(x.array), strict=True):
                key = f"{node.name}/{name}"
                self.moved[key] = o["momentum"] * self.moved[key] + (1 - o["momentum"]) * of_batch
        return ad.batch_normalization(
            x, self.of(node, "gamma"), self.of(node, "beta"), o["epsilon"],
            (moving[0], moving[1]) if frozen else None,
        )  # fmt: skip

    def dropped(self, x: Value, rate: float, number: int) -> Value:
        features = x.array[0].size
        rows = []
        for sample in range(len(x.array)):
            coordinates = (self.first_sample + sample, number, DROPOUT)
            groups = range(-(-features // 4))
            bits = [_core.philox4x32((g, *coordinates), (self.seed, 0)) for g in groups]
            dropped = np.array(bits).ravel()[:features] < rate * 2**32
            rows.append(np.where(dropped, 0.0, 1 / (1 - rate)))
        return ad.times(x, np.array(rows).reshape(x.shape))

    @property
    def outputs(self) -> list[Value]:
        return [self.values[v] for v in self.plan.outputs]

    def losses(self, batch: Batch) -> tuple[Value, list[float]]:
        """Their sum with FACTORS, and each by output."""
        made: list[Value | None] = []
        for loss, y, t, w in zip(
            self.plan.losses, self.outputs, batch.y, batch.weights, strict=True
        ):
            weights = None if w is None else w.astype(np.float64)
            if loss == "squares":
                assert t is not None
                made.append(ad.mean_squared_error(y, t.astype(np.float64), weights))
            elif loss is not None:
                assert t is not None
                logits = y.parents[0] if loss == "probabilities" else y
                made.append(ad.sparse_categorical_crossentropy(logits, t, weights))
            else:
                made.append(None)
        pairs = [(v, f) for v, f in zip(made, FACTORS, strict=False) if v is not None]
        total = ad.weighted_sum([v for v, _ in pairs], [f for _, f in pairs])
        return total, [0.0 if v is None else float(v.array) for v in made]

    def kink_distance(self) -> float:
        """The least distance of any value from where the graph bends."""
        distance = np.inf
        for loss, y in zip(self.plan.losses, self.outputs, strict=True):
            if loss == "probabilities" and y.array.min() < 1e-5:  # losses clip them
                return 0.0
        live = self.plan.live()
        for value, node in enumerate(self.plan.nodes, start=len(self.plan.inputs)):
            if value not in live:
                continue
            x = [self.values[v].array for v in node.inputs]
            if node.kind == "activation" and node.options["kind"] == "relu":
                live = np.abs(x[0][x[0] != 0])
                distance = min(distance, float(live.min(initial=np.inf)))
            elif node.kind == "maximum":
                gaps = np.abs(np.diff(np.sort(np.stack(x), axis=0), axis=0))
                distance = min(distance, float(gaps[gaps != 0].min(initial=np.inf)))
            elif node.kind == "max_pool2d":
                distance = min(distance, pool_lead(x[0], node.options))
        return distance


def pool_lead(x: Doubles, options: dict[str, Any]) -> float:
    """The least lead of a window's winner; equals, which a relu's zeros are, do not count."""
    wide = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=-np.inf)
    size = options["window"][0]
    shifts = [
        wide[:, i : i + x.shape[1] + 2, j : j + x.shape[2] + 2]
        for i in range(size)
        for j in range(size)
    ]
    ordered = np.sort(np.stack(shifts), axis=0)
    pairs = ordered[-2:, np.isfinite(ordered[-2])]
    gaps = pairs[1] - pairs[0]
    return float(gaps[gaps != 0].min(initial=np.inf))


def away_from_zero(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Normal, but for numbers near 0, whose powers are nearer still."""
    x = rng.normal(size=shape)
    return (x + np.copysign(0.05, x)).astype(np.float32)


def make_batch(plan: Plan, network: _core.Network, count: int, seed: int) -> Batch:
    """A seeded batch on which the graph is nowhere near a kink, in inference and in training."""
    params = parameters(network)
    for attempt in range(200):
        rng = np.random.default_rng((seed, attempt))
        x = [away_from_zero(rng, (count, *shape)) for shape in plan.inputs]
        runs = [Run(plan, params, x, training) for training in (False, True)]
        if min(run.kink_distance() for run in runs) > 3e-6:
            break
    else:
        raise AssertionError("no data away from the kinks")
    y: list[NDArray[Any] | None] = []
    weights: list[NDArray[np.float32] | None] = []
    for loss, output in zip(plan.losses, runs[0].outputs, strict=True):
        shape = output.shape[1:]
        if loss == "squares":
            y.append(rng.normal(size=(count, int(np.prod(shape)))).astype(np.float32))
        elif loss is not None:
            y.append(rng.integers(0, shape[-1], size=(count, *shape[:-1])))
        else:
            y.append(None)
        some = rng.random() < 0.5
        weights.append(rng.uniform(0.5, 1.5, size=count).astype(np.float32) if some else None)
    return Batch(x, y, weights)
