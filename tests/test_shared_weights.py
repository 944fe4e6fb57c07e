"""Models with layers in common: one set of weights, whichever model trains them."""

import gc

import numpy as np
import pytest
from striate import Input, Model, Sequential, layers, naming, set_random_seed
from striate.errors import ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 6)).astype(np.float32)
CODES = RNG.normal(size=(24, 2)).astype(np.float32)


@pytest.fixture(autouse=True)
def fresh():
    naming.reset_names()
    set_random_seed(0)


def autoencoder() -> tuple[Model, Model, Model]:
    inputs = Input((6,), name="x")
    code = layers.Dense(2, activation="tanh", name="code")(inputs)
    output = layers.Dense(6, name="decoded")(code)
    return Model(inputs, code, name="encoder"), Model(inputs, output, name="auto"), code


def test_an_encoder_follows_its_autoencoder() -> None:
    encoder, auto, _ = autoencoder()
    auto.compile("adam", "mse")
    first = encoder.predict(X)
    for _ in range(3):
        auto.fit(X, X, verbose=0)
        kernel, bias = auto.get_layer("code").get_weights()
        np.testing.assert_allclose(encoder.predict(X), np.tanh(X @ kernel + bias), rtol=1e-4)
        assert np.array_equal(encoder.get_weights()[0], kernel)
    assert not np.array_equal(encoder.predict(X), first)


def test_either_model_trains_the_other() -> None:
    encoder, auto, _ = autoencoder()
    encoder.compile("sgd", "mse")
    auto.compile("sgd", "mse")
    for step in range(6):
        before = auto.get_layer("code").get_weights()[0]
        if step % 2:
            auto.train_on_batch(X, X)
        else:
            encoder.train_on_batch(X, CODES)
        after = auto.get_layer("code").get_weights()[0]
        assert not np.array_equal(before, after)
        assert np.array_equal(encoder.get_weights()[0], after)
        assert np.array_equal(auto.get_weights()[0], after)
        assert np.array_equal(encoder.network.get_parameter(0), after)
        assert np.array_equal(auto.network.get_parameter(0), after)


def test_alternate_steps_are_those_of_one_network() -> None:
    # What two models do in turns to a shared layer is what one model does step by step.
    inputs = Input((6,))
    hidden = layers.Dense(3, name="hidden")(inputs)
    models = [Model(inputs, layers.Dense(2, name=f"head{i}")(hidden)) for i in range(2)]
    for model in models:
        model.compile("sgd", "mse")
    kernel, bias = models[0].get_layer("hidden").get_weights()
    heads = [model.layers[-1].get_weights() for model in models]
    for step in range(4):
        models[step % 2].train_on_batch(X, CODES)
        w, b = heads[step % 2]
        h = X @ kernel + bias
        g = 2 * (h @ w + b - CODES) / CODES.size
        dh = g @ w.T
        heads[step % 2] = [w - 0.01 * h.T @ g, b - 0.01 * g.sum(axis=0)]
        kernel, bias = kernel - 0.01 * X.T @ dh, bias - 0.01 * dh.sum(axis=0)
    np.testing.assert_allclose(models[0].get_layer("hidden").get_weights()[0], kernel, rtol=1e-4)
    np.testing.assert_allclose(
        models[1].predict(X), (X @ kernel + bias) @ heads[1][0] + heads[1][1], rtol=1e-3, atol=1e-5
    )


def test_a_callback_may_run_the_other_model() -> None:
    from striate.callbacks import LambdaCallback

    encoder, auto, _ = autoencoder()
    encoder.compile("sgd", "mse")
    auto.compile("sgd", "mse")
    seen = []

    def at_batch(batch, logs=None):
        encoder.train_on_batch(X, CODES)
        seen.append(encoder.predict(X))

    auto.fit(X, X, batch_size=8, verbose=0, callbacks=[LambdaCallback(on_train_batch_end=at_batch)])
    assert len(seen) == 3 and np.array_equal(seen[-1], encoder.predict(X))
    assert np.array_equal(encoder.get_weights()[0], auto.get_weights()[0])


def test_a_nested_model_trains_with_the_outer_one() -> None:
    inner = Sequential([Input((6,)), layers.BatchNormalization(), layers.Dense(2)], name="inner")
    inputs = Input((6,))
    outer = Model(inputs, layers.Dense(1, name="y")(inner(inputs)))
    before = inner.get_weights()
    assert all(
        np.array_equal(*w) for w in zip(before, outer.get_weights()[: len(before)], strict=True)
    )
    outer.compile("sgd", "mse")
    outer.fit(X, CODES[:, :1], epochs=2, verbose=0)
    after = inner.get_weights()
    assert all(not np.array_equal(*w) for w in zip(before, after, strict=True))  # statistics too
    gamma, beta, mean, variance, kernel, bias = (w.astype(np.float64) for w in after)
    normal = gamma * (X - mean) / np.sqrt(variance + 1e-3) + beta
    np.testing.assert_allclose(inner.predict(X), normal @ kernel + bias, rtol=1e-4, atol=1e-5)


