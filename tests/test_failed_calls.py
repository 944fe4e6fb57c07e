"""A failed call leaves the network as it was: weights, moving statistics, optimizer, what it trains
on; and it goes on as one that never failed, to the bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from striate import _core

Spec = tuple[str, dict[str, Any]]
SPARSE: Spec = ("sparse_categorical_crossentropy", {"from_logits": True})
SQUARED: Spec = ("mean_squared_error", {})
OPTIMIZER = ("adam", {"learning_rate": 0.01, "use_ema": True})


class Case:
    """A network of two inputs and two outputs, with batch normalisation; `wide`: 2^21 weights."""

    def __init__(self, wide: bool, batch: int) -> None:
        graph = _core.Graph()
        image, vector = graph.input((6, 6, 2), "image"), graph.input((5,), "vector")
        x = graph.conv2d(image, name="conv", filters=6, kernel=(3, 3), padding="same")
        x = graph.batch_normalization(x, name="norm", momentum=0.5)
        x = graph.activation(x, name="relu", kind="relu")
        x = graph.batch_normalization(graph.global_avg_pool2d(x, name="pool"), name="norm2")
        x = graph.concatenate([x, graph.dense(vector, name="side", units=7)], name="join")
        units = 1500 if wide else 9
        x = graph.activation(graph.dense(x, name="d1", units=units), name="tanh", kind="tanh")
        x = graph.dense(x, name="d2", units=1400 if wide else 8)
        outputs = [graph.dense(x, name="class", units=3), graph.dense(x, name="value", units=2)]
        self.network = _core.Network(graph, outputs, 7)
        self.network.compile([SPARSE, SQUARED], *OPTIMIZER)
        rng = np.random.default_rng(0)
        self.x = [
            rng.normal(size=(batch, 6, 6, 2)).astype(np.float32),
            rng.normal(size=(batch, 5)).astype(np.float32),
        ]
        self.y = [rng.integers(0, 3, size=batch), rng.normal(size=(batch, 2)).astype(np.float32)]

    def train(self, **changed: Any) -> Any:
        arguments = {"x": self.x, "rows": None, "y": self.y} | changed
        return self.network.train_batch(**arguments)

    def state(self) -> dict[str, bytes]:
        """All that a later step depends on, and what compile settled."""
        network = self.network
        state = {
            p["name"]: network.get_parameter(i).tobytes()
            for i, p in enumerate(network.parameters())
        }
        state |= {f"slot {k}": v.tobytes() for k, v in network.optimizer_state().items()}
        state["trainable"] = bytes(p["trainable"] for p in network.parameters())
        state["iterations"] = str(network.iterations).encode()
        state["learning_rate"] = str(network.learning_rate).encode()
        state["loss"] = repr(network.test_batch(self.x, None, self.y)).encode()
        return state

    def index(self, name: str) -> int:
        return [p["name"] for p in self.network.parameters()].index(name)

    def spoil(self, name: str, value: float) -> Callable[[], None]:
        """Sets one weight; the result puts it back."""
        index = self.index(name)
        before = self.network.get_parameter(index)
        spoiled = before.copy()
        spoiled.flat[spoiled.size // 2] = value
        self.network.set_parameter(index, spoiled)
        return lambda: self.network.set_parameter(index, before)


# Channels in lanes, samples in lanes; 40 samples are more than a wide network's piece.
CASES = [(False, 3), (False, 20), (True, 3), (True, 40)]
every_case = pytest.mark.parametrize(("wide", "batch"), CASES)


def expect_as_if_nothing_had_failed(case: Case, wide: bool, batch: int, steps: int) -> None:
    """`case` has trained `steps` batches in spite of its failures."""
    other = Case(wide, batch)
    for _ in range(steps):
        other.train()
    assert case.state() == other.state()
    assert case.train() == other.train()
    assert case.state() == other.state()


def with_nan(array: np.ndarray, sample: int) -> np.ndarray:
    spoiled = array.copy()
    spoiled[sample].flat[3] = np.nan
    return spoiled


@every_case
def test_numerics_in_the_input(wide: bool, batch: int) -> None:
    case = Case(wide, batch)
    case.train()
    case.network.check_numerics = True
    before = case.state()
    for place in (0, 1):
        x = [with_nan(a, batch - 1) if k == place else a for k, a in enumerate(case.x)]
        message = f"input: NaN in sample {batch - 1} of the batch, feature 3 of"
        with pytest.raises(_core.NumericsError, match=message):
            case.train(x=x)
        with pytest.raises(_core.NumericsError, match=message):
            case.network.predict(x)
        with pytest.raises(_core.NumericsError, match=message):
            case.network.test_batch(x, None, case.y)
        with pytest.raises(_core.NumericsError, match=message):
            case.network.gradients(x, case.y, training=True)
    assert case.state() == before
    case.network.check_numerics = False
    expect_as_if_nothing_had_failed(case, wide, batch, steps=1)


@every_case
@pytest.mark.parametrize(
    ("weight", "layer"),
    [
        ("conv/kernel", "conv"), ("norm/gamma", "norm"), ("norm2/beta", "norm2"),
        ("side/bias", "side"), ("d1/kernel", "d1"), ("d2/kernel", "d2"), ("class/bias", "class"),
        ("value/kernel", "value"),
    ],
)  # fmt: skip
def test_numerics_in_a_layer(wide: bool, batch: int, weight: str, layer: str) -> None:
    """In the middle of a step, behind normalisations that have met already: nothing moves."""
    case = Case(wide, batch)
    case.train()
    mend = case.spoil(weight, np.inf)
    case.network.check_numerics = True
    moving = [case.network.get_parameter(case.index(f"{n}/moving_mean")) for n in ("norm", "norm2")]
    with pytest.raises(_core.NumericsError, match=f"^{layer}, output: (infinity|NaN) in sample"):
        case.train()
    if layer not in ("norm", "norm2"):  # in inference they are the convolution's, where folded
        with pytest.raises(_core.NumericsError, match=f"^{layer}, output: (infinity|NaN)"):
            case.network.test_batch(case.x, None, case.y)
    for name, value in zip(("norm", "norm2"), moving, strict=True):
        got = case.network.get_parameter(case.index(f"{name}/moving_mean"))
        np.testing.assert_array_equal(got, value)
    mend()
    expect_as_if_nothing_had_failed(case, wide, batch, steps=1)


@every_case
def test_numerics_in_a_gradient(wide: bool, batch: int) -> None:
    """Forward is finite; the error's square is, too, but not its slope times the weights."""
    case = Case(wide, batch)
    case.train()
    mend = case.spoil("value/kernel", 3e30)
    case.network.check_numerics = True
    pattern = "^(value|add|d2|a change of layout|tanh), gradient of its input: (infinity|NaN)"
    with pytest.raises(_core.NumericsError, match=pattern):
        case.train()
    mend()
    expect_as_if_nothing_had_failed(case, wide, batch, steps=1)


