"""BatchNormalization as Keras means it: statistics, freezing, folding, saving; and PyTorch's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from striate import Input, Model, Sequential, layers, load_model, optimizers, set_random_seed
from striate.errors import ArgumentError, StriateError

RNG = np.random.default_rng(11)
SHAPE = (4, 5, 6)
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def images(count: int, shape: tuple[int, ...] = SHAPE) -> Floats:
    scale = RNG.uniform(0.5, 2.0, size=shape[-1])
    return (RNG.normal(size=(count, *shape)) * scale + np.arange(shape[-1])).astype(np.float32)


def normalized(x: NDArray[Any], weights: list[Floats], epsilon: float = 1e-3) -> Doubles:
    gamma, beta, mean, variance = (w.astype(np.float64) for w in weights)
    result: Doubles = gamma * (x - mean) / np.sqrt(variance + epsilon) + beta
    return result


def of_batch(x: NDArray[Any]) -> tuple[Doubles, Doubles]:
    """Mean and biased variance by channel."""
    axes = tuple(range(x.ndim - 1))
    return x.mean(axis=axes, dtype=np.float64), x.astype(np.float64).var(axis=axes)


def random_weights(layer: layers.BatchNormalization) -> list[Floats]:
    values = [RNG.normal(size=w.shape).astype(np.float32) for w in layer.weights]
    values[-1] = np.abs(values[-1]) + 0.5
    layer.set_weights(values)
    return values


def single(shape: tuple[int, ...] = SHAPE, **options: Any) -> tuple[Sequential, Any]:
    layer = layers.BatchNormalization(name="norm", **options)
    model = Sequential([Input(shape), layer])
    model.compile(optimizers.SGD(0.0), "mse")
    return model, layer


def zeros(x: Floats) -> Floats:
    return np.zeros_like(x)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["gamma", "beta", "moving_mean", "moving_variance"]),
        ({"scale": False}, ["beta", "moving_mean", "moving_variance"]),
        ({"center": False}, ["gamma", "moving_mean", "moving_variance"]),
        ({"scale": False, "center": False}, ["moving_mean", "moving_variance"]),
    ],
)
def test_weights(options: dict[str, bool], names: list[str]) -> None:
    model, layer = single(**options)
    assert [w.name for w in layer.weights] == names
    assert [w.shape for w in layer.weights] == [(6,)] * len(names)
    assert [w.name for w in layer.trainable_weights] == names[:-2]
    assert [w.name for w in layer.non_trainable_weights] == names[-2:]
    assert model.count_params() == 6 * len(names)
    starts = {"gamma": 1, "beta": 0, "moving_mean": 0, "moving_variance": 1}
    for weight, value in zip(layer.weights, layer.get_weights(), strict=True):
        assert (value == starts[weight.name]).all()
    x = images(3)
    want = x / np.sqrt(1 + 1e-3)
    np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-6)


def test_initializers() -> None:
    _, layer = single(
        gamma_initializer="zeros", beta_initializer="ones", moving_mean_initializer="ones",
        moving_variance_initializer="zeros",
    )  # fmt: skip
    assert [float(w[0]) for w in layer.get_weights()] == [0, 1, 1, 0]


@pytest.mark.parametrize("count", [1, 3, 7, 19])
@pytest.mark.parametrize("momentum", [0.99, 0.75, 0.0, 1.0])
def test_moving_statistics(count: int, momentum: float) -> None:
    """After each step: momentum * moving + (1 - momentum) * the batch's, the variance biased."""
    model, layer = single(momentum=momentum)
    mean, variance = np.zeros(6), np.ones(6)
    for _ in range(3):
        x = images(count)
        loss = model.train_on_batch(x, zeros(x))
        batch_mean, batch_variance = of_batch(x)
        mean = momentum * mean + (1 - momentum) * batch_mean
        variance = momentum * variance + (1 - momentum) * batch_variance
        np.testing.assert_allclose(layer.get_weights()[2], mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(layer.get_weights()[3], variance, rtol=1e-5, atol=1e-6)
        # Training's outputs have the batch's statistics, not the moving ones.
        want = (batch_variance / (batch_variance + 1e-3)).mean()
        assert loss == pytest.approx(want, rel=1e-5)


def test_defaults_are_keras() -> None:
    config = layers.BatchNormalization().get_config()
    assert (config["momentum"], config["epsilon"]) == (0.99, 1e-3)
    assert config["center"] and config["scale"] and config["axis"] == -1


@pytest.mark.parametrize("shape", [SHAPE, (7,), (1, 1, 3), (6, 6, 17)])
@pytest.mark.parametrize("count", [1, 5, 19])
def test_inference(shape: tuple[int, ...], count: int) -> None:
    model, layer = single(shape, epsilon=0.02)
    weights = random_weights(layer)
    x = images(count, shape)
    want = normalized(x, weights, 0.02)
    np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-5, atol=1e-5)
    before = layer.get_weights()
    assert model.evaluate(x, zeros(x), verbose=0) == pytest.approx((want**2).mean(), rel=1e-5)
    model.gradients(x, zeros(x), training=True)
    for a, b in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("count", [1, 4, 19])