def test_assigned_weights_are_everywhere() -> None:
    encoder, auto, _ = autoencoder()
    encoder.predict(X), auto.predict(X)
    ones = [np.ones((6, 2)), np.zeros(2)]
    expected = np.tanh(X.sum(axis=1, keepdims=True) * [1, 1])
    encoder.set_weights(ones)
    np.testing.assert_allclose(auto.get_layer("code")(X), expected, rtol=1e-5)
    assert np.array_equal(auto.get_weights()[0], ones[0])
    auto.get_layer("code").set_weights([2 * ones[0], ones[1]])
    assert np.array_equal(encoder.get_weights()[0], 2 * ones[0])
    auto.weights[0].assign(3 * ones[0])
    assert np.array_equal(encoder.weights[0].numpy(), 3 * ones[0])
    assert np.array_equal(np.asarray(encoder.weights[0]), 3 * ones[0])


def test_loaded_weights_are_everywhere(tmp_path) -> None:
    encoder, auto, _ = autoencoder()
    encoder.set_weights([np.ones((6, 2)), np.zeros(2)])
    encoder.save_weights(tmp_path / "w")
    encoder.set_weights([np.zeros((6, 2)), np.zeros(2)])
    encoder.load_weights(tmp_path / "w")
    assert np.array_equal(auto.get_weights()[0], np.ones((6, 2)))
    auto.save_weights(tmp_path / "w")
    auto.set_weights([np.zeros_like(w) for w in auto.get_weights()])
    auto.load_weights(tmp_path / "w")
    assert np.array_equal(encoder.get_weights()[0], np.ones((6, 2)))


def test_weights_outlive_the_model_that_trained_them() -> None:
    auto = autoencoder()[1]
    auto.compile("sgd", "mse")
    auto.fit(X, X, verbose=0)
    layer, kernel = auto.get_layer("code"), auto.get_layer("code").get_weights()[0]
    del auto
    gc.collect()
    assert np.array_equal(layer.get_weights()[0], kernel)
    model = Sequential([Input((6,)), layer])
    assert np.array_equal(model.get_weights()[0], kernel)
    model.compile("sgd", "mse")
    model.fit(X, CODES, verbose=0)
    assert not np.array_equal(layer.get_weights()[0], kernel)
    assert layer.newest is model.materialize() and not layer.newest.shared


@pytest.mark.parametrize("looked_at", [[], [0], [1], [1, 0]], ids=str)
def test_looking_at_weights_does_not_change_them(looked_at) -> None:
    encoder, auto, _ = autoencoder()
    for place in looked_at:
        (encoder, auto)[place].get_weights()
    weights = auto.get_weights()
    set_random_seed(0)
    again = autoencoder()[1]
    assert all(np.array_equal(*w) for w in zip(weights, again.get_weights(), strict=True))


def test_a_stack_that_grows_leaves_nothing_behind() -> None:
    model = Sequential([Input((6,))])
    first = None
    for units in (5, 4, 3):
        model.add(layers.Dense(units))
        first = model.get_weights()[0] if first is None else first
        assert np.array_equal(model.get_weights()[0], first)
    model.predict(X)
    assert not model.materialize().shared
    popped = model.pop()
    kernel = popped.get_weights()[0]
    other = Sequential([Input((4,)), popped])
    assert np.array_equal(other.get_weights()[0], kernel)
    assert not other.materialize().retired


def test_weights_of_other_shapes_are_refused() -> None:
    convolution = layers.Conv2D(2, 3, name="c")
    Sequential([Input((8, 8, 3)), convolution])
    with pytest.raises(ShapeError, match=r"c: its weights are made for inputs \(None, 8, 8, 3\)"):
        Sequential([Input((8, 8, 1)), convolution])
    # A kernel of as many numbers, but of another shape.
    changed = layers.Conv2D(4, 3, use_bias=False, name="g")
    first = Sequential([Input((8, 8, 2)), changed], name="first")
    first.get_weights()
    changed.filters = 2
    match = r"g: its weights in first are g/kernel \(3, 3, 2, 4\), in second they would be g/kernel"
    with pytest.raises(ShapeError, match=match):
        Sequential([Input((8, 8, 4)), changed], name="second").get_weights()


def test_a_model_that_shares_nothing_has_nothing_to_do() -> None:
    model = Sequential([Input((6,)), layers.Dense(2)])
    model.predict(X)
    assert model.materialize().shared == []
    encoder, auto, _ = autoencoder()
    encoder.predict(X)
    assert encoder.materialize().shared == []
    auto.predict(X)
    assert encoder.materialize().shared == auto.materialize().shared == [auto.get_layer("code")]
    del encoder
    gc.collect()
    auto.predict(X)
    assert auto.materialize().shared == []


def test_frozen_in_one_model_is_frozen_in_all() -> None:
    encoder, auto, _ = autoencoder()
    encoder.compile("sgd", "mse")
    auto.compile("sgd", "mse")
    encoder.trainable = False
    before = encoder.get_weights()
    auto.fit(X, X, verbose=0)
    encoder.train_on_batch(X, CODES)
    assert all(np.array_equal(*w) for w in zip(encoder.get_weights(), before, strict=True))
    assert auto.trainable and len(auto.trainable_weights) == 2
