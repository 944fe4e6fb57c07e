"""Models with several outputs: losses and their weights, metrics, names, and the data they take."""

import numpy as np
import pytest
from striate import Input, Model, Sequential, layers, losses, metrics, naming, set_random_seed
from striate.errors import ArgumentError, ShapeError, StriateWarning
from striate.utils import PyDataset

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype(np.float32)
LABELS = RNG.integers(0, 3, 40)
TARGETS = RNG.normal(size=(40, 2)).astype(np.float32)


@pytest.fixture(autouse=True)
def fresh():
    naming.reset_names()
    set_random_seed(0)


def two_heads(**ends) -> Model:
    inputs = Input((4,), name="x")
    x = layers.Dense(5, activation="tanh", name="body")(inputs)
    head = layers.Dense(3, activation="softmax", name="label")(x)
    side = layers.Dense(2, name="side")(x)
    return Model(inputs, ends.get("outputs", [head, side]), name="net")


LOSSES = ["sparse_categorical_crossentropy", "mse"]


def compiled(loss=LOSSES, **kwargs) -> Model:
    set_random_seed(0)
    model = two_heads()
    model.compile(kwargs.pop("optimizer", "sgd"), loss, **kwargs)
    return model


def by_hand(model: Model) -> tuple[float, float]:
    """(mean cross-entropy, mean squared error) of the two heads."""
    p, side = (out.astype(np.float64) for out in model.predict(X))
    cross_entropy = -np.log(p[np.arange(40), LABELS]).mean()
    return cross_entropy, ((side - TARGETS) ** 2).mean()


@pytest.mark.parametrize(
    "loss_weights",
    [None, [1.0, 0.3], {"side": 0.3}, {"label": 2, "side": 0.0}, [0.25, 4]],
    ids=str,
)
def test_the_loss_is_the_weighted_sum(loss_weights) -> None:
    model = compiled(loss_weights=loss_weights)
    weights = {None: (1, 1)}.get(None) if loss_weights is None else loss_weights
    if isinstance(weights, dict):
        weights = (weights.get("label", 1), weights.get("side", 1))
    first, second = by_hand(model)
    logs = model.evaluate(X, [LABELS, TARGETS], verbose=0, return_dict=True, batch_size=16)
    assert list(logs) == ["loss", "label_loss", "side_loss"] == model.metrics_names
    assert logs["label_loss"] == pytest.approx(first, rel=1e-5)
    assert logs["side_loss"] == pytest.approx(second, rel=1e-5)
    assert logs["loss"] == pytest.approx(weights[0] * first + weights[1] * second, rel=1e-5)
    # The gradient is that of the sum: a step follows it.
    _, gradients, _ = model.gradients(X, [LABELS, TARGETS])
    before = model.get_weights()
    model.train_on_batch(X, [LABELS, TARGETS])
    for w, g, after in zip(before, gradients, model.get_weights(), strict=True):
        np.testing.assert_allclose(after, w - 0.01 * g, rtol=1e-4, atol=1e-6)


def test_an_output_of_weight_zero_trains_nothing() -> None:
    model = compiled(loss_weights=[1.0, 0.0])
    side = model.get_layer("side").get_weights()
    model.fit(X, [LABELS, TARGETS], verbose=0)
    assert np.array_equal(model.get_layer("side").get_weights()[0], side[0])


def test_one_loss_for_all_outputs() -> None:
    inputs = Input((4,))
    model = Model(inputs, [layers.Dense(2, name="a")(inputs), layers.Dense(2, name="b")(inputs)])
    model.compile("sgd", "mse")
    a, b = model.predict(X)
    expected = ((a - TARGETS) ** 2).mean() + ((b - TARGETS) ** 2).mean()
    assert model.evaluate(X, [TARGETS, TARGETS], verbose=0)[0] == pytest.approx(expected, rel=1e-5)
    assert [loss.kind for loss in model.loss] == ["mean_squared_error"] * 2


