"""Optimizers: settings and, for one step or a few, the update rules in NumPy."""

import numpy as np
import pytest
from striate import Input, Sequential, layers, optimizers, set_random_seed
from striate.errors import ArgumentError, StriateWarning
from striate.optimizers import SDLM, SGD, Adam, AdamW, RMSprop

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3)).astype(np.float32)
Y = RNG.normal(size=(20, 2)).astype(np.float32)


def linear(optimizer) -> Sequential:
    set_random_seed(1)
    model = Sequential([Input((3,)), layers.Dense(2, use_bias=False)])
    model.compile(optimizer, "mse")
    return model


def steps(optimizer, rule, count=4) -> None:
    """Checks `count` steps of the model against rule(weight, gradient, step, state) -> weight."""
    model = linear(optimizer)
    w = model.get_weights()[0].astype(np.float64)
    state: dict[str, np.ndarray] = {}
    for step in range(1, count + 1):
        gradient = 2 * X.T.astype(np.float64) @ (X @ w - Y) / Y.size
        w = rule(w, gradient, step, state)
        model.train_on_batch(X, Y)
        np.testing.assert_allclose(model.get_weights()[0], w, rtol=2e-4, atol=1e-6)


def test_sgd() -> None:
    steps(SGD(0.1), lambda w, g, t, s: w - 0.1 * g)


def test_sgd_weight_decay() -> None:
    steps(SGD(0.1, weight_decay=0.2), lambda w, g, t, s: w - 0.1 * 0.2 * w - 0.1 * g)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum(nesterov) -> None:
    def rule(w, g, t, s):
        s["v"] = 0.9 * s.get("v", 0) - 0.1 * g
        return w + (0.9 * s["v"] - 0.1 * g if nesterov else s["v"])

    steps(SGD(0.1, momentum=0.9, nesterov=nesterov), rule)


def adam(w, g, t, s, rate=0.01):
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g * g
    rate = rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return w - rate * s["m"] / (np.sqrt(s["v"]) + 1e-7)


def test_adam() -> None:
    steps(Adam(0.01), adam)


def test_adamw() -> None:
    steps(AdamW(0.01, weight_decay=0.1), lambda w, g, t, s: adam(w - 0.001 * w, g, t, s))
    steps(Adam(0.01, weight_decay=0.1), lambda w, g, t, s: adam(w - 0.001 * w, g, t, s))


def test_rmsprop() -> None:
    def rule(w, g, t, s):
        s["v"] = 0.9 * s.get("v", 0) + 0.1 * g * g
        return w - 0.01 * g / np.sqrt(s["v"] + 1e-7)

    steps(RMSprop(0.01), rule)


def test_sdlm_divides_by_curvature() -> None:
    model = linear(SDLM(0.1, mu=0.02))
    w = model.get_weights()[0].astype(np.float64)
    gradient = 2 * X.T.astype(np.float64) @ (X @ w - Y) / Y.size
    # Of a linear model under the mean over outputs, the Gauss-Newton diagonal is 2 x^2 / outputs.
    curvature = (X.astype(np.float64) ** 2).mean(axis=0)[:, None] * 2 / Y.shape[1]
    model.train_on_batch(X, Y)
    expected = w - 0.1 * gradient / (curvature + 0.02)
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-3, atol=1e-5)


def test_sdlm_in_fit_estimates_before_every_epoch() -> None:
    seen = []
    model = linear(SDLM(0.05, samples=7))
    from striate.callbacks import LambdaCallback

    watch = LambdaCallback(on_epoch_end=lambda e, logs: seen.append(model.network.curvature(0)))
    history = model.fit(X, Y, epochs=4, batch_size=4, verbose=0, callbacks=watch)
    assert not np.array_equal(seen[0], seen[1])
    assert history.history["loss"][-1] < history.history["loss"][0]


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop", "sdlm", "SGD", "Adam"])
def test_names(name) -> None:
    optimizer = optimizers.get(name)
    assert type(optimizer).__name__.lower() == name.lower()
    linear(name).fit(X, Y, epochs=2, verbose=0)


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.2, 0.9, True, weight_decay=0.1),
        Adam(0.2, 0.8, 0.9, 1e-5),
        AdamW(0.2, 0.3),
        RMSprop(0.2, 0.8, 0.1, 1e-5, True),
        SDLM(0.2, 0.5, 100, clipvalue=0.5),
        SGD(0.2, clipnorm=1.0, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5),
        Adam(global_clipnorm=0.5, gradient_accumulation_steps=4),
        SGD(optimizers.schedules.CosineDecay(0.1, 10)),
        Adam(use_ema=True, ema_momentum=optimizers.schedules.PiecewiseLinear([0, 9], [0, 0.9])),
    ],
    ids=repr,
)
def test_config_makes_the_same_optimizer(optimizer) -> None:
    again = optimizers.get(optimizers.serialize(optimizer))
    assert type(again) is type(optimizer)
    assert again.as_core() == optimizer.as_core()
    assert again.get_config() == optimizer.get_config()


def test_learning_rate_can_be_set_while_training() -> None:
    model = linear(SGD(0.1))
    assert model.optimizer.learning_rate == pytest.approx(0.1)
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()[0]
    model.train_on_batch(X, Y)
    assert np.array_equal(model.get_weights()[0], before)
    assert model.optimizer.iterations == 1


def test_recompiling_starts_afresh() -> None:
    model = linear("adam")
    model.fit(X, Y, verbose=0)
    model.compile("adam", "mse")
    assert model.optimizer.iterations == 0


def test_an_optimizer_before_compile() -> None:
    optimizer = SGD(0.3)
    assert optimizer.learning_rate == 0.3 and optimizer.iterations == 0
    optimizer.learning_rate = 0.4
    assert optimizer.learning_rate == 0.4
    assert SGD(np.float32(0.5)).learning_rate == 0.5


def test_keras_2_name_of_the_rate() -> None:
    with pytest.warns(StriateWarning, match="lr= is Keras 2's"):
        assert SGD(lr=0.3).learning_rate == 0.3


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(-0.1),
        lambda: SGD("fast"),
        lambda: SGD(float("nan")),
        lambda: SGD(momentum=1.5),
        lambda: Adam(beta_1=-1),
        lambda: SDLM(mu=0),
        lambda: SDLM(samples=0),
        lambda: optimizers.get("adamm"),
        lambda: optimizers.get(None),
    ],
)
def test_bad_arguments(make) -> None:
    with pytest.raises(ArgumentError):
        make()


def test_unknown_arguments() -> None:
    with pytest.raises(TypeError, match="loss_scale_factor=2.0 is not supported"):
        SGD(loss_scale_factor=2.0)
    with pytest.raises(TypeError, match="amsgrad=True is not supported"):
        Adam(amsgrad=True)
    with pytest.raises(TypeError, match="momentun is not an argument"):
        SGD(momentun=0.9)
    Adam(amsgrad=False, clipnorm=None, loss_scale_factor=None)