def test_constant_input(count: int) -> None:
    """Variance 0: training gives beta; in inference the moving statistics say what comes."""
    model, layer = single()
    weights = random_weights(layer)
    x = np.broadcast_to(np.arange(6, dtype=np.float32) / 10, (count, *SHAPE)).copy()
    beta = np.broadcast_to(weights[1], x.shape).copy()
    assert model.train_on_batch(x, beta) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(layer.get_weights()[3], 0.99 * weights[3], rtol=1e-6)
    _, gradients, dx = model.gradients(x, zeros(x), training=True)
    # A shift of a whole channel changes nothing, and beta takes all of the slope.
    np.testing.assert_allclose(dx.sum(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(gradients[1], 2 * weights[1] / 6, rtol=1e-5)
    want = normalized(x, layer.get_weights())
    np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-5, atol=1e-6)


def test_one_sample_of_one_pixel() -> None:
    """The batch is its own mean: the output is beta, and all is finite."""
    model, layer = single((3,), momentum=0.5)
    weights = random_weights(layer)
    x = images(1, (3,))
    assert model.train_on_batch(x, weights[1][None]) == pytest.approx(0, abs=1e-10)
    mean, variance = layer.get_weights()[2:]
    np.testing.assert_allclose(mean, (weights[2] + x[0]) / 2, rtol=1e-6)
    np.testing.assert_allclose(variance, weights[3] / 2, rtol=1e-6)
    loss, gradients, dx = model.gradients(x, zeros(x), training=True)
    assert loss == pytest.approx((weights[1] ** 2).mean(), rel=1e-6)
    np.testing.assert_allclose(dx, 0, atol=1e-5)
    np.testing.assert_allclose(gradients[0], 0, atol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("count", [5, 19])
def test_no_digit_is_lost_to_the_mean(count: int, offset: float) -> None:
    model, layer = single((9, 9, 3), momentum=0.0)
    steps = RNG.integers(-4000, 4000, size=(count, 9, 9, 3))
    x = (offset + steps / 1024.0).astype(np.float32)
    model.train_on_batch(x, zeros(x))
    mean, variance = of_batch(steps / 1024.0)
    np.testing.assert_allclose(layer.get_weights()[2], offset + mean, rtol=2e-7, atol=1e-6)
    np.testing.assert_allclose(layer.get_weights()[3], variance, rtol=1e-4 if offset else 2e-6)


# ---- frozen


def between(trainable: bool = True) -> tuple[Sequential, Any]:
    set_random_seed(5)
    norm = layers.BatchNormalization(name="norm", momentum=0.5, trainable=trainable)
    model = Sequential([Input((5,)), layers.Dense(4, name="below"), norm, layers.Dense(2)])
    model.compile(optimizers.SGD(0.1), "mse")
    return model, norm


def step(model: Sequential) -> None:
    model.train_on_batch(images(12, (5,)), RNG.normal(size=(12, 2)).astype(np.float32))


@pytest.mark.parametrize("when", ["constructed", "before", "later"])
def test_frozen_layers_run_on_moving_statistics(when: str) -> None:
    model, norm = between(trainable=when != "constructed")
    if when == "later":
        step(model)
    norm.trainable = False
    if when == "before":
        model.compile(optimizers.SGD(0.1), "mse")
    random_weights(norm)
    assert not norm.trainable_weights and len(norm.non_trainable_weights) == 4
    x, y = images(12, (5,)), RNG.normal(size=(12, 2)).astype(np.float32)
    inference, training = model.gradients(x, y), model.gradients(x, y, training=True)
    assert training[0] == pytest.approx(inference[0], rel=1e-6)
    for a, b in zip(training[1], inference[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    frozen, below = norm.get_weights(), model.layers[0].get_weights()
    step(model)
    for a, b in zip(norm.get_weights(), frozen, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(model.layers[0].get_weights()[0], below[0]), "the rest trains"


def test_thawed_layers_train_again() -> None:
    model, norm = between(trainable=False)
    norm.trainable = True
    assert [w.name for w in norm.trainable_weights] == ["gamma", "beta"]
    before = norm.get_weights()
    step(model)
    assert not any(np.array_equal(*w) for w in zip(norm.get_weights(), before, strict=True))


def test_frozen_and_thawed_is_as_never_frozen() -> None:
    x, y = images(12, (5,)), RNG.normal(size=(12, 2)).astype(np.float32)
    results = []
    for freeze in (False, True):
        model, norm = between()
        if freeze:
            norm.trainable = False
            norm.trainable = True
        for _ in range(2):
            model.train_on_batch(x, y)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_statistics_move_with_every_batch_of_an_accumulated_step() -> None:
    model, layer = single(momentum=0.5)
    model.compile(optimizers.SGD(0.1, gradient_accumulation_steps=3), "mse")
    mean = np.zeros(6)
    for _ in range(2):
        x = images(4)
        model.train_on_batch(x, zeros(x))
        mean = 0.5 * mean + 0.5 * of_batch(x)[0]
    np.testing.assert_allclose(layer.get_weights()[2], mean, rtol=1e-5)
    assert (layer.get_weights()[0] == 1).all(), "no step yet"


# ---- errors


@pytest.mark.parametrize("axis", [0, 2, -2, 4])
def test_axes_that_no_image_has_last(axis: int) -> None:
    with pytest.raises(ArgumentError, match=f"axis={axis}: striate normalises the last axis"):
        layers.BatchNormalization(axis=axis)


def test_axes_of_channels_first() -> None:
    with pytest.raises(ArgumentError, match="norm: axis=1 of 4 axes is not the last"):
        Sequential([Input(SHAPE), layers.BatchNormalization(axis=1, name="norm")])
    with pytest.raises(ArgumentError, match="norm: axis=3 of 2 axes is not the last"):
        Sequential([Input((5,)), layers.BatchNormalization(axis=3, name="norm")])
    for shape, axis in ((SHAPE, 3), ((5,), 1)):
        Sequential([Input(shape), layers.BatchNormalization(axis=axis)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": 1.5}, r"norm: momentum must be in \[0, 1\], got 1.5"),
        ({"momentum": float("nan")}, r"norm: momentum must be in \[0, 1\]"),
        ({"epsilon": 0.0}, "norm: epsilon must be positive, got 0"),
        ({"epsilon": float("inf")}, "norm: epsilon must be positive"),
    ],
)
def test_options_out_of_their_domain(options: dict[str, float], message: str) -> None:
    with pytest.raises(StriateError, match=message):
        Sequential([Input(SHAPE), layers.BatchNormalization(name="norm", **options)])


# ---- saving


def test_saved_and_loaded(tmp_path: Path) -> None:
    set_random_seed(2)
    model = Sequential([
        Input(SHAPE), layers.Conv2D(4, 3, use_bias=False),
        layers.BatchNormalization(momentum=0.8, epsilon=1e-4, scale=False, name="first"),
        layers.Activation("relu"), layers.BatchNormalization(trainable=False, name="second"),
        layers.Flatten(), layers.Dense(2),
    ])  # fmt: skip
    model.compile(optimizers.SGD(0.1), "mse")
    x, y = images(20), RNG.normal(size=(20, 2)).astype(np.float32)
    model.fit(x, y, epochs=2, verbose=0)
    random_weights(model.layers[3])
    model.save(tmp_path / "model.striate")
    again = load_model(tmp_path / "model.striate")
    np.testing.assert_array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))
    first, second = again.layers[1], again.layers[3]
    assert (first.momentum, first.epsilon, first.scale) == (0.8, 1e-4, False)
    assert first.trainable and not second.trainable
    for one in (model, again):
        one.fit(x, y, epochs=1, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- folding into weights in inference


def linear(kind: str, use_bias: bool) -> tuple[tuple[int, ...], list[layers.Layer]]:
    if kind == "dense":
        return (7,), [layers.Dense(5, use_bias=use_bias)]
    if kind == "covering":
        return (3, 3, 4), [layers.Conv2D(5, 3, use_bias=use_bias)]
    if kind == "grouped":
        return SHAPE, [layers.Conv2D(6, 3, groups=3, use_bias=use_bias)]
    if kind == "table":
        table = np.array([[1, 0, 1, 0], [1, 1, 0, 1]] * 3, bool)
        return SHAPE, [layers.Conv2D(4, 3, connections=table, use_bias=use_bias)]
    if kind == "depthwise":
        return SHAPE, [layers.DepthwiseConv2D(3, use_bias=use_bias)]
    return SHAPE, [layers.Conv2D(5, 3, strides=2, padding="same", use_bias=use_bias)]


@pytest.mark.parametrize("count", [2, 19])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("kind", ["conv", "covering", "grouped", "table", "dense", "depthwise"])
def test_folded_as_unfolded(kind: str, use_bias: bool, count: int) -> None:
    """A value that is an output, too, cannot be folded away."""
    shape, stack = linear(kind, use_bias)
    inputs = Input(shape)
    before = stack[0](inputs)
    norm = layers.BatchNormalization()
    after = norm(before)
    folded, unfolded = Model(inputs, after), Model(inputs, [before, after])
    x = images(count, shape)
    for _ in range(2):  # the second time the weights are others: they are folded anew
        random_weights(norm)
        stack[0].set_weights(
            [RNG.normal(size=w.shape).astype(np.float32) / 4 for w in stack[0].weights]
        )
        got, (between, want) = folded.predict(x, verbose=0), unfolded.predict(x, verbose=0)
        size = np.abs(want).max()
        assert size > 0.1
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * size)
        exact = normalized(between, norm.get_weights())
        np.testing.assert_allclose(got, exact, rtol=0, atol=1e-5 * size)


def test_predictions_follow_training() -> None:
    """The moving statistics change with a step that changes nothing else."""
    inputs = Input((6,))
    norm = layers.BatchNormalization(momentum=0.5)
    model = Model(inputs, norm(layers.Dense(4)(inputs)))
    model.compile(optimizers.SGD(0.0), "mse")
    x = images(10, (6,))
    y = np.zeros((10, 4), np.float32)
    for _ in range(3):
        before = model.predict(x, verbose=0)
        model.train_on_batch(x, y)
        after = model.predict(x, verbose=0)
        assert np.abs(before - after).max() > 1e-2
        linear = x @ model.layers[1].get_weights()[0]
        np.testing.assert_allclose(
            after, normalized(linear, norm.get_weights()), rtol=1e-4, atol=1e-5
        )


def test_one_layer_before_several_normalizations() -> None:
    """Its output has two readers, or the second stands behind the first: neither may be lost."""
    inputs = Input((6,))
    dense = layers.Dense(4)
    first, second, third = (layers.BatchNormalization() for _ in range(3))
    y = dense(inputs)
    a, b = first(y), second(y)
    model = Model(inputs, [a, b, third(first(dense(inputs)))])
    for norm in (first, second, third):
        random_weights(norm)
    x = images(9, (6,))
    linear = x.astype(np.float64) @ dense.get_weights()[0] + dense.get_weights()[1]
    wants = [normalized(linear, n.get_weights()) for n in (first, second)]
    wants.append(normalized(wants[0], third.get_weights()))
    for got, want in zip(model.predict(x, verbose=0), wants, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


# ---- parity


@pytest.mark.parametrize("count", [3, 16])
def test_pytorch(count: int) -> None:
    """Three training steps. PyTorch's momentum 0.1 is 0.9 here, and its running_var takes in the
    unbiased variance, n / (n - 1) of ours."""
    torch = pytest.importorskip("torch", reason="parity is with PyTorch, which is not installed")
    model, layer = single(momentum=0.9, epsilon=1e-5)
    model.compile(optimizers.SGD(0.5), "mse")
    other = torch.nn.BatchNorm2d(6)
    optimizer = torch.optim.SGD(other.parameters(), lr=0.5)
    running = np.ones(6)
    for _ in range(3):
        x = images(count)
        target = RNG.normal(size=x.shape).astype(np.float32)
        loss = model.train_on_batch(x, target)
        nchw = [torch.from_numpy(a.transpose(0, 3, 1, 2).copy()) for a in (x, target)]
        optimizer.zero_grad()
        theirs = torch.nn.functional.mse_loss(other(nchw[0]), nchw[1])
        theirs.backward()
        optimizer.step()
        assert loss == pytest.approx(theirs.item(), rel=1e-5)
        running = 0.9 * running + 0.1 * of_batch(x)[1]
    gamma, beta, mean, variance = layer.get_weights()
    np.testing.assert_allclose(gamma, other.weight.detach(), rtol=1e-5)
    np.testing.assert_allclose(beta, other.bias.detach(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(mean, other.running_mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance, running, rtol=1e-5)
    n = count * SHAPE[0] * SHAPE[1]
    unbiased = 0.9**3 + (variance - 0.9**3) * n / (n - 1)
    np.testing.assert_allclose(unbiased, other.running_var, rtol=1e-5)
