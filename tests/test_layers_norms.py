"""Normalisations, depthwise, separable and transposed layers: weights, meanings, refusals."""

import numpy as np
import pytest
from striate import Input, Sequential, layers, load_model, optimizers, set_random_seed
from striate.errors import ShapeError

IMAGES = np.random.default_rng(3).normal(size=(4, 5, 6, 8)).astype(np.float32)


def applied(*stack: layers.Layer, x: np.ndarray = IMAGES) -> np.ndarray:
    return Sequential([Input(x.shape[1:]), *stack]).predict(x, verbose=0)


@pytest.mark.parametrize(
    ("layer", "weights"),
    [
        (layers.LocalResponseNormalization(), {}),
        (layers.LayerNormalization(), {"gamma": (8,), "beta": (8,)}),
        (layers.LayerNormalization((1, 2, 3)), {"gamma": (5, 6, 8), "beta": (5, 6, 8)}),
        (layers.LayerNormalization(center=False), {"gamma": (8,)}),
        (layers.GroupNormalization(4), {"gamma": (8,), "beta": (8,)}),
        (layers.GroupNormalization(-1, scale=False), {"beta": (8,)}),
        (layers.DepthwiseConv2D((3, 2)), {"kernel": (3, 2, 8, 1), "bias": (8,)}),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), {"kernel": (3, 3, 8, 2), "bias": (16,)}),
        (
            layers.SeparableConv2D(5, 3, depth_multiplier=2),
            {"depthwise_kernel": (3, 3, 8, 2), "pointwise_kernel": (1, 1, 16, 5), "bias": (5,)},
        ),
        (layers.Conv2DTranspose(5, (3, 2)), {"kernel": (3, 2, 5, 8), "bias": (5,)}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_weights(layer: layers.Layer, weights: dict[str, tuple[int, ...]]) -> None:
    Sequential([Input((5, 6, 8)), layer])
    assert {w.path: w.shape for w in layer.weights} == {
        f"{layer.name}/{name}": shape for name, shape in weights.items()
    }
    assert layer.count_params() == sum(int(np.prod(shape)) for shape in weights.values())


def test_normalizations_start_at_gamma_1_and_beta_0() -> None:
    for layer in (layers.LayerNormalization(), layers.GroupNormalization(2)):
        Sequential([Input((5, 6, 8)), layer])
        gamma, beta = layer.get_weights()
        assert (gamma == 1).all() and (beta == 0).all()


def test_statistics_are_a_samples_own() -> None:
    """The same whatever else is in the batch."""
    model = Sequential(
        [Input((5, 6, 8)), layers.GroupNormalization(4), layers.LayerNormalization()]
    )
    alone = np.concatenate([model.predict(IMAGES[i : i + 1], verbose=0) for i in range(4)])
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), alone)


