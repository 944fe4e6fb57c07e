"""Schedules against their closed forms, and as optimizers use them."""

import math

import numpy as np
import pytest
from striate import Input, Sequential, layers, optimizers, schedules
from striate.errors import ArgumentError
from striate.schedules import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    LearningRateSchedule,
    OneCycle,
    PiecewiseConstantDecay,
    PiecewiseLinear,
    StepDecay,
)

X = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
Y = np.zeros((20, 1), np.float32)


def model_with(schedule) -> Sequential:
    model = Sequential([Input((2,)), layers.Dense(1)])
    model.compile(optimizers.SGD(schedule), "mse")
    return model


def rates(schedule, steps) -> list[float]:
    return [schedule(step) for step in range(steps)]


def test_constant_step_and_exponential() -> None:
    assert rates(Constant(0.3), 3) == [0.3] * 3
    assert rates(StepDecay(0.8, 0.5, every=2), 5) == pytest.approx([0.8, 0.8, 0.4, 0.4, 0.2])
    smooth = ExponentialDecay(0.5, decay_steps=4, decay_rate=0.1)
    assert rates(smooth, 9) == pytest.approx([0.5 * 0.1 ** (s / 4) for s in range(9)])
    stairs = ExponentialDecay(0.5, 4, 0.1, staircase=True)
    assert rates(stairs, 9) == pytest.approx([0.5 * 0.1 ** (s // 4) for s in range(9)])


def test_cosine() -> None:
    schedule = CosineDecay(0.4, decay_steps=10, alpha=0.1)
    expected = [
        0.4 * (0.9 * 0.5 * (1 + math.cos(math.pi * min(s, 10) / 10)) + 0.1) for s in range(15)
    ]
    assert rates(schedule, 15) == pytest.approx(expected)


def test_cosine_with_warmup() -> None:
    schedule = CosineDecay(0.1, 10, alpha=0.0, warmup_target=0.5, warmup_steps=4)
    warm = [0.1 + 0.4 * s / 4 for s in range(4)]
    cool = [0.5 * 0.5 * (1 + math.cos(math.pi * min(s, 10) / 10)) for s in range(12)]
    assert rates(schedule, 16) == pytest.approx(warm + cool, abs=1e-12)
    assert CosineDecay(0.1, 10, warmup_target=0.5)(0) == pytest.approx(0.5)


def one_cycle(maximum, steps, pct_start=0.3, div=25.0, final=1e4) -> list[float]:
    """PyTorch's OneCycleLR, two phases, cosine."""
    start, end = maximum / div, maximum / div / final
    peak = pct_start * steps - 1
    values = []
    for step in range(steps):
        if step <= peak:
            low, high, at = start, maximum, step / peak
        else:
            low, high, at = maximum, end, (step - peak) / (steps - 1 - peak)
        values.append(high + (low - high) / 2 * (1 + math.cos(math.pi * at)))
    return values


@pytest.mark.parametrize(("steps", "pct"), [(10, 0.3), (100, 0.3), (50, 0.5), (7, 0.3)])
def test_one_cycle(steps, pct) -> None:
    schedule = OneCycle(0.1, steps, pct_start=pct)
    assert rates(schedule, steps) == pytest.approx(one_cycle(0.1, steps, pct), rel=1e-9)
    assert schedule(steps + 50) == pytest.approx(0.1 / 25 / 1e4)
    assert rates(OneCycle(0.1, 20, div_factor=10, final_div_factor=100), 20) == pytest.approx(
        one_cycle(0.1, 20, div=10, final=100), rel=1e-9
    )


def test_piecewise_includes_its_boundary() -> None:
    schedule = PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.1])
    assert rates(schedule, 7) == [1.0, 1.0, 1.0, 0.5, 0.5, 0.1, 0.1]


@pytest.mark.parametrize("start", [0, 3])
def test_piecewise_linear(start) -> None:
    at, values = [start, start + 4, start + 5, start + 11], [0.2, 1.0, 0.5, 0.0]
    expected = np.interp(range(20), at, values)
    assert rates(PiecewiseLinear(at, values), 20) == pytest.approx(expected.tolist(), abs=1e-15)
    assert rates(PiecewiseLinear([start], [0.3]), 6) == [0.3] * 6


def test_the_papers_list() -> None:
    schedule = schedules.lenet5_1998(steps_per_epoch=10)
    by_pass = [schedule(10 * p) for p in range(20)]
    assert by_pass == [0.0005] * 2 + [0.0002] * 3 + [0.0001] * 3 + [0.00005] * 4 + [0.00001] * 8
    assert [schedule(10 * p + 9) for p in range(20)] == by_pass


@pytest.mark.parametrize(
    "schedule",
    [
        Constant(0.1),
        StepDecay(0.1, 0.5, every=3),
        ExponentialDecay(0.1, 3, 0.5, staircase=True),
        CosineDecay(0.1, 5, 0.1, warmup_target=0.4, warmup_steps=2),
        OneCycle(0.1, 8),
        PiecewiseConstantDecay([1, 3], [0.3, 0.2, 0.1]),
        PiecewiseLinear([1, 5], [0.1, 0.4]),
    ],
    ids=lambda s: type(s).__name__,
)
def test_the_optimizer_follows(schedule) -> None:
    model = model_with(schedule)
    for step in range(8):
        assert model.optimizer.learning_rate == pytest.approx(schedule(step))
        model.train_on_batch(X, Y)
    again = schedules.get(schedules.serialize(schedule))
    assert rates(again, 10) == rates(schedule, 10)


def test_a_schedule_moves_the_weights_by_its_rates() -> None:
    class Halving(LearningRateSchedule):
        def __call__(self, step):
            return 0.1 * 0.5**step

    python, core = model_with(Halving()), model_with(ExponentialDecay(0.1, 1, 0.5))
    core.set_weights(python.get_weights())
    for model in (python, core):
        model._seed = 0
        model.fit(X, Y, batch_size=5, epochs=2, verbose=0, shuffle=False)
    np.testing.assert_allclose(python.get_weights()[0], core.get_weights()[0], rtol=1e-6)
    assert python.optimizer.learning_rate == pytest.approx(0.1 * 0.5**8)


def test_fit_fills_in_the_steps_of_one_cycle() -> None:
    model = model_with(OneCycle(0.1))
    assert model.optimizer.learning_rate == pytest.approx(0.1 / 25)
    with pytest.raises(ArgumentError, match="fit fills it in"):
        model.train_on_batch(X, Y)
    model.fit(X, Y, batch_size=4, epochs=3, verbose=0)
    assert model.optimizer.schedule.steps == 15
    assert model.optimizer.learning_rate == pytest.approx(0.1 / 25 / 1e4)


def test_one_cycle_with_batches_of_unknown_number() -> None:
    model = model_with(OneCycle(0.1))
    with pytest.raises(ArgumentError, match="fit fills it in"):
        model.fit(((X, Y) for _ in range(3)), verbose=0)
    model.fit(((X, Y) for _ in range(3)), steps_per_epoch=3, verbose=0)
    assert model.optimizer.schedule.steps == 3


def test_assigning_a_rate_ends_the_schedule() -> None:
    model = model_with(StepDecay(0.1, every=1))
    model.train_on_batch(X, Y)
    model.optimizer.learning_rate = 0.7
    model.train_on_batch(X, Y)
    assert model.optimizer.learning_rate == pytest.approx(0.7)
    assert model.optimizer.schedule is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant(-1),
        lambda: Constant(math.nan),
        lambda: StepDecay(0.1, every=0),
        lambda: ExponentialDecay(0.1, 2.5, 0.1),
        lambda: OneCycle(0.1, pct_start=2),
        lambda: OneCycle(0.1, div_factor=0),
        lambda: PiecewiseConstantDecay([1], [0.1]),
        lambda: PiecewiseConstantDecay([3, 2], [0.1, 0.1, 0.1]),
        lambda: PiecewiseLinear([], []),
        lambda: PiecewiseLinear([0, 1], [0.1]),
        lambda: PiecewiseLinear([1, 1], [0.1, 0.2]),
        lambda: PiecewiseLinear([0], [-0.1]),
        lambda: schedules.get("cosine"),
        lambda: schedules.lenet5_1998(0),
    ],
)
def test_bad_arguments(make) -> None:
    with pytest.raises(ArgumentError):
        make()
