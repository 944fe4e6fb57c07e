"""Layers: shapes, names, configs, weights, and what they refuse."""

import json

import numpy as np
import pytest
from striate import Input, Sequential, layers, naming
from striate.errors import ArgumentError, ShapeError, StriateWarning
from striate.initializers import Constant, GlorotUniform


@pytest.fixture(autouse=True)
def fresh_names():
    naming.reset_names()


EVERY_LAYER = [
    (layers.Conv2D(4, 3), (8, 9, 2), (6, 7, 4)),
    (layers.Conv2D(4, (3, 2), strides=(2, 1), padding="same"), (8, 9, 2), (4, 9, 4)),
    (layers.Conv2D(4, 3, padding=1, dilation_rate=2), (8, 9, 2), (6, 7, 4)),
    (layers.Conv2D(4, 3, padding=((1, 0), (2, 0)), groups=2), (8, 9, 2), (7, 9, 4)),
    (layers.Conv2D(2, 3, connections=[[1, 0], [1, 1]]), (8, 9, 2), (6, 7, 2)),
    (layers.MaxPooling2D(), (8, 9, 2), (4, 4, 2)),
    (layers.MaxPool2D(3, strides=2, padding="same"), (8, 9, 2), (4, 5, 2)),
    (layers.AveragePooling2D(2, padding="same", count_include_pad=True), (8, 9, 2), (4, 5, 2)),
    (layers.GlobalAveragePooling2D(), (8, 9, 2), (2,)),
    (layers.GlobalMaxPooling2D(keepdims=True), (8, 9, 2), (1, 1, 2)),
    (layers.Subsampling2D(2, activation="scaled_tanh"), (8, 8, 2), (4, 4, 2)),
    (layers.Flatten(), (8, 9, 2), (144,)),
    (layers.Dense(5, activation="softmax"), (7,), (5,)),
    (layers.Activation("tanh"), (8, 9, 2), (8, 9, 2)),
    (layers.ReLU(negative_slope=0.1), (7,), (7,)),
    (layers.LeakyReLU(0.2), (7,), (7,)),
    (layers.ELU(0.5), (7,), (7,)),
    (layers.Softmax(), (7,), (7,)),
    (layers.Dropout(0.5), (7,), (7,)),
    (layers.RBFOutput(np.ones((3, 7))), (7,), (3,)),
    (layers.MaxPooling2D(2, ceil_mode=True), (7, 9, 2), (4, 5, 2)),
    (layers.AveragePooling2D(3, 2, 1, ceil_mode=True), (8, 9, 2), (5, 5, 2)),
    (layers.AdaptiveAveragePooling2D((3, 4)), (8, 9, 2), (3, 4, 2)),
    (layers.ZeroPadding2D(), (8, 9, 2), (10, 11, 2)),
    (layers.ZeroPadding2D((1, 2)), (8, 9, 2), (10, 13, 2)),
    (layers.ZeroPadding2D(((1, 0), (2, 3))), (8, 9, 2), (9, 14, 2)),
    (layers.Cropping2D(1), (8, 9, 2), (6, 7, 2)),
    (layers.Cropping2D(((1, 0), (2, 3))), (8, 9, 2), (7, 4, 2)),
    (layers.UpSampling2D(), (8, 9, 2), (16, 18, 2)),
    (layers.UpSampling2D((1, 3), interpolation="bilinear"), (8, 9, 2), (8, 27, 2)),
    (layers.Reshape((6, -1)), (8, 9, 2), (6, 24)),
    (layers.Permute((3, 1, 2)), (8, 9, 2), (2, 8, 9)),
    (layers.Rescaling(1 / 255), (8, 9, 2), (8, 9, 2)),
    (layers.Rescaling([2, 3], offset=[-1, 0.5]), (8, 9, 2), (8, 9, 2)),
    (layers.SpatialDropout2D(0.5), (8, 9, 2), (8, 9, 2)),
    (layers.LocalResponseNormalization(3, alpha_convention="mean"), (8, 9, 2), (8, 9, 2)),
    (layers.LayerNormalization(axis=[-3, -2, -1], scale=False), (8, 9, 2), (8, 9, 2)),
    (layers.LayerNormalization(), (7,), (7,)),
    (layers.GroupNormalization(2, epsilon=1e-5), (8, 9, 4), (8, 9, 4)),
    (layers.DepthwiseConv2D(3, 2, padding=1, activation="relu"), (8, 9, 2), (4, 5, 2)),
    (layers.DepthwiseConv2D((3, 2), depth_multiplier=3), (8, 9, 2), (6, 8, 6)),
    (layers.SeparableConv2D(5, 3, padding="same", use_bias=False), (8, 9, 2), (8, 9, 5)),
    (layers.Conv2DTranspose(5, 3, 2, padding="same"), (8, 9, 2), (16, 18, 5)),
    (layers.Conv2DTranspose(5, 3, 2, padding=1, output_padding=(1, 0)), (8, 9, 2), (16, 17, 5)),
]