@pytest.mark.parametrize("form", ["list", "dict"])
def test_an_output_without_a_loss(form) -> None:
    loss = [None, "mse"] if form == "list" else {"label": None, "side": "mse"}
    model = compiled(loss=loss)
    before = model.get_layer("label").get_weights()
    for y in ([None, TARGETS], TARGETS, {"side": TARGETS}, [LABELS, TARGETS]):
        history = model.fit(X, y, verbose=0).history
        assert list(history) == ["loss"]
        assert model.evaluate(X, y, verbose=0) == pytest.approx(by_hand(model)[1], rel=1e-5)
    assert np.array_equal(model.get_layer("label").get_weights()[0], before[0])
    assert len(model.predict(X)) == 2


def test_metrics_by_output() -> None:
    for given in (
        [["accuracy"], ["mae"]],
        {"label": ["accuracy"], "side": ["mae"]},
        ["accuracy", "mae"],
        {"label": "accuracy", "side": "mae"},
    ):
        model = compiled(metrics=given)
        logs = model.evaluate(X, [LABELS, TARGETS], verbose=0, return_dict=True)
        assert list(logs) == ["loss", "label_loss", "side_loss", "label_accuracy", "side_mae"]
        p, side = model.predict(X)
        assert logs["label_accuracy"] == pytest.approx((p.argmax(axis=1) == LABELS).mean())
        assert logs["side_mae"] == pytest.approx(np.abs(side - TARGETS).mean(), rel=1e-5)
    only = compiled(metrics={"side": [metrics.MeanSquaredError(), "mae"]})
    assert only.metrics_names[3:] == ["side_mean_squared_error", "side_mae"]
    history = only.fit(X, [LABELS, TARGETS], validation_split=0.25, verbose=0).history
    assert list(history)[5:8] == ["val_loss", "val_label_loss", "val_side_loss"]


def test_a_history_of_several_outputs() -> None:
    model = compiled(metrics=[["accuracy"], []])
    history = model.fit(
        X, {"label": LABELS, "side": TARGETS}, validation_data=(X, [LABELS, TARGETS]), verbose=0
    ).history
    names = ["loss", "label_loss", "side_loss", "label_accuracy"]
    assert list(history) == [*names, *(f"val_{name}" for name in names)]


def test_what_compile_refuses() -> None:
    def refused(match, loss=LOSSES, **kwargs):
        with pytest.raises(ArgumentError, match=match):
            compiled(loss, **kwargs)

    refused(r"loss: has 2 outputs \(label, side\), got 1", ["mse"])
    refused("no loss of output 'other'; there are label, side", {"other": "mse"})
    refused("loss of output 'side' is missing", {"label": "mse"})
    refused("a loss is needed", [None, None])
    refused("a loss is needed", None)
    refused(r"loss_weights: has 2 outputs \(label, side\), got 3", loss_weights=[1, 2, 3])
    refused("no loss weight of output 'x'", loss_weights={"x": 1})
    refused("a loss weight is a number of at least 0, got -1 for 'side'", loss_weights=[1, -1])
    refused("a loss weight is a number of at least 0, got 'a'", loss_weights=["a", 1])
    refused("'label' has a loss weight but no loss", [None, "mse"], loss_weights={"label": 1})
    refused(r"metrics of 2 outputs \(label, side\) are a list", metrics=["accuracy"])
    refused("no metrics of output 'x'", metrics={"x": ["mae"]})
    refused("'label' has metrics but no loss", [None, "mse"], metrics=[["accuracy"], []])
    refused("two metrics are named 'side_mae'", metrics={"side": ["mae", "mae"]})
    refused("no loss 'unknown'", "unknown")


