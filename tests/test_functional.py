"""Functional models: any graph, its numbers, names, and what is refused."""

import numpy as np
import pytest
from functional_oracle import check, images, randomized
from striate import Input, Model, Sequential, layers, naming, set_random_seed
from striate.errors import ArgumentError, ShapeError, StriateError
from striate.layers import SymbolicTensor
from striate.models.smallest_input import smallest_input

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def fresh():
    naming.reset_names()
    set_random_seed(0)


def residual() -> Model:
    inputs = Input((6, 6, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", activation="tanh", name="stem")(inputs)
    y = layers.Conv2D(4, 3, padding="same", activation="tanh", name="a")(x)
    y = layers.Conv2D(4, 3, padding="same", name="b")(y)
    x = layers.Activation("tanh", name="out")(layers.Add(name="sum")([x, y]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return Model(inputs, layers.Dense(3, activation="softmax", name="classes")(x), name="residual")


def inception() -> Model:
    inputs = Input((6, 6, 3), name="image")
    one = layers.Conv2D(2, 1, activation="tanh", name="one")(inputs)
    three = layers.Conv2D(2, 1, activation="tanh", name="reduce3")(inputs)
    three = layers.Conv2D(3, 3, padding="same", activation="tanh", name="three")(three)
    five = layers.Conv2D(2, 1, activation="tanh", name="reduce5")(inputs)
    five = layers.Conv2D(2, 5, padding="same", activation="tanh", name="five")(five)
    pooled = layers.MaxPooling2D(3, strides=1, padding="same", name="pool")(inputs)
    pooled = layers.Conv2D(2, 1, activation="tanh", name="project")(pooled)
    x = layers.Concatenate(name="depth")([one, three, five, pooled])
    x = layers.Flatten(name="flat")(x)
    return Model(inputs, layers.Dense(4, activation="softmax", name="classes")(x), name="inception")


@pytest.mark.parametrize("build", [residual, inception])
@pytest.mark.parametrize("batch", [1, 5, 19])
def test_numbers_and_gradients(build, batch) -> None:
    model = randomized(build())
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = images(np.random.default_rng(batch), batch, (6, 6, 3))
    check(model, [x], [np.arange(batch) % 3])


def test_a_chain_is_its_sequential() -> None:
    def stack():
        return [layers.Conv2D(3, 3, activation="relu"), layers.Flatten(), layers.Dense(2)]

    set_random_seed(4)
    sequential = Sequential([Input((6, 6, 2)), *stack()])
    set_random_seed(4)
    x = inputs = Input((6, 6, 2))
    for layer in stack():
        x = layer(x)
    model = Model(inputs, x)
    assert model.name == "model" and model.built
    data, y = images(RNG, 9, (6, 6, 2)), images(RNG, 9, (2,))
    for one in (sequential, model):
        one.compile("adam", "mse")
        one.fit(data, y, epochs=2, batch_size=4, verbose=0)
    assert np.array_equal(model.predict(data), sequential.predict(data))
    assert model.weights_hash() == sequential.weights_hash()


def test_arithmetic_on_tensors() -> None:
    a, b = Input((3,), name="a"), Input((3,), name="b")
    made = [
        a + b, a - b, a * b, a + 2, 2 + a, a - 2, 2 - a, a * 3, 3 * a, a / 4, -a,
        np.float32(2) * a, a + np.int64(1), np.float64(3) - a,
    ]  # fmt: skip
    model = Model([a, b], [layers.Activation("linear")(x) for x in made])
    x, y = images(RNG, 4, (3,)), images(RNG, 4, (3,))
    expected = [
        x + y, x - y, x * y, x + 2, 2 + x, x - 2, 2 - x, x * 3, 3 * x, x / 4, -x, 2 * x, x + 1,
        3 - x,
    ]  # fmt: skip
    for got, wanted in zip(model.predict([x, y]), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert (kinds.count("Add"), kinds.count("Subtract"), kinds.count("Multiply")) == (1, 1, 1)


def test_a_tensor_has_no_values() -> None:
    x = Input((3,), name="x")
    for use in (
        lambda: bool(x), lambda: len(x), lambda: list(x), lambda: float(x), lambda: x[0],
        lambda: np.exp(x), lambda: np.mean(x), lambda: np.asarray(x), lambda: np.ones(3) + x,
        lambda: x + np.ones(3), lambda: np.concatenate([x, x]), lambda: x + "a", lambda: x / x,
        lambda: np.add(x, x),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="tensor of a network"):
            use()
    with pytest.raises(ZeroDivisionError):
        x / 0
    assert repr(x) == "<SymbolicTensor shape=(None, 3), name=x>"
    assert (x.shape, x.dtype, x.name, x.ndim) == ((None, 3), "float32", "x", 2)


def test_layers_stand_in_keras_order() -> None:
    # As keras.Model.layers lists the same network.
    assert [layer.name for layer in inception().layers] == [
        "image", "reduce3", "reduce5", "pool", "one", "three", "five", "project", "depth", "flat",
        "classes",
    ]  # fmt: skip
    model = residual()
    assert [layer.name for layer in model.layers] == [
        "image", "stem", "a", "b", "sum", "out", "pool", "classes",
    ]  # fmt: skip
    assert [w.path for w in model.weights][:3] == ["stem/kernel", "stem/bias", "a/kernel"]


def test_names() -> None:
    model = residual()
    assert model.get_layer("sum") is model.layers[4] and model.get_layer(index=0).name == "image"
    assert model.input_names == ["image"] and model.output_names == ["classes"]
    with pytest.raises(ArgumentError, match="no layer 'none'; there are image, stem"):
        model.get_layer("none")


def test_inputs_and_outputs_of_layers() -> None:
    model = residual()
    stem, add = model.get_layer("stem"), model.get_layer("sum")
    assert stem.input is model.input and stem.output.shape == (None, 6, 6, 4)
    assert add.input == [stem.output, model.get_layer("b").output]
    assert add.input_shape == [(None, 6, 6, 4)] * 2 and add.output_shape == (None, 6, 6, 4)
    assert model.inputs == [model.input] and model.outputs == [model.output]
    assert model.get_layer("image").output is model.input
    with pytest.raises(ArgumentError, match="has no input and no output yet"):
        layers.Dense(2).output  # noqa: B018
    sequential = Sequential([Input((4,)), layers.Dense(3, name="d")])
    assert sequential.output is sequential.get_layer("d").output


def test_several_inputs_by_list_and_by_name() -> None:
    a, b = Input((4,), name="a"), Input((3,), name="b")
    x = layers.Concatenate()([layers.Dense(2, activation="tanh")(a), b])
    model = randomized(Model([a, b], layers.Dense(2, name="y")(x), name="pair"))
    model.compile("sgd", "mse")
    p, q, y = images(RNG, 7, (4,)), images(RNG, 7, (3,)), images(RNG, 7, (2,))
    check(model, [p, q], [y])
    out = model.predict([p, q])
    assert np.array_equal(model.predict({"b": q, "a": p}), out)
    assert np.array_equal(model.predict((p, q), batch_size=2), out)
    assert np.array_equal(model([p, q]), out)
    model.fit({"a": p, "b": q}, {"y": y}, verbose=0)
    with pytest.raises(ArgumentError, match=r"pair: has 2 inputs \(a, b\): give a list or a dict"):
        model.predict(p)
    with pytest.raises(ArgumentError, match=r"pair: has 2 inputs \(a, b\), got 3"):
        model.predict([p, q, q])
    with pytest.raises(ArgumentError, match="pair: no input 'c'; there are a, b"):
        model.predict({"a": p, "c": q})
    with pytest.raises(ArgumentError, match="pair: input 'b' is missing; there are a, b"):
        model.predict({"a": p})
    with pytest.raises(ShapeError, match=r"pair: input 'b' has shape \(7, 4\), expected \(N, 3\)"):
        model.predict([p, p])
    with pytest.raises(ShapeError, match="input 'a' has 7 samples, input 'b' has 6"):
        model.predict([p, q[:6]])


def test_dicts_of_tensors() -> None:
    inputs = {"left": Input((3,)), "right": Input((3,))}
    total = layers.Add()(list(inputs.values()))
    model = Model(inputs, {"sum": total, "double": total * 2})
    x, y = images(RNG, 4, (3,)), images(RNG, 4, (3,))
    out = model.predict({"right": y, "left": x})
    assert list(out) == ["sum", "double"]
    np.testing.assert_allclose(out["double"], 2 * (x + y), rtol=1e-6)
    outer = model({"right": Input((3,), name="r"), "left": Input((3,), name="l")})
    assert list(outer) == ["sum", "double"] and isinstance(outer["sum"], SymbolicTensor)
    assert model.compute_output_shape([(None, 3), (None, 3)]) == {
        "sum": (None, 3), "double": (None, 3),
    }  # fmt: skip


def test_from_one_layer_to_another() -> None:
    model = randomized(residual())
    features = Model(model.input, model.get_layer("sum").output)
    head = Model(model.get_layer("sum").output, model.output, name="head")
    assert head.input_names == ["sum"]
    x = images(RNG, 5, (6, 6, 3))
    np.testing.assert_allclose(head.predict(features.predict(x)), model.predict(x), rtol=1e-5)
    two = Model(model.input, [model.get_layer("stem").output, model.output])
    assert [out.shape for out in two.predict(x)] == [(5, 6, 6, 4), (5, 3)]


def test_a_shared_layer_has_one_set_of_weights() -> None:
    a, b = Input((4,)), Input((4,))
    shared = layers.Dense(3, activation="tanh", name="shared")
    model = randomized(Model([a, b], layers.Dense(2)(shared(a) * shared(b) + shared(a))))
    assert [w.path for w in model.weights][:2] == ["shared/kernel", "shared/bias"]
    assert model.count_params() == 15 + 8
    model.compile("sgd", "mse")
    check(model, [images(RNG, 6, (4,)), images(RNG, 6, (4,))], [images(RNG, 6, (2,))])


def test_a_shared_layer_meets_inputs_of_the_same_features() -> None:
    shared = layers.Dense(3, name="shared")
    shared(Input((4,)))
    with pytest.raises(ShapeError, match=r"shared: its weights are made for inputs \(None, 4\)"):
        shared(Input((5,)))
    convolution = layers.Conv2D(2, 3)
    assert convolution(Input((8, 8, 3))).shape == (None, 6, 6, 2)
    assert convolution(Input((5, 9, 3))).shape == (None, 3, 7, 2)


def test_a_model_is_a_layer() -> None:
    def encoder() -> Model:
        x = inputs = Input((6, 6, 3))
        x = layers.Conv2D(2, 3, activation="tanh", name="conv")(x)
        return Model(inputs, [layers.Flatten(name="flat")(x), x], name="encoder")

    inner = encoder()
    a, b = Input((6, 6, 3), name="a"), Input((6, 6, 3), name="b")
    (flat_a, _), (flat_b, maps_b) = inner(a), inner(b)
    pooled = layers.GlobalAveragePooling2D()(maps_b)
    x = layers.Concatenate()([layers.Maximum()([flat_a, flat_b]), pooled])
    model = randomized(Model([a, b], layers.Dense(2, name="y")(x)))
    assert [w.path for w in model.weights][0] == "encoder/conv/kernel"
    assert model.get_layer("encoder") is inner
    assert model.get_layer("encoder/conv") is inner.get_layer("conv")
    assert flat_a.name == "encoder[0]"
    model.compile("sgd", "mse")
    check(model, [images(RNG, 4, (6, 6, 3)) for _ in "ab"], [images(RNG, 4, (2,))])


def test_a_sequential_in_a_sequential() -> None:
    base = Sequential([layers.Conv2D(2, 3, activation="tanh"), layers.Flatten()], name="base")
    model = Sequential([Input((6, 6, 3)), base, layers.Dense(2)])
    assert base.built and model.output_shape == (None, 2)
    assert len(model.layers) == 2 and len(model.weights) == 4
    model.compile("sgd", "mse")
    check(randomized(model), [images(RNG, 4, (6, 6, 3))], [images(RNG, 4, (2,))])
    assert Sequential([Sequential([Input((4,)), layers.Dense(2)]), layers.Dense(3)]).built


def test_a_model_called_on_another_size() -> None:
    x = inputs = Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(x))
    inner = Model(inputs, x, name="inner")
    other = Input((12, 10, 3))
    outer = Model(other, layers.Dense(2)(inner(other)))
    data = images(RNG, 3, (12, 10, 3))
    outer.compile("sgd", "mse")
    check(randomized(outer), [data], [images(RNG, 3, (2,))])
    flat = Sequential([Input((8, 8, 3)), layers.Flatten(), layers.Dense(2, name="d")], name="flat")
    with pytest.raises(ShapeError, match=r"flat: d would have 722 parameters for inputs"):
        flat(other)


def test_calls_on_arrays_run_a_layer() -> None:
    dense = layers.Dense(3)
    x = images(RNG, 5, (4,))
    first = dense(x)
    kernel, bias = dense.get_weights()
    np.testing.assert_allclose(first, x @ kernel + bias, rtol=1e-5)
    model = Sequential([Input((4,)), dense])
    assert np.array_equal(model.predict(x), first)
    model.compile("sgd", "mse")
    model.fit(x, images(RNG, 5, (3,)), verbose=0)
    assert np.array_equal(dense(x), model.predict(x)) and not np.array_equal(dense(x), first)
    assert dense.output is model.output
    np.testing.assert_allclose(layers.Add()([x, x]), 2 * x)
    assert layers.Rescaling(1 / 255)(np.full((2, 3), 255, np.uint8)).tolist() == [[1.0] * 3] * 2


def test_weights_of_a_layer_without_a_model() -> None:
    dense = layers.Dense(3)
    assert dense.get_weights() == []
    out = dense(inputs := Input((4,)))
    assert [w.shape for w in dense.get_weights()] == [(4, 3), (3,)]
    dense.set_weights([np.ones((4, 3)), np.zeros(3)])
    assert Model(inputs, out).predict(np.ones((1, 4))).tolist() == [[4.0] * 3]


def refused(error: type[Exception], match: str, build) -> None:
    with pytest.raises(error, match=match):
        build()


def test_loose_ends() -> None:
    a, b = Input((3,), name="a"), Input((3,), name="b")
    y = layers.Add(name="both")([a, b])
    refused(
        ArgumentError,
        r"net: loose end: both depends on Input 'b' \(None, 3\), which is not among the inputs: a",
        lambda: Model(a, y, name="net"),
    )
    c = Input((3,), name="c")
    refused(
        ArgumentError,
        "net: loose end: no output depends on the input 'c'",
        lambda: Model([a, b, c], y, name="net"),
    )
    refused(ArgumentError, "a is an input and an output", lambda: Model([a, b], [y, a]))
    refused(ArgumentError, "a is given twice", lambda: Model([a, b, a], y))
    refused(ArgumentError, "inputs is empty", lambda: Model([], y))
    refused(TypeError, "inputs takes tensors that Input and layers", lambda: Model("a", y))
    refused(TypeError, "outputs takes tensors", lambda: Model([a, b], layers.Dense(2)))
    refused(TypeError, r"inputs takes tensors: Input\(..\)", lambda: Model(layers.InputLayer(3), y))
    refused(ArgumentError, r"a Model is Model\(inputs, outputs\)", lambda: Model())


def test_two_layers_of_one_name() -> None:
    a = Input((3,), name="a")
    x = layers.Dense(3, name="x")(a)
    y = layers.Activation("relu", name="x")(x)
    refused(
        ArgumentError,
        "net: two layers are named 'x', a Dense and an Activation: names are unique in a model",
        lambda: Model(a, y, name="net"),
    )
    refused(
        ArgumentError, "two layers are named 'a'", lambda: Model(a, layers.Dense(3, name="a")(x))
    )


def test_shapes_that_do_not_meet() -> None:
    a = layers.Conv2D(4, 3, name="a")(Input((8, 8, 3)))
    b = layers.Conv2D(4, 5, name="b")(Input((8, 8, 3)))
    inputs = r"\(its inputs are a \(None, 6, 6, 4\) and b \(None, 4, 4, 4\)\)"
    refused(ShapeError, f"^sum .*{inputs}", lambda: layers.Add(name="sum")([a, b]))
    refused(ShapeError, f"^cat .*{inputs}", lambda: layers.Concatenate(name="cat")([a, b]))
    refused(ShapeError, inputs, lambda: a + b)
    refused(ShapeError, "^d: input is .*is a Flatten missing", lambda: layers.Dense(2, name="d")(a))


def test_wrong_calls() -> None:
    a, b = Input((3,), name="a"), Input((3,), name="b")
    dense = layers.Dense(2, name="d")
    refused(ArgumentError, "d: takes one input, got 2: merge them first", lambda: dense([a, b]))
    refused(
        ArgumentError,
        "d: takes tensors of a network or arrays",
        lambda: layers.Add(name="d")([a, np.ones((1, 3))]),
    )
    refused(ArgumentError, "takes a list of tensors", lambda: layers.Add()(a))
    refused(ArgumentError, "training=True is not supported", lambda: dense(a, training=True))
    assert dense([a]).shape == (None, 2)
    pair = Model([a, b], a + b, name="pair")
    refused(ArgumentError, r"pair: has 2 inputs \(a, b\), got 1", lambda: pair([a]))
    refused(StriateError, r"pair: has 2 inputs", lambda: pair(a))


def test_a_network_too_large_for_its_image() -> None:
    x = layers.MaxPooling2D(4)(layers.Conv2D(2, 5)(Input((14, 12, 1), name="image")))
    refused(
        ShapeError,
        r"^late .*window.* \(image is 14 x 12; up to here the network needs at least 16 x 16\)",
        lambda: layers.Conv2D(2, 3, name="late")(x),
    )
    stack = [layers.MaxPooling2D(), layers.MaxPooling2D(), layers.Conv2D(1, 3, name="last")]
    refused(ShapeError, r"8 x 8; .* 12 x 12", lambda: Sequential([Input((8, 8, 1)), *stack]))
    with pytest.raises(ShapeError) as caught:  # its size is not what is wrong
        layers.Conv2D(2, 3, groups=2)(Input((8, 8, 3)))
    assert "at least" not in str(caught.value)

    def build(shape):
        x = inputs = Input(shape)
        for filters in (4, 8):
            x = layers.MaxPooling2D()(layers.Conv2D(filters, 5)(x))
        return Model(inputs, layers.Dense(3)(layers.Flatten()(x)))

    assert smallest_input(build) == 16
    build((16, 16, 3))
    refused(ShapeError, "15 x 15; .* 16 x 16", lambda: build((15, 15, 3)))
    assert smallest_input(build, largest=15) is None
    # Neither names nor seeds have moved on.
    set_random_seed(5)
    naming.reset_names()
    smallest_input(build)
    model = build((16, 16, 3))
    assert model.seed == 5 and model.layers[1].name == "conv2d"


def lines_of(model: Model, **options) -> list[str]:
    lines: list[str] = []
    model.summary(print_fn=lines.append, **options)
    return lines


def test_summary() -> None:
    model = inception()
    lines = lines_of(model)
    assert lines[0] == 'Model: "inception"'
    assert lines[2].split() == (
        "Layer (type) Output Shape Param # MACs Act. bytes Connected to".split()
    )
    rows = {line.split(" ")[0]: line for line in lines[4:] if "(" in line}
    assert rows["three"].split()[2:] == [
        "(None,",
        "6,",
        "6,",
        "3)",
        "57",
        "1,944",
        "432",
        "reduce3",
    ]
    assert rows["depth"].endswith("one, three, five, project")
    assert "Multiply-accumulates a sample: 7,704" in lines[-4:]
    assert not any("training" in line for line in lines)
    model.compile("adam", "sparse_categorical_crossentropy")
    total = model.memory(32)["total"]
    assert f"Memory, training on 32 samples at a time: {total / 1024:.2f} KB" in lines_of(model)


def test_summary_of_nested_and_shared_layers() -> None:
    inner = Sequential([Input((4,)), layers.Dense(3, name="d")], name="inner")
    a, b = Input((4,), name="a"), Input((4,), name="b")
    model = Model([a, b], layers.Dense(1, name="y")(inner(a) - inner(b)))
    inner.trainable = False
    lines = lines_of(model)
    row = next(line for line in lines if line.startswith("inner"))
    assert row.split()[-6:] == ["3)", "15", "24", "24", "a,", "b"]
    assert not any(line.startswith("  d") for line in lines)
    assert any(line.startswith("  d (Dense)") for line in lines_of(model, expand_nested=True))
    assert "Total params: 19 (76 B)" in lines and "Non-trainable params: 15 (60 B)" in lines


def test_memory_is_told_before_it_is_taken() -> None:
    model = residual()
    with pytest.raises(ArgumentError, match="call compile"):
        model.memory(8)
    model.compile("adam", "sparse_categorical_crossentropy")
    small, large = model.memory(8), model.memory(64)
    assert small["total"] == sum(v for k, v in small.items() if k != "total")
    assert small["parameters"] >= 4 * model.count_params()
    assert large["total"] > small["total"] > model.memory(8, training=False)["total"]
    with pytest.raises(ArgumentError, match="batch_size must be a positive integer"):
        model.memory(0)


def test_frozen_layers_stay_as_they_are() -> None:
    x = images(RNG, 20, (6, 6, 3))
    inner = Sequential([Input((6, 6, 3)), layers.Conv2D(2, 3), layers.Flatten()], name="inner")
    inputs = Input((6, 6, 3))
    model = Model(inputs, layers.Dense(3, activation="softmax")(inner(inputs)))
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert model.trainable and len(model.trainable_weights) == 4
    inner.trainable = False
    assert not inner.layers[0].trainable and len(model.trainable_weights) == 2
    frozen, free = inner.get_weights(), model.layers[-1].get_weights()
    model.fit(x, np.arange(20) % 3, verbose=0)
    assert all(np.array_equal(*w) for w in zip(inner.get_weights(), frozen, strict=True))
    assert not np.array_equal(model.layers[-1].get_weights()[0], free[0])
    model.trainable = True
    model.fit(x, np.arange(20) % 3, verbose=0)
    assert not np.array_equal(inner.get_weights()[0], frozen[0])
    assert not Model(inputs, model.output, trainable=False).trainable_weights


@pytest.mark.parametrize("how", ["trainable", "training"])
def test_batch_normalisation_on_its_moving_statistics(how) -> None:
    inner = Sequential(
        [Input((3,)), layers.BatchNormalization(), layers.Dropout(0.5)], name="inner"
    )
    inputs = Input((3,))
    if how == "trainable":
        inner.trainable = False
        x = inner(inputs)
    else:
        x = inner(inputs, training=False)
    model = randomized(Model(inputs, layers.Dense(2)(x)))
    model.compile("sgd", "mse")
    before = inner.get_weights()
    data, y = images(RNG, 16, (3,)), images(RNG, 16, (2,))
    if how == "training":  # dropout is off and the statistics are the moving ones: as in inference
        _, training, _ = model.gradients(data, y, training=True)
        _, inference, _ = model.gradients(data, y)
        for a, b in zip(training, inference, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    model.fit(data, y, verbose=0)
    gamma, _, mean, variance = zip(before, inner.get_weights(), strict=True)
    assert np.array_equal(*mean) and np.array_equal(*variance)
    assert np.array_equal(*gamma) == (how == "trainable")