def identify(value: object) -> str:
    return type(value).__name__ if isinstance(value, layers.Layer) else str(value)


@pytest.mark.parametrize(("layer", "before", "after"), EVERY_LAYER, ids=identify)
def test_output_shape(layer, before, after) -> None:
    assert layer.compute_output_shape((None, *before)) == (None, *after)


@pytest.mark.parametrize(("layer", "before", "after"), EVERY_LAYER, ids=identify)
def test_config_makes_the_same_layer(layer, before, after) -> None:
    entry = json.loads(json.dumps(layers.serialize(layer)))
    again = layers.deserialize(entry)
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    assert again.compute_output_shape((None, *before)) == (None, *after)


@pytest.mark.parametrize(("layer", "before", "after"), EVERY_LAYER, ids=identify)
def test_model_runs_the_layer(layer, before, after) -> None:
    model = Sequential([Input(before), type(layer).from_config(layer.get_config())])
    assert model.predict(np.ones((3, *before), np.float32)).shape == (3, *after)


def test_automatic_names() -> None:
    names = [layers.Conv2D(1, 1).name for _ in range(3)]
    assert names == ["conv2d", "conv2d_1", "conv2d_2"]
    assert layers.MaxPool2D().name == "max_pooling2d"
    assert layers.GlobalAvgPool2D().name == "global_average_pooling2d"
    assert layers.ReLU().name == "re_lu"
    assert layers.Dense(1, name="own").name == "own"


def test_weights_are_kernel_then_bias() -> None:
    model = Sequential([Input((8, 8, 2)), layers.Conv2D(4, (3, 5), name="c")])
    layer = model.get_layer("c")
    assert [w.path for w in layer.weights] == ["c/kernel", "c/bias"]
    assert [w.shape for w in layer.get_weights()] == [(3, 5, 2, 4), (4,)]
    assert layer.count_params() == 3 * 5 * 2 * 4 + 4
    assert layer.input_shape == (None, 8, 8, 2)
    assert layer.output_shape == (None, 6, 4, 4)


def test_weights_can_be_set() -> None:
    model = Sequential([Input((3,)), layers.Dense(2)])
    kernel, bias = np.arange(6.0).reshape(3, 2), np.array([1.0, -1.0])
    model.layers[0].set_weights([kernel, bias])
    x = np.array([[1, 0, 2]], np.float32)
    np.testing.assert_allclose(model.predict(x), x @ kernel + bias)
    model.weights[1].assign([0, 0])
    np.testing.assert_allclose(model.predict(x), x @ kernel)
    assert np.asarray(model.weights[0]).tolist() == kernel.tolist()


def test_set_weights_is_all_or_nothing() -> None:
    model = Sequential([Input((3,)), layers.Dense(2)])
    before = model.get_weights()
    for bad in ([np.ones((3, 2)), np.ones(3)], [np.ones((3, 2))], [np.ones((2, 3)), np.ones(2)]):
        with pytest.raises(ShapeError):
            model.layers[0].set_weights(bad)
        with pytest.raises(ShapeError):
            model.set_weights(bad)
    for now, then in zip(model.get_weights(), before, strict=True):
        assert np.array_equal(now, then)


def test_initializers_reach_the_weights() -> None:
    layer = layers.Dense(2, kernel_initializer=Constant(0.5), bias_initializer="ones")
    Sequential([Input((3,)), layer])
    kernel, bias = layer.get_weights()
    assert (kernel == 0.5).all() and (bias == 1).all()