def test_normalized_images_have_mean_0_and_variance_1() -> None:
    y = applied(layers.LayerNormalization((1, 2, 3), epsilon=1e-7), x=40 + 3 * IMAGES)
    np.testing.assert_allclose(y.mean(axis=(1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(y.var(axis=(1, 2, 3)), 1, rtol=1e-5)
    y = applied(layers.GroupNormalization(-1, epsilon=1e-7), x=40 + 3 * IMAGES)
    np.testing.assert_allclose(y.mean(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(y.var(axis=(1, 2)), 1, rtol=1e-5)


def test_constant_images_give_beta() -> None:
    x = np.full((2, 5, 6, 8), 0.1, np.float32)
    for layer in (layers.LayerNormalization(), layers.GroupNormalization(2)):
        np.testing.assert_allclose(applied(layer, x=x), 0, atol=1e-6)


def test_the_two_conventions_of_alpha() -> None:
    x = 3 * IMAGES
    paper = applied(layers.LocalResponseNormalization(5, 1e-2), x=x)
    mean = applied(layers.LocalResponseNormalization(5, 5e-2, alpha_convention="mean"), x=x)
    np.testing.assert_allclose(paper, mean, rtol=1e-6)
    other = applied(layers.LocalResponseNormalization(5, 1e-2, alpha_convention="mean"), x=x)
    assert np.abs(paper - other).max() > 0.1


def test_even_windows_reach_further_back() -> None:
    """size // 2 channels before, (size - 1) // 2 after."""
    x = np.zeros((1, 1, 1, 7), np.float32)
    x[..., 3] = 2
    x[..., [0, 1, 2, 4, 5, 6]] = 1e-3
    y = applied(layers.LocalResponseNormalization(4, 1.0, 1.0, 1.0), x=x)
    felt = np.flatnonzero(y[0, 0, 0] < 0.5 * x[0, 0, 0])
    assert felt.tolist() == [2, 3, 4, 5]


def test_transposed_convolution_is_the_adjoint_of_the_convolution() -> None:
    """<conv(x), y> = <x, transposed(y)> with one kernel: HWIO here, (KH, KW, filters, C) there."""
    rng = np.random.default_rng(9)
    kernel = rng.normal(size=(3, 4, 8, 5)).astype(np.float32)
    conv = layers.Conv2D(5, (3, 4), (2, 2), "same", use_bias=False)
    model = Sequential([Input((6, 8, 8)), conv])
    model.set_weights([kernel])
    x = rng.normal(size=(2, 6, 8, 8)).astype(np.float32)
    forward = model.predict(x, verbose=0)
    y = rng.normal(size=forward.shape).astype(np.float32)
    back = Sequential(
        [Input(y.shape[1:]), layers.Conv2DTranspose(8, (3, 4), (2, 2), "same", use_bias=False)]
    )
    back.set_weights([kernel])
    adjoint = back.predict(y, verbose=0)
    assert adjoint.shape == x.shape
    np.testing.assert_allclose((forward * y).sum(), (x * adjoint).sum(), rtol=1e-5)


def test_separable_is_depthwise_then_pointwise() -> None:
    layer = layers.SeparableConv2D(5, 3, strides=2, depth_multiplier=2, activation="relu")
    model = Sequential([Input((5, 6, 8)), layer])
    depthwise, pointwise, bias = model.get_weights()
    two = Sequential(
        [
            Input((5, 6, 8)),
            layers.DepthwiseConv2D(3, 2, depth_multiplier=2, use_bias=False),
            layers.Conv2D(5, 1, activation="relu"),
        ]
    )
    two.set_weights([depthwise, pointwise, bias])
    got = model.predict(IMAGES, verbose=0)
    np.testing.assert_array_equal(got, two.predict(IMAGES, verbose=0))


@pytest.mark.parametrize(
    "stack",
    [
        [layers.LocalResponseNormalization()],
        [layers.LayerNormalization((1, 2, 3))],
        [layers.GroupNormalization(4)],
        [layers.DepthwiseConv2D(3, padding="same")],
        [layers.SeparableConv2D(6, 3)],
        [layers.Conv2DTranspose(6, 3, strides=2)],
    ],
    ids=lambda stack: type(stack[0]).__name__,
)
def test_training_lowers_the_loss(stack: list[layers.Layer]) -> None:
    set_random_seed(0)
    model = Sequential(
        [Input((5, 6, 8)), layers.Conv2D(8, 3, padding="same", activation="relu"), *stack,
         layers.Flatten(), layers.Dense(3, activation="softmax")]
    )  # fmt: skip
    model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    x = np.random.default_rng(4).normal(size=(32, 5, 6, 8)).astype(np.float32)
    y = np.arange(32) % 3
    losses = model.fit(x, y, epochs=25, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_models_are_saved_and_loaded(tmp_path) -> None:
    model = Sequential(
        [
            Input((5, 6, 8)),
            layers.LocalResponseNormalization(alpha=0.5),
            layers.SeparableConv2D(6, 3, depth_multiplier=2),
            layers.GroupNormalization(3),
            layers.Conv2DTranspose(4, 3, 2, output_padding=1),
            layers.LayerNormalization((1, 2, 3)),
            layers.DepthwiseConv2D(3, trainable=False),
        ]
    )
    model.set_weights([w + 0.1 for w in model.get_weights()])
    model.save(tmp_path / "model.striate")
    again = load_model(tmp_path / "model.striate")
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    np.testing.assert_array_equal(again.predict(IMAGES), model.predict(IMAGES))
    assert not again.layers[-1].trainable


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.LocalResponseNormalization(0), "size must be at least 1"),
        (lambda: layers.LocalResponseNormalization(2.5), "size must be an integer"),
        (lambda: layers.LocalResponseNormalization(alpha="1"), "alpha must be a finite number"),
        (lambda: layers.LocalResponseNormalization(beta=np.inf), "beta must be a finite number"),
        (
            lambda: layers.LocalResponseNormalization(alpha_convention="caffe"),
            'alpha_convention must be "sum"',
        ),
        (lambda: layers.LayerNormalization("last"), "axis must be an integer"),
        (lambda: layers.LayerNormalization(epsilon=None), "epsilon must be a finite number"),
        (lambda: layers.GroupNormalization(0), "groups must be at least 1, or -1, got 0"),
        (lambda: layers.GroupNormalization(-2), "groups must be at least -1"),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), "depth_multiplier must be at lea"),
        (lambda: layers.DepthwiseConv2D(3, data_format="channels_first"), "images are NHWC"),
        (lambda: layers.SeparableConv2D(0, 3), "filters must be at least 1"),
        (lambda: layers.Conv2DTranspose(4, 3, output_padding=(1, 1, 1)), "output_padding must be"),
        (lambda: layers.Conv2DTranspose(4, 3, output_padding=-1), "output_padding must be at lea"),
    ],
)
def test_bad_arguments(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (layers.LocalResponseNormalization(alpha=-1), (4, 4, 3), "alpha must be a number of at"),
        (layers.LocalResponseNormalization(k=0), (4, 4, 3), "k must be a number above 0"),
        (layers.LocalResponseNormalization(beta=2000), (4, 4, 3), "beta must be a number from"),
        (layers.LayerNormalization(epsilon=0), (4, 4, 3), "epsilon must be a number above 0"),
        (layers.LayerNormalization(1), (4, 4, 3), "or several that are the last ones"),
        (layers.LayerNormalization((0, 1, 2, 3)), (4, 4, 3), "or several that are the last ones"),
        (layers.LayerNormalization((1, 3)), (4, 4, 3), "or several that are the last ones"),
        (layers.LayerNormalization(()), (4, 4, 3), "or several that are the last ones"),
        (layers.LayerNormalization((3, 3)), (4, 4, 3), "or several that are the last ones"),
        (layers.LayerNormalization(-5), (4, 4, 3), "or several that are the last ones"),
        (layers.GroupNormalization(2, axis=1), (4, 4, 3), "the channels are the last axis, -1 or"),
        (
            layers.Conv2DTranspose(4, 3, 2, output_padding=2),
            (4, 4, 3),
            "output_padding must be at least 0 and below the larger of stride and dilation, 2",
        ),
    ],
)
def test_options_out_of_their_domain(layer, shape, message) -> None:
    with pytest.raises(ValueError, match=f"^{layer.name}.*{message}"):
        Sequential([Input(shape), layer])


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (layers.LocalResponseNormalization(), (7,), "expected an image"),
        (layers.GroupNormalization(), (4, 4, 48), "48 channels, not a multiple of groups=32"),
        (layers.DepthwiseConv2D(5), (4, 9, 3), "height 4 is smaller than the window of 5"),
        (layers.SeparableConv2D(2, 5), (9, 4, 3), "width 4 is smaller than the window of 5"),
        (layers.SeparableConv2D(2, 5), (7,), "expected an image"),
        (layers.Conv2DTranspose(2, 3, padding=4), (5, 9, 3), "height 5 leaves no output"),
        (layers.Conv2DTranspose(2, 3), (7,), "expected an image"),
    ],
)
def test_inputs_that_do_not_fit(layer, shape, message) -> None:
    with pytest.raises(ShapeError, match=f"^{layer.name} .*{message}"):
        Sequential([Input(shape), layer])
