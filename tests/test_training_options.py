"""Clipping, accumulation, averages and decay: Keras 3's step in float64, and by hand."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from small_fits import X as SAMPLES
from small_fits import Y as CLASSES
from small_fits import classifier
from striate import Input, Sequential, layers, load_model, optimizers, set_random_seed
from striate.errors import ArgumentError
from striate.optimizers import SGD, Adam, AdamW, RMSprop
from striate.regularizers import L1L2
from striate.schedules import LearningRateSchedule, PiecewiseConstantDecay, PiecewiseLinear

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype(np.float32)
Y = RNG.normal(size=(60, 2)).astype(np.float32)
BATCH = 10

Weights = list[np.ndarray]


def linear(optimizer, kernel_regularizer=None) -> Sequential:
    set_random_seed(1)
    dense = layers.Dense(2, bias_initializer="ones", kernel_regularizer=kernel_regularizer)
    model = Sequential([Input((3,)), dense])
    model.compile(optimizer, "mse")
    return model


@dataclass
class Simulation:
    """The same model and step in float64, as Keras 3 orders it."""

    weights: Weights
    options: dict[str, Any]
    rule: str = "sgd"
    l1: float = 0.0
    l2: float = 0.0
    steps: int = 0
    batches: int = 0
    slots: list[dict[str, np.ndarray]] = field(default_factory=lambda: [{}, {}])
    sums: Weights | None = None
    average: Weights | None = None

    def gradients(self, x: np.ndarray, y: np.ndarray) -> Weights:
        w, b = self.weights
        slope = 2 * (x @ w + b - y) / y.size
        return [x.T @ slope + self.l1 * np.sign(w) + 2 * self.l2 * w, slope.sum(axis=0)]

    def clipped(self, gradients: Weights) -> Weights:
        o = self.options
        if limit := o.get("clipvalue"):
            return [np.clip(g, -limit, limit) for g in gradients]
        if limit := o.get("clipnorm"):
            return [g * min(1, limit / np.linalg.norm(g)) for g in gradients]
        if limit := o.get("global_clipnorm"):
            norm = np.sqrt(sum(np.square(g).sum() for g in gradients))
            return [g * min(1, limit / norm) for g in gradients]
        return gradients

    def step(self, x: np.ndarray, y: np.ndarray) -> None:
        o, gradients = self.options, self.gradients(x, y)
        every = o.get("gradient_accumulation_steps") or 1
        self.batches += 1
        self.sums = gradients if self.sums is None else _added(self.sums, gradients)
        if self.batches % every:
            return
        gradients = self.clipped([g / every for g in self.sums])
        self.sums = None
        self.steps += 1
        rate = o["learning_rate"]
        self.weights = [w - rate * o.get("weight_decay", 0) * w for w in self.weights]
        factors = o.get("multipliers", [1, 1])
        moves = [
            self.move(g, slot, factor)
            for g, slot, factor in zip(gradients, self.slots, factors, strict=True)
        ]
        self.weights = _added(self.weights, moves)
        if not o.get("use_ema"):
            return
        m = o["ema_momentum"]
        m = m(self.batches - 1) if isinstance(m, LearningRateSchedule) else m
        m = m if self.steps > 1 else 0
        old = self.average or self.weights
        self.average = [m * a + (1 - m) * w for a, w in zip(old, self.weights, strict=True)]
        frequency = o.get("ema_overwrite_frequency")
        if frequency and self.steps % frequency == 0:
            self.weights = list(self.average)

    def move(self, g: np.ndarray, slot: dict[str, np.ndarray], factor: float) -> np.ndarray:
        rate, momentum = self.options["learning_rate"] * factor, self.options.get("momentum", 0)
        if self.rule == "sgd":
            slot["v"] = momentum * slot.get("v", 0) - rate * g
            return slot["v"]
        slot["m"] = 0.9 * slot.get("m", 0) + 0.1 * g
        slot["v"] = 0.999 * slot.get("v", 0) + 0.001 * g * g
        rate *= np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        return -rate * slot["m"] / (np.sqrt(slot["v"]) + 1e-7)


def _added(a: Weights, b: Weights) -> Weights:
    return [x + y for x, y in zip(a, b, strict=True)]


OPTIONS = [
    {"clipvalue": 0.1},
    {"clipnorm": 0.3},
    {"clipnorm": 100.0},
    {"global_clipnorm": 0.3},
    {"use_ema": True, "ema_momentum": 0.9},
    {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 3},
    {"gradient_accumulation_steps": 2, "global_clipnorm": 0.2, "weight_decay": 0.1},
    {"gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.8,
     "ema_overwrite_frequency": 2, "clipnorm": 0.3},
    {"use_ema": True, "ema_momentum": PiecewiseLinear([0, 5], [0.0, 0.9])},
    {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 2,
     "ema_momentum": PiecewiseLinear([1, 4], [0.2, 0.8])},
    {"multipliers": [0.5, 4.0], "weight_decay": 0.1},
    {"multipliers": [1.0, 0.0], "global_clipnorm": 0.3},
]  # fmt: skip


@pytest.mark.parametrize("rule", ["sgd", "adam"])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: ",".join(f"{k}={o[k]}" for k in o))
def test_steps_are_keras_3s(rule: str, options: dict[str, Any]) -> None:
    options = {"learning_rate": 0.1 if rule == "sgd" else 0.02, **options}
    if rule == "sgd":
        options["momentum"] = 0.5
    make = SGD if rule == "sgd" else Adam
    settings = dict(options)
    factors = settings.pop("multipliers", None)
    model = linear(make(**settings), L1L2(0.02, 0.05))
    if factors is not None:
        kernel, bias = factors
        model.optimizer.set_learning_rate_multipliers({"kernel": kernel, "/bias$": bias})
    start = [w.astype(np.float64) for w in model.get_weights()]
    simulation = Simulation(start, options, rule, 0.02, 0.05)
    for begin in range(0, 60, BATCH):
        x, y = X[begin : begin + BATCH], Y[begin : begin + BATCH]
        model.train_on_batch(x, y)
        simulation.step(x.astype(np.float64), y.astype(np.float64))
        for got, want in zip(model.get_weights(), simulation.weights, strict=True):
            np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-6)
        assert model.optimizer.iterations == simulation.steps
    if simulation.average is not None:
        model.optimizer.finalize_variable_values(model.trainable_weights)
        for got, want in zip(model.get_weights(), simulation.average, strict=True):
            np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-6)


def one_weight(optimizer, kernel=(0.0, 0.0)) -> Sequential:
    """y = x . w with targets that make the gradient -2 x y / 1 at w = 0."""
    dense = layers.Dense(1, use_bias=False)
    model = Sequential([Input((2,)), dense])
    model.compile(optimizer, "mse")
    model.set_weights([np.array(kernel)[:, None]])
    return model


def moved(model, gradient) -> list[float]:
    """What a step with this gradient, at w = 0, adds to the weights."""
    before = model.get_weights()[0]
    x = np.array([gradient], np.float32)
    model.train_on_batch(x, x @ before - 0.5)  # slope 2 * 0.5 of the error, times x
    return (model.get_weights()[0] - before)[:, 0].tolist()


def test_clips_by_hand() -> None:
    assert moved(one_weight(SGD(1.0)), [3, -4]) == pytest.approx([-3, 4])
    assert moved(one_weight(SGD(1.0, clipvalue=3.5)), [3, -4]) == pytest.approx([-3, 3.5])
    assert moved(one_weight(SGD(1.0, clipnorm=1)), [3, -4]) == pytest.approx([-0.6, 0.8])
    assert moved(one_weight(SGD(1.0, clipnorm=5)), [3, -4]) == pytest.approx([-3, 4])
    assert moved(one_weight(SGD(1.0, global_clipnorm=2.5)), [3, -4]) == pytest.approx([-1.5, 2])
    assert moved(one_weight(SGD(1.0, global_clipnorm=1)), [0, 0]) == [0, 0]


def test_accumulation_by_hand() -> None:
    """Two gradients of 3, -4 and 1, 2: nothing, then their mean."""
    model = one_weight(SGD(1.0, gradient_accumulation_steps=2))
    assert moved(model, [3, -4]) == [0, 0]
    assert model.optimizer.iterations == 0
    assert moved(model, [1, 2]) == pytest.approx([-2, 1])
    assert model.optimizer.iterations == 1
    assert moved(model, [3, -4]) == [0, 0], "the sum starts again"
    assert moved(model, [1, 2]) == pytest.approx([-2, 1])


@pytest.mark.parametrize("option", ["clipnorm", "global_clipnorm", "clipvalue"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_gradient_is_not_clipped_out_of_sight(option, bad) -> None:
    model = one_weight(SGD(1.0, **{option: 1.0}))
    x = np.array([[1, 2]], np.float32)
    model.train_on_batch(x, np.array([[bad]], np.float32))
    w = model.get_weights()[0]
    assert not np.isfinite(w).all() if option != "clipvalue" or np.isnan(bad) else (w == 1).all()


@pytest.mark.parametrize("make", [SGD, Adam, AdamW, RMSprop])
def test_excluded_from_weight_decay(make) -> None:
    """With a rate but no gradient, decay is all that moves weights."""
    optimizer = make(0.5, weight_decay=0.2)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma"])
    model = linear(optimizer)
    kernel, bias = model.get_weights()
    x = np.zeros((4, 3), np.float32)
    y = np.tile(bias, (4, 1))
    model.train_on_batch(x, y)
    after = model.get_weights()
    np.testing.assert_allclose(after[0], kernel * 0.9, rtol=1e-6)
    np.testing.assert_array_equal(after[1], bias)


def test_exclusions_by_weight_change_and_are_saved(tmp_path) -> None:
    optimizer = SGD(0.5, weight_decay=0.2)
    model = linear(optimizer)
    optimizer.exclude_from_weight_decay(var_list=[model.weights[0]])
    kernel = model.get_weights()[0]
    x, zeros = np.zeros((4, 3), np.float32), np.zeros((4, 2), np.float32)
    model.train_on_batch(x, zeros)
    np.testing.assert_array_equal(model.get_weights()[0], kernel)
    json.dumps(optimizer.get_config())
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    again.train_on_batch(x, zeros)
    np.testing.assert_array_equal(again.get_weights()[0], kernel)
    optimizer.exclude_from_weight_decay()
    model.train_on_batch(x, zeros)
    np.testing.assert_allclose(model.get_weights()[0], kernel * 0.9, rtol=1e-6)
    model.compile(SGD(0.5, weight_decay=0.2), "mse")
    model.train_on_batch(x, zeros)
    np.testing.assert_allclose(model.get_weights()[0], kernel * 0.81, rtol=1e-6)
    with pytest.raises(ArgumentError, match="not a regular expression"):
        optimizer.exclude_from_weight_decay(var_names=["("])


def test_a_schedule_of_the_averages_momentum_is_checked() -> None:
    class Own(LearningRateSchedule):
        def __call__(self, step):
            return 0.5

    with pytest.raises(ArgumentError, match="ema_momentum is a number or one of striate's own"):
        SGD(0.1, ema_momentum=Own())
    model = linear(SGD(0.1, use_ema=True, ema_momentum=PiecewiseLinear([0, 4], [0.8, 1.6])))
    model.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    before = model.weights_hash()
    with pytest.raises(ArgumentError, match=r"ema_momentum must be in \[0, 1\], got 1.2"):
        model.train_on_batch(X, Y)
    assert model.weights_hash() == before


def test_a_schedules_clock_counts_batches() -> None:
    """As Keras's: what a user counts in batches does not change its meaning."""
    schedule = PiecewiseConstantDecay([1, 3], [1.0, 0.5, 0.25])
    model = one_weight(SGD(schedule, gradient_accumulation_steps=2))
    got = [moved(model, [1, 0])[0] for _ in range(6)]
    assert got == pytest.approx([0, -1.0, 0, -0.5, 0, -0.25])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clipnorm": 0}, "clipnorm must be positive"),
        ({"clipvalue": -1.0}, "clipvalue must be at least 0"),
        ({"global_clipnorm": float("nan")}, "global_clipnorm must be at least 0"),
        ({"clipnorm": "much"}, "clipnorm must be a number"),
        ({"clipnorm": 1, "clipvalue": 2}, "clipped one way, got clipnorm=1, clipvalue=2"),
        ({"global_clipnorm": 1, "clipvalue": 2}, "clipped one way"),
        ({"ema_momentum": 1.1}, "ema_momentum must be from 0 to 1"),
        ({"ema_overwrite_frequency": 0}, "ema_overwrite_frequency .* at least 1"),
        ({"ema_overwrite_frequency": 2.5}, "ema_overwrite_frequency must be an integer"),
        ({"gradient_accumulation_steps": 1}, "gradient_accumulation_steps .* at least 2"),
        ({"gradient_accumulation_steps": True}, "gradient_accumulation_steps .* at least 2"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0"),
    ],
)  # fmt: skip
def test_bad_arguments(options, message) -> None:
    for make in (SGD, Adam, AdamW, RMSprop):
        with pytest.raises(ArgumentError, match=f"{make.__name__}: .*{message}"):
            make(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clipnorm": -1.0}, "clipnorm must be finite and positive, or 0"),
        ({"clipvalue": float("inf")}, "clipvalue must be finite"),
        ({"clipnorm": 1.0, "global_clipnorm": 1.0}, "clipped one way"),
        ({"ema_momentum": 2.0}, r"ema_momentum must be in \[0, 1\]"),
        ({"ema_overwrite_frequency": -1}, "ema_overwrite_frequency must be at least 1 update"),
        ({"gradient_accumulation_steps": 0}, "gradient_accumulation_steps must be at least 1"),
    ],
)
def test_the_core_checks_too(options, message) -> None:
    model = classifier("adam")
    model.train_on_batch(SAMPLES, CLASSES)
    state = model.network.optimizer_state()
    with pytest.raises(ArgumentError, match=message):
        model.network.compile("sparse_categorical_crossentropy", {}, "sgd", options)
    for name, slot in model.network.optimizer_state().items():
        np.testing.assert_array_equal(slot, state[name])
    for loss_options in ({"label_smoothing": 1.5}, {"label_smoothing": float("nan")}):
        with pytest.raises(ArgumentError, match="label_smoothing must be in"):
            model.network.compile("categorical_crossentropy", loss_options, "sgd", {})
    with pytest.raises(ArgumentError, match="delta must be finite and positive"):
        model.network.compile("huber", {"delta": 0.0}, "sgd", {})