def test_trainable_false_keeps_the_weights() -> None:
    model = Sequential([Input((3,)), layers.Dense(4, trainable=False), layers.Dense(2)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.train_on_batch(np.ones((5, 3)), np.ones((5, 2)))
    after = model.get_weights()
    assert np.array_equal(before[0], after[0]) and not np.array_equal(before[2], after[2])
    model.layers[0].trainable = True
    model.train_on_batch(np.ones((5, 3)), np.ones((5, 2)))
    assert not np.array_equal(before[0], model.get_weights()[0])
    assert len(model.trainable_weights) == 4


def test_activation_may_be_a_layer() -> None:
    leaky = layers.Dense(2, activation=layers.LeakyReLU(0.25))
    model = Sequential([Input((2,)), leaky])
    model.set_weights([np.eye(2), np.zeros(2)])
    assert model.predict(np.array([[-4, 4]], np.float32)).tolist() == [[-1, 4]]
    assert leaky.get_config()["activation"] == {"kind": "leaky_relu", "alpha": 0.25}


def test_connection_table() -> None:
    table = np.array([[True, False], [True, True]])
    layer = layers.Conv2D(2, 1, connections=table, kernel_initializer="ones")
    model = Sequential([Input((1, 1, 2)), layer])
    assert model.predict(np.array([[[[3, 5]]]], np.float32)).ravel().tolist() == [8, 5]
    assert layer.count_params() == 3 + 2


def test_missing_flatten() -> None:
    with pytest.raises(
        ShapeError, match=r"dense_1: input is \(14, 14, 16\), expected a vector: is a Flatten mis"
    ):
        Sequential([Input((14, 14, 16)), layers.Dense(2, name="dense_1")])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Conv2D(0, 3), "filters must be at least 1"),
        (lambda: layers.Conv2D(4.5, 3), "filters must be an integer"),
        (lambda: layers.Conv2D(4, (3, 3, 3)), r"one integer or \(vertical, horizontal\)"),
        (lambda: layers.Conv2D(4, 3, strides=0), "strides must be at least 1"),
        (lambda: layers.Conv2D(4, 3, padding="full"), 'padding must be "valid"'),
        (lambda: layers.Conv2D(4, 3, padding=-1), "padding must be at least 0"),
        (lambda: layers.Conv2D(4, 3, activation="rellu"), "no activation 'rellu'"),
        (lambda: layers.Conv2D(4, 3, kernel_initializer="hee"), "no initializer 'hee'"),
        (lambda: layers.Conv2D(4, 3, data_format="channels_first"), "images are NHWC"),
        (lambda: layers.Conv2D(4, 3, connections=[[1]]), r"connections is a table"),
        (lambda: layers.Conv2D(2, 3, connections=[[2, 0]]), "booleans, or 0 and 1"),
        (lambda: layers.Dense(True), "units must be an integer"),
        (lambda: layers.Dense(2, name="a/b"), "a name is a non-empty string"),
        (lambda: layers.Dense(2, dtype="float16"), "computes in float32"),
        (lambda: layers.Dropout(1.0), "below 1"),
        (lambda: layers.ReLU(max_value=6.0), "max_value and threshold"),
        (lambda: layers.Softmax(axis=1), "axis is the last one"),
        (lambda: layers.RBFOutput([1, 2]), r"codes is \(classes, features\)"),
        (lambda: layers.RBFOutput([[np.nan]]), "not finite"),
        (lambda: layers.ZeroPadding2D(-1), "padding must be at least 0"),
        (lambda: layers.ZeroPadding2D((1, 2, 3)), r"an integer, \(vertical, horizontal\) or"),
        (lambda: layers.ZeroPadding2D(((1, 2), 3)), r"an integer, \(vertical, horizontal\) or"),
        (lambda: layers.Cropping2D("same"), "cropping must be an integer"),
        (lambda: layers.Cropping2D(1, "channels_first"), "images are NHWC"),
        (lambda: layers.UpSampling2D(0), "size must be at least 1"),
        (lambda: layers.UpSampling2D(interpolation="bicubic"), '"nearest" or "bilinear", got'),
        (lambda: layers.Reshape("abc"), "target_shape is a tuple of integers"),
        (lambda: layers.Reshape((2.5, 2)), "target_shape is a tuple of integers"),
        (lambda: layers.Permute((0, 1, 2)), "an axis in dims must be at least 1"),
        (lambda: layers.Permute((1, 3)), "each axis from 1 on once"),
        (lambda: layers.Permute(2), "dims is a tuple"),
        (lambda: layers.Rescaling("a"), "scale must be a finite number, or one for each channel"),
        (lambda: layers.Rescaling(1, offset=[[1]]), "offset must be a finite number, or one"),
        (lambda: layers.Rescaling(np.inf), "scale must be a finite number"),
        (lambda: layers.SpatialDropout2D(1.0), "below 1"),
        (lambda: layers.AdaptiveAveragePooling2D(0), "output_size must be at least 1"),
        (lambda: layers.Concatenate(axis=0), "axis 0 is the batch"),
        (lambda: layers.Concatenate(axis=1.5), "axis must be an integer"),
        (lambda: Input(), "needs shape="),
        (lambda: Input((None, 28, 28, 1)), "has a batch axis"),
        (lambda: Input((28, None, 1)), "leaves a size open"),
        (lambda: Input((28, 0, 1)), "at least 1"),
    ],
)
def test_bad_arguments(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="fliters=3 is not an argument"):
        layers.Dense(2, fliters=3)
    with pytest.raises(TypeError, match="kernel_regularizer='l2' is not supported: an optimizer's"):
        layers.Conv2D(2, 3, kernel_regularizer="l2")
    layers.Conv2D(2, 3, kernel_regularizer=None)


def test_unbuilt_layer_says_so() -> None:
    layer = layers.Dense(2)
    assert layer.get_weights() == [] and not layer.built
    with pytest.raises(ArgumentError, match="not built yet"):
        layer.count_params()
    with pytest.raises(ArgumentError, match="not built yet"):
        layer.set_weights([])


def test_layer_seeds_warn(recwarn) -> None:
    layers.Dropout(0.5, seed=3)
    GlorotUniform(seed=3)
    assert all(issubclass(w.category, StriateWarning) for w in recwarn)


def test_numpy_integers_are_taken() -> None:
    layer = layers.Conv2D(np.int64(4), np.int32(3), strides=(np.int64(2), 1))
    assert json.dumps(layer.get_config())