def test_data_that_do_not_fit() -> None:
    model = compiled()
    before = model.weights_hash()
    for y, error, match in (
        (LABELS, ArgumentError, r"net: y: has 2 outputs \(label, side\): give a list"),
        ([LABELS], ArgumentError, r"net: y: has 2 outputs \(label, side\), got 1"),
        ({"label": LABELS}, ArgumentError, "output 'side' is missing"),
        ({"label": LABELS, "x": TARGETS}, ArgumentError, "no output 'x'"),
        ([LABELS, LABELS], ShapeError, "output 'side': mean_squared_error: takes targets"),
        ([LABELS + 3, TARGETS], ArgumentError, "output 'label': .*the model has 3 classes"),
        ([LABELS[:9], TARGETS], ShapeError, "output 'label': .*x has 40 samples, y has 9"),
        ([None, TARGETS], ArgumentError, "output 'label': .*y is missing"),
        (None, ArgumentError, "y is missing"),
    ):
        for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
            with pytest.raises(error, match=match):
                call(X, y)
    with pytest.raises(ArgumentError, match="class_weight is for models with one output"):
        model.fit(X, [LABELS, TARGETS], class_weight={0: 2.0}, verbose=0)
    assert model.weights_hash() == before


def test_sample_weights_by_output() -> None:
    model = compiled()
    w = RNG.uniform(0, 2, 40).astype(np.float32)
    p, side = (out.astype(np.float64) for out in model.predict(X))
    first = -np.log(p[np.arange(40), LABELS])
    second = ((side - TARGETS) ** 2).mean(axis=1)
    for given, expected in (
        (w, [(w * first).mean(), (w * second).mean()]),
        ([w, None], [(w * first).mean(), second.mean()]),
        ({"side": w}, [first.mean(), (w * second).mean()]),
        (w.tolist(), [(w * first).mean(), (w * second).mean()]),
    ):
        logs = model.evaluate(X, [LABELS, TARGETS], sample_weight=given, verbose=0)
        assert logs[1:] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ArgumentError, match="sample_weight: no output 'x'"):
        model.fit(X, [LABELS, TARGETS], sample_weight={"x": w}, verbose=0)


class Batches(PyDataset):
    def __init__(self, make) -> None:
        super().__init__()
        self.make = make

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index):
        rows = slice(10 * index, 10 * index + 10)
        return self.make(X[rows], LABELS[rows], TARGETS[rows])


@pytest.mark.parametrize(
    "make",
    [
        lambda x, a, b: (x, [a, b]),
        lambda x, a, b: ({"x": x}, {"side": b, "label": a}),
        lambda x, a, b: ([x], (a, b), [np.ones(len(x)), None]),
    ],
    ids=["lists", "dicts", "weights"],
)
def test_batches_of_several_outputs(make) -> None:
    expected = compiled()
    expected.fit(X, [LABELS, TARGETS], batch_size=10, shuffle=False, verbose=0)
    model = compiled()
    model.fit(Batches(make), shuffle=False, verbose=0)
    assert model.weights_hash() == expected.weights_hash()
    assert model.evaluate(Batches(make), verbose=0) == pytest.approx(
        expected.evaluate(X, [LABELS, TARGETS], verbose=0)
    )
    for got, whole in zip(model.predict(Batches(make)), model.predict(X), strict=True):
        assert np.array_equal(got, whole)


def test_what_predict_gives() -> None:
    inputs = Input((4,))
    a, b = layers.Dense(2, name="a")(inputs), layers.Dense(3, name="b")(inputs)
    assert isinstance(Model(inputs, a).predict(X), np.ndarray)
    assert isinstance(Model(inputs, [a]).predict(X), np.ndarray)
    assert [out.shape for out in Model(inputs, [a, b]).predict(X)] == [(40, 2), (40, 3)]
    named = Model(inputs, {"p": a, "q": b}).predict(X, batch_size=7)
    assert {name: out.shape for name, out in named.items()} == {"p": (40, 2), "q": (40, 3)}
    assert Model(inputs, [b, a]).predict_classes(X).shape == (40,)


def test_outputs_by_the_names_of_a_dict() -> None:
    inputs = Input((4,))
    ends = {"p": layers.Dense(2, name="a")(inputs), "q": layers.Dense(2, name="b")(inputs)}
    model = Model(inputs, ends)
    model.compile("sgd", {"p": "mse", "q": "mse"}, metrics={"q": ["mae"]}, loss_weights={"p": 2})
    assert model.metrics_names == ["loss", "p_loss", "q_loss", "q_mae"]
    assert list(model.loss) == ["p", "q"]
    model.fit(X, {"q": TARGETS, "p": TARGETS}, verbose=0)
    assert model.output_names == ["p", "q"]


