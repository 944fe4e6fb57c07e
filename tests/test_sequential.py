"""Sequential: how it is built, changed, seeded and shown."""

import numpy as np
import pytest
from striate import Input, Sequential, layers, naming, set_random_seed, utils
from striate.errors import ArgumentError, ShapeError


@pytest.fixture(autouse=True)
def fresh():
    naming.reset_names()
    set_random_seed(0)


def small(**kwargs) -> Sequential:
    return Sequential(
        [
            Input((6, 6, 1)),
            layers.Conv2D(2, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ],
        **kwargs,
    )


def test_built_from_input() -> None:
    model = small()
    assert model.built and model.name == "sequential"
    assert model.input_shape == (None, 6, 6, 1) and model.output_shape == (None, 3)
    assert [layer.name for layer in model.layers] == ["conv2d", "flatten", "dense"]
    assert model.count_params() == 2 * 9 + 2 + 32 * 3 + 3


def test_built_from_input_shape_of_first_layer() -> None:
    model = Sequential([layers.Dense(3, input_shape=(4,)), layers.Dense(2)])
    assert model.built and model.output_shape == (None, 2)
    assert Sequential([layers.Dense(3, input_dim=4)]).input_shape == (None, 4)


def test_built_by_build_and_by_data() -> None:
    model = Sequential([layers.Dense(3)])
    assert not model.built and model.weights == []
    with pytest.raises(ArgumentError, match="input's shape is not known"):
        model.count_params()
    model.build((None, 5))
    assert model.input_shape == (None, 5)
    by_data = Sequential([layers.Dense(3)])
    assert by_data.predict(np.ones((2, 7))).shape == (2, 3)
    assert by_data.input_shape == (None, 7)


def test_add_keeps_weights() -> None:
    model = Sequential()
    model.add(Input((4,)))
    model.add(layers.Dense(3))
    first = model.get_weights()[0]
    model.add(layers.Dense(2))
    assert model.output_shape == (None, 2)
    assert np.array_equal(model.get_weights()[0], first)


def test_pop_then_another_head() -> None:
    model = small()
    kernel = model.get_weights()[0]
    popped = model.pop()
    assert popped.name == "dense" and model.output_shape == (None, 32)
    model.add(layers.Dense(7))
    assert model.output_shape == (None, 7)
    assert np.array_equal(model.get_weights()[0], kernel)


def test_compiled_model_survives_add() -> None:
    model = Sequential([Input((4,)), layers.Dense(3)])
    model.compile("adam", "mse")
    model.add(layers.Dense(2))
    assert model.train_on_batch(np.ones((5, 4)), np.ones((5, 2))) > 0


def test_layers_of_a_trained_model_bring_their_weights() -> None:
    base = small()
    features = Sequential([Input((6, 6, 1)), *base.layers[:-1]])
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 1)).astype(np.float32)
    assert features.predict(x).shape == (2, 32)
    assert np.array_equal(features.get_weights()[0], base.get_weights()[0])


def test_a_layer_that_does_not_fit_is_not_added() -> None:
    model = Sequential([Input((6, 6, 1)), layers.Conv2D(2, 3)])
    before = model.get_weights()
    with pytest.raises(ShapeError):
        model.add(layers.Dense(2))
    with pytest.raises(ShapeError):
        model.add(layers.Conv2D(2, 9))
    assert [layer.name for layer in model.layers] == ["conv2d"]
    assert np.array_equal(model.get_weights()[0], before[0])


def test_what_add_refuses() -> None:
    model = small()
    with pytest.raises(TypeError, match=r"Dense is a class: add Dense\(...\)"):
        model.add(layers.Dense)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a layer is a"):
        model.add("dense")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="two layers are named 'dense'"):
        model.add(layers.Dense(2, name="dense"))
    with pytest.raises(ArgumentError, match="an Input comes first"):
        model.add(Input((3,)))
    with pytest.raises(ArgumentError, match="no layer to remove"):
        Sequential().pop()