RESUMED = [
    SGD(0.1, 0.9, gradient_accumulation_steps=3),
    Adam(0.01, use_ema=True, ema_momentum=0.9, global_clipnorm=0.5),
    RMSprop(0.01, momentum=0.5, centered=True, use_ema=True, ema_overwrite_frequency=2,
            gradient_accumulation_steps=2, clipnorm=0.1, weight_decay=0.01),
    SGD(PiecewiseLinear([0, 9], [0.1, 0.2]), 0.9, True, use_ema=True, ema_overwrite_frequency=2,
        ema_momentum=PiecewiseLinear([2, 9], [0.0, 0.9])),
]  # fmt: skip
RESUMED[-1].set_learning_rate_multipliers({"bias": 8.0})


@pytest.mark.parametrize("optimizer", RESUMED, ids=lambda o: type(o).__name__)
def test_resumed_training_has_the_same_bits(optimizer) -> None:
    """Weights, slots and `iterations` are all that the next step depends on, also amid a sum."""

    def fresh() -> Sequential:
        return classifier(optimizers.get(optimizers.serialize(optimizer)))

    def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(step % 5 * 10, step % 5 * 10 + 10)
        return SAMPLES[rows], CLASSES[rows]

    through = fresh()
    for step in range(9):
        through.train_on_batch(*batch(step))
    first = fresh()
    for step in range(4):
        first.train_on_batch(*batch(step))
    second = fresh()
    second.set_weights(first.get_weights())
    second.network.set_optimizer_state(first.network.optimizer_state())
    second.network.iterations = first.network.iterations
    for step in range(4, 9):
        second.train_on_batch(*batch(step))
    assert second.weights_hash() == through.weights_hash()
    slots = through.network.optimizer_state()
    for name, slot in second.network.optimizer_state().items():
        np.testing.assert_array_equal(slot, slots[name])
    assert ("gradient_accumulator" in slots) == bool(optimizer.gradient_accumulation_steps)
    assert ("average" in slots) == optimizer.use_ema
    with pytest.raises(ArgumentError, match="slot .* is missing"):
        second.network.set_optimizer_state({})


def test_memory_counts_the_slots() -> None:
    flat = 4 * classifier("sgd").network.parameters()[0]["count"]
    plain = classifier("adam").memory(8)["optimizer"]
    more = classifier(Adam(use_ema=True, gradient_accumulation_steps=2)).memory(8)["optimizer"]
    assert plain > flat and more == 2 * plain