def test_numerics_of_a_later_piece_counts_its_samples() -> None:
    case = Case(True, 40)
    case.network.check_numerics = True
    x = [case.x[0], with_nan(case.x[1], 37)]
    with pytest.raises(_core.NumericsError, match="input: NaN in sample 37 of the batch"):
        case.network.predict(x)
    case.network.check_numerics = False
    assert np.isnan(case.network.predict(x)[0][37]).all()


@every_case
def test_bad_batches(wide: bool, batch: int) -> None:
    case = Case(wide, batch)
    case.train()
    before = case.state()
    x, y = case.x, case.y
    label = y[0].copy()
    label[batch // 2] = 3
    bad = [
        ({"x": x[:1]}, "takes 2 inputs, got 1"),
        ({"x": [*x, x[0]]}, "takes 2 inputs, got 3"),
        ({"x": x[0]}, "takes 2 inputs, got 1"),
        ({"x": [x[0][:-1], x[1]]}, f"input 0 has {batch - 1} samples, input 1 has {batch}"),
        ({"x": [x[0][:, :5], x[1]]}, "C-contiguous"),
        ({"x": [x[0][:, :5].copy(), x[1]]}, "another shape than the network's input"),
        ({"x": [x[1], x[0]]}, "x has 2 axes, expected a batch of"),
        ({"x": [a.astype(np.float64) for a in x]}, "float32 or uint8"),
        ({"x": [a[:0] for a in x], "y": [a[:0] for a in y]}, "the batch is empty"),
        ({"rows": np.array([0, batch])}, f"row {batch} is outside the {batch} samples"),
        ({"y": y[:1]}, "takes 2 targets, got 1"),
        ({"y": [*y, y[0]]}, "takes 2 targets, got 3"),
        ({"y": None}, "takes 2 targets, got 1"),
        ({"y": [None, y[1]]}, 'output 0, of "class", has a loss and no target'),
        ({"y": [y[0], None]}, 'output 1, of "value", has a loss and no target'),
        ({"y": [y[0], y[0]]}, "takes targets of the output's shape; got integer labels"),
        ({"y": [np.ones((batch, 3), np.float32), y[1]]}, "labels, .*; got rows of targets"),
        ({"y": [y[0][:-1], y[1]]}, f"x has {batch} samples, y has {batch - 1}"),
        ({"y": [y[0], y[1][:, :1].copy()]}, "y must be int64 labels"),
        ({"y": [label, y[1]]}, f"label 3 of sample {batch // 2} .* 3 classes, 0 to 2"),
        ({"sample_weight": [None]}, "takes 2 sample weights, got 1"),
        ({"sample_weight": [np.ones(batch + 1, np.float32), None]}, r"must be \[N\]"),
        ({"outputs": [None]}, "takes 2 output arrays, got 1"),
        ({"outputs": [np.zeros((batch - 1, 3), np.float32), None]}, "outputs must be"),
    ]
    for changed, message in bad:
        with pytest.raises((_core.ShapeError, _core.ArgumentError), match=message):
            case.train(**changed)
    assert case.state() == before
    expect_as_if_nothing_had_failed(case, wide, batch, steps=1)


@pytest.mark.parametrize("wide", [False, True])
def test_failed_compiles_change_nothing(wide: bool) -> None:
    case = Case(wide, 5)
    for _ in range(2):
        case.train()
    before = case.state()
    compile_ = case.network.compile
    rate = {"learning_rate": 0.5}
    bad: list[tuple[tuple[Any, ...], str]] = [
        (([SPARSE], "sgd", rate), "the network has 2 outputs, got 1 losses"),
        (([SPARSE] * 3, "sgd", rate), "the network has 2 outputs, got 3 losses"),
        (([None, None], "sgd", rate), "no output has a loss"),
        (([("nonsense", {}), None], "sgd", rate), 'unknown loss "nonsense"'),
        (([(*SPARSE, float("nan")), None], "sgd", rate), "a loss weight must be finite"),
        (([("huber", {"delta": -1.0}), None], "sgd", rate), "delta must be finite and positive"),
        (([SPARSE, SQUARED], "nonsense", rate), 'unknown optimizer "nonsense"'),
        (([SPARSE, SQUARED], "sgd", {"learning_rate": -1.0}), "learning_rate must be"),
        (([SPARSE, SQUARED], "sgd", rate | {"momentum": 2.0}), "momentum must be"),
        (([SPARSE, SQUARED], "sgd", rate | {"clipnorm": 1.0, "clipvalue": 1.0}), "clipped one way"),
        (([SPARSE, SQUARED], "sgd", rate, ("nonsense", {})), 'unknown schedule "nonsense"'),
        (([SPARSE, SQUARED], "sgd", rate, ("step", {"initial": 0.1, "every": 0})), "steps|every"),
    ]
    for arguments, message in bad:
        with pytest.raises(_core.ArgumentError, match=message):
            compile_(*arguments)
        assert case.state() == before, message
    expect_as_if_nothing_had_failed(case, wide, 5, steps=2)


def test_a_loss_that_the_output_does_not_fit() -> None:
    graph = _core.Graph()
    x = graph.conv2d(graph.input((4, 4, 1)), name="conv", filters=2, kernel=(3, 3))
    network = _core.Network(graph, x, 0)
    network.compile(*SQUARED, "sgd", {"learning_rate": 0.1})
    with pytest.raises(_core.ShapeError, match="takes a vector of distances"):
        network.compile("map", {}, "sgd", {"learning_rate": 0.2})
    assert network.learning_rate == 0.1
    assert network.test_batch(np.ones((2, 4, 4, 1), np.float32), None, np.ones((2, 8), np.float32))


def test_nothing_to_train_with_before_compile() -> None:
    graph = _core.Graph()
    network = _core.Network(graph, graph.dense(graph.input((3,)), name="d", units=2), 0)
    x, y = np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)
    for call in (
        lambda: network.train_batch(x, None, y), lambda: network.test_batch(x, None, y),
        lambda: network.gradients(x, y), lambda: network.memory(4, training=True),
        lambda: network.estimate_curvature(x, None, y),
    ):  # fmt: skip
        with pytest.raises(_core.ArgumentError, match="no loss yet: call compile first"):
            call()
    with pytest.raises(_core.ArgumentError, match="a batch has at least 1 sample, got 0"):
        network.memory(0, training=False)
    assert network.memory(4, training=False)["gradients"] == 0
    assert network.predict(x).shape == (4, 2)