def test_two_outputs_of_one_layer() -> None:
    a, b = Input((4,)), Input((4,))
    shared = layers.Dense(2, name="shared")
    model = Model([a, b], [shared(a), shared(b)])
    assert model.output_names == ["shared", "shared_1"]
    model.compile("sgd", "mse")
    logs = model.evaluate([X, X], [TARGETS, TARGETS], verbose=0, return_dict=True)
    assert logs["shared_loss"] == logs["shared_1_loss"] == pytest.approx(logs["loss"] / 2)


def test_a_single_output_takes_a_dict_or_a_list_too() -> None:
    model = Sequential([Input((4,), name="x"), layers.Dense(2, name="y")])
    model.compile("sgd", {"y": "mse"}, metrics={"y": ["mae"]}, loss_weights=[0.5])
    logs = model.evaluate({"x": X}, {"y": TARGETS}, verbose=0, return_dict=True)
    assert list(logs) == ["loss", "mae"]
    assert model.evaluate([X], [TARGETS], verbose=0) == list(logs.values())
    error = ((model.predict(X) - TARGETS) ** 2).mean()
    assert logs["loss"] == pytest.approx(0.5 * error, rel=1e-5)


def test_each_output_is_warned_about_its_activation() -> None:
    from striate import errors

    errors._warned.clear()
    crossentropy = losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.warns(StriateWarning, match="on a model that ends in softmax"):
        compiled([crossentropy, "mse"])
    errors._warned.clear()
    compiled([losses.SparseCategoricalCrossentropy(), "mse"])


def test_an_image_of_classes_beside_a_label() -> None:
    inputs = Input((6, 6, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="tanh")(inputs)
    pixels = layers.Conv2D(3, 1, activation="softmax", name="pixels")(x)
    label = layers.Dense(2, name="label")(layers.GlobalAveragePooling2D()(x))
    model = Model(inputs, [pixels, label])
    model.compile(
        "sgd", ["sparse_categorical_crossentropy", "mse"], metrics=[["accuracy"], ["mae"]]
    )
    images = RNG.normal(size=(10, 6, 6, 3)).astype(np.float32)
    classes = RNG.integers(0, 3, (10, 6, 6))
    logs = model.evaluate(images, [classes, TARGETS[:10]], verbose=0, return_dict=True)
    p, _ = model.predict(images)
    own = np.take_along_axis(p.astype(np.float64), classes[..., None], axis=-1)
    assert logs["pixels_loss"] == pytest.approx(-np.log(own).mean(), rel=1e-5)
    assert logs["pixels_accuracy"] == pytest.approx((p.argmax(axis=-1) == classes).mean())
    model.fit(images, [classes, TARGETS[:10]], batch_size=4, verbose=0)


def test_auxiliary_heads_as_in_googlenet() -> None:
    x = inputs = Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    aux = layers.GlobalAveragePooling2D()(x)
    aux = layers.Dense(3, activation="softmax", name="aux")(layers.Dropout(0.7)(aux))
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(x))
    model = Model(inputs, [layers.Dense(3, activation="softmax", name="main")(x), aux])
    loss = "sparse_categorical_crossentropy"
    model.compile("adam", loss, [["accuracy"]] * 2, loss_weights={"main": 1.0, "aux": 0.3})
    images = RNG.normal(size=(40, 8, 8, 3)).astype(np.float32)
    history = model.fit(images, [LABELS, LABELS], epochs=2, verbose=0).history
    for total, main, side in zip(
        *(history[n] for n in ("loss", "main_loss", "aux_loss")), strict=True
    ):
        assert total == pytest.approx(main + 0.3 * side, rel=1e-5)
    deployed = Model(model.input, model.outputs[0])
    assert np.array_equal(deployed.predict(images), model.predict(images)[0])