def test_get_layer() -> None:
    model = small()
    assert model.get_layer("dense") is model.layers[2]
    assert model.get_layer(index=-1) is model.layers[2]
    for bad in ({"name": "none"}, {"index": 9}, {}, {"name": "dense", "index": 2}):
        with pytest.raises(ArgumentError):
            model.get_layer(**bad)


def test_seeds() -> None:
    set_random_seed(7)
    first, second = small(), small()
    assert first.seed == 7
    assert second.seed == (7 + 0x9E3779B97F4A7C15) % 2**64
    assert not np.array_equal(first.get_weights()[0], second.get_weights()[0])
    set_random_seed(7)
    again = small()
    for a, b in zip(first.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_set_random_seed_seeds_numpy_and_random() -> None:
    import random

    set_random_seed(2**63 + 5)
    a = random.random(), np.random.rand()
    set_random_seed(2**63 + 5)
    assert a == (random.random(), np.random.rand())
    for bad in (-1, 1.5, "a", True):
        with pytest.raises(ArgumentError):
            set_random_seed(bad)


def test_to_categorical() -> None:
    assert utils.to_categorical([0, 2]).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert utils.to_categorical([[1], [0]], 2).tolist() == [[0, 1], [1, 0]]
    with pytest.raises(ArgumentError, match="labels go from 0 to 3"):
        utils.to_categorical([0, 3], 3)


def test_summary() -> None:
    lines: list[str] = []
    small().summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert lines[0] == 'Model: "sequential"'
    assert "conv2d (Conv2D)" in text and "(None, 4, 4, 2)" in text
    assert "Total params: 119" in text and "Non-trainable params: 0" in text
    assert all(80 <= len(line) <= 100 for line in lines if set(line) == {"="})
    lines.clear()
    model = small()
    model.layers[0].trainable = False
    model.summary(print_fn=lines.append, connections=True)
    assert "Connections" in lines[2] and "MACs" in lines[2]
    assert any("Non-trainable params: 20" in line for line in lines)


def test_summary_of_an_unbuilt_model_says_what_is_missing() -> None:
    with pytest.raises(ArgumentError, match="shape is not known yet"):
        Sequential([layers.Dense(2)]).summary()


def test_predict_classes() -> None:
    model = Sequential([Input((3,)), layers.Activation("linear")])
    assert model.predict_classes(np.array([[0, 2, 1]])).tolist() == [1]
    rbf = Sequential([Input((2,)), layers.RBFOutput([[0, 0], [1, 1], [5, 5]])])
    assert rbf.predict_classes(np.array([[0.9, 1.2], [4, 4]])).tolist() == [1, 2]
    one = Sequential([Input((1,)), layers.Activation("sigmoid")])
    assert one.predict_classes(np.array([[-1.0], [1.0]])).tolist() == [0, 1]


def test_calling_a_model_predicts() -> None:
    model = small()
    x = np.ones((2, 6, 6, 1), np.float32)
    assert np.array_equal(model(x), model.predict(x))
    assert np.array_equal(model.predict_on_batch(x), model.predict(x, batch_size=1))


def test_gradients_agree_with_differences() -> None:
    model = Sequential([Input((3,)), layers.Dense(2, activation="tanh")])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(5, 2)).astype(np.float32)
    loss, gradients, dx = model.gradients(x, y)
    assert loss == pytest.approx(model.test_on_batch(x, y), rel=1e-6)
    assert dx.shape == x.shape and [g.shape for g in gradients] == [(3, 2), (2,)]
    step = 1e-2
    weights = model.get_weights()
    around = []
    for sign in (1, -1):
        moved = [w.copy() for w in weights]
        moved[0][1, 1] += sign * step
        model.set_weights(moved)
        around.append(model.test_on_batch(x, y))
    slope = (around[0] - around[1]) / (2 * step)
    assert slope == pytest.approx(gradients[0][1, 1], rel=1e-2, abs=1e-4)


def test_a_compiled_model_can_be_taken_apart() -> None:
    model = small()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.pop()
    model.pop()
    assert model.output_shape == (None, 4, 4, 2)
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(2, activation="softmax"))
    assert model.train_on_batch(np.ones((2, 6, 6, 1)), [0, 1]) > 0