def test_layers_that_are_not_there() -> None:
    case = Case(False, 5)
    case.train()
    case.network.use_average(True)
    before = [case.network.get_parameter(i) for i in range(len(case.network.parameters()))]
    with pytest.raises(_core.ArgumentError, match='the network has no layer "nonsense"'):
        case.network.set_layer_trainable("nonsense", False)
    for bad in (-1, len(before)):
        with pytest.raises(_core.ArgumentError, match="there is no number"):
            case.network.set_trainable(bad, False)
        with pytest.raises(_core.ArgumentError, match="there is no number"):
            case.network.set_regularizer(bad, 0.0, 0.1)
    with pytest.raises(_core.ArgumentError, match="norm/moving_mean is never trained"):
        case.network.set_trainable(case.index("norm/moving_mean"), True)
    with pytest.raises(_core.ArgumentError, match="finite and at least 0"):
        case.network.set_regularizer(0, 0.0, -0.1)
    assert case.network.average_in_use
    for i, value in enumerate(before):
        np.testing.assert_array_equal(case.network.get_parameter(i), value)
    case.network.use_average(False)
    expect_as_if_nothing_had_failed(case, False, 5, steps=1)


@pytest.mark.parametrize("wide", [False, True])
def test_no_curvature_through_normalisation(wide: bool) -> None:
    case = Case(wide, 5)
    case.train()
    with pytest.raises(_core.ArgumentError, match="does not go through batch normalisation"):
        case.network.estimate_curvature(case.x, None, case.y)
    with pytest.raises(_core.ArgumentError, match="no curvature yet"):
        case.network.curvature(0)
    expect_as_if_nothing_had_failed(case, wide, 5, steps=1)


def test_a_graph_survives_nodes_that_do_not_fit() -> None:
    graph = _core.Graph()
    x = graph.input((6,))
    d = graph.dense(x, name="d", units=4, use_bias=False)
    with pytest.raises(_core.ShapeError, match="conv"):
        graph.conv2d(x, name="conv", filters=2, kernel=(3, 3))
    with pytest.raises(_core.ArgumentError, match='two layers are named "d"'):
        graph.dense(d, name="d", units=4)
    with pytest.raises(_core.ArgumentError, match="value 99 is not of this graph"):
        graph.add([d, 99], name="sum")
    graph.reuse = True
    with pytest.raises(_core.ShapeError, match=r"kernel has shape \(6, 4\); .* need \(4, 4\)"):
        graph.dense(d, name="d", units=4, use_bias=False)
    with pytest.raises(_core.ShapeError, match=r"bias has shape none; .* need \(4,\)"):
        graph.dense(x, name="d", units=4, use_bias=True)
    with pytest.raises(_core.ArgumentError, match='two layers are named "d"'):
        graph.batch_normalization(d, name="d")
    again = graph.dense(x, name="d", units=4, use_bias=False)
    total = graph.add([d, again], name="sum")
    network = _core.Network(graph, total, 0)
    assert [p["name"] for p in network.parameters()] == ["d/kernel"]
    ones = np.ones((2, 6), np.float32)
    np.testing.assert_allclose(
        network.predict(ones), 2 * ones @ network.get_parameter(0), rtol=1e-6
    )
