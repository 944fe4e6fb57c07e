"""Losses: their values, and which labels they take."""

import numpy as np
import pytest
from striate import Input, Sequential, layers, losses, optimizers, set_random_seed, utils
from striate.errors import ArgumentError, ShapeError, StriateWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype(np.float32)
Y = RNG.integers(0, 3, 12)


def identity(activation=None) -> Sequential:
    return Sequential([Input((3,)), layers.Activation(activation or "linear")])


def value(model, loss, y) -> float:
    model.compile("sgd", loss)
    return model.test_on_batch(X, y)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_crossentropies() -> None:
    expected = -np.log(softmax(X.astype(np.float64)))[np.arange(12), Y].mean()
    one_hot = utils.to_categorical(Y, 3)
    soft = identity("softmax")
    assert value(soft, "sparse_categorical_crossentropy", Y) == pytest.approx(expected, rel=1e-5)
    assert value(soft, "categorical_crossentropy", one_hot) == pytest.approx(expected, rel=1e-5)
    sparse = losses.SparseCategoricalCrossentropy(from_logits=True)
    assert value(identity(), sparse, Y) == pytest.approx(expected, rel=1e-5)
    dense = losses.CategoricalCrossentropy(from_logits=True)
    assert value(identity(), dense, one_hot) == pytest.approx(expected, rel=1e-5)


def test_binary_crossentropy() -> None:
    targets = (RNG.random((12, 3)) > 0.5).astype(np.float32)
    p = 1 / (1 + np.exp(-X.astype(np.float64)))
    expected = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean()
    assert value(identity("sigmoid"), "binary_crossentropy", targets) == pytest.approx(
        expected, 1e-5
    )
    logits = losses.BinaryCrossentropy(from_logits=True)
    assert value(identity(), logits, targets) == pytest.approx(expected, rel=1e-5)


def test_mean_squared_error() -> None:
    targets = RNG.normal(size=(12, 3))
    expected = ((X - targets) ** 2).mean()
    for name in ("mse", "mean_squared_error", "MeanSquaredError", losses.MeanSquaredError):
        assert value(identity(), name, targets) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("from_logits", [True, False])
def test_label_smoothing_by_hand(from_logits) -> None:
    """Each class has 0.2 / 3, the label 0.8 more."""
    log_p = np.log(softmax(X.astype(np.float64)))
    smooth = np.full((12, 3), 0.2 / 3)
    smooth[np.arange(12), Y] += 0.8
    expected = -(smooth * log_p).sum(axis=1).mean()
    model = identity(None if from_logits else "softmax")
    sparse = losses.SparseCategoricalCrossentropy(from_logits, label_smoothing=0.2)
    assert value(model, sparse, Y) == pytest.approx(expected, rel=1e-5)
    categorical = losses.CategoricalCrossentropy(from_logits, 0.2)
    assert value(model, categorical, utils.to_categorical(Y, 3)) == pytest.approx(expected, 1e-5)


def test_binary_label_smoothing_by_hand() -> None:
    loss = losses.BinaryCrossentropy(label_smoothing=0.4)
    model = Sequential([Input((1,)), layers.Activation("relu")])
    model.compile("sgd", loss)
    p = np.array([[0.9], [0.3]], np.float32)
    expected = -(0.8 * np.log(0.9) + 0.2 * np.log(0.1) + 0.2 * np.log(0.3) + 0.8 * np.log(0.7)) / 2
    assert model.test_on_batch(p, np.array([1, 0])) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "outputs", "targets", "expected"),
    [
        ("mae", [[1, -2, 4]], [[0, 1, 4]], 4 / 3),
        ("mean_absolute_error", [[0.5, 0, 0]], [[0, 0, 0]], 1 / 6),
        ("huber", [[0.5, 3, 0]], [[0, 0, 0]], (0.125 + 2.5) / 3),
        (losses.Huber(2.0), [[0.5, 3, 0]], [[0, 0, 0]], (0.125 + 4.0) / 3),
        ("hinge", [[0.5, -2, 3]], [[1, -1, -1]], (0.5 + 0 + 4) / 3),
        ("hinge", [[0.5, -2, 3]], [[1, 0, 0]], (0.5 + 0 + 4) / 3),
        ("kld", [[0.25, 0.25, 0.5]], [[0.5, 0.5, 0]], np.log(2)),
        ("kl_divergence", [[0.2, 0.3, 0.5]], [[0.2, 0.3, 0.5]], 0),
    ],
)
def test_by_hand(loss, outputs, targets, expected) -> None:
    model = identity()
    model.compile("sgd", loss)
    got = model.test_on_batch(np.array(outputs, np.float32), np.array(targets))
    assert got == pytest.approx(expected, rel=1e-5, abs=2e-6)


def test_an_image_of_classes() -> None:
    """A label for each pixel: the loss is the mean over pixels, the accuracy counts pixels."""
    z = RNG.normal(size=(5, 2, 3, 4)).astype(np.float32)
    y = RNG.integers(0, 4, size=(5, 2, 3))
    p = softmax(z.reshape(-1, 4).astype(np.float64))
    expected = -np.log(p[np.arange(30), y.reshape(-1)]).mean()
    accuracy = (z.argmax(axis=-1) == y).mean()
    model = Sequential([Input((2, 3, 4)), layers.Activation("softmax")])
    top = ["accuracy", "sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy"]
    model.compile("sgd", SPARSE, top)
    for labels in (y, y[..., None], y.astype(np.float32)):
        got = model.evaluate(z, labels, batch_size=2, verbose=0)
        assert got == pytest.approx([expected, accuracy, accuracy, 1.0], rel=1e-5)
    model.compile("sgd", DENSE, ["accuracy", "categorical_accuracy"])
    got = model.evaluate(z, np.eye(4)[y], verbose=0)
    assert got == pytest.approx([expected, accuracy, accuracy], rel=1e-5)
    history = model.fit(z, np.eye(4)[y], batch_size=2, verbose=0).history
    assert history["accuracy"] == pytest.approx([accuracy])


def test_an_image_of_probabilities() -> None:
    p = RNG.uniform(0.1, 0.9, size=(5, 2, 3, 1)).astype(np.float32)
    y = RNG.integers(0, 2, size=(5, 2, 3))
    expected = -np.log(np.where(y == 1, p[..., 0], 1 - p[..., 0])).mean()
    model = Sequential([Input((2, 3, 1)), layers.Activation("relu")])
    model.compile("sgd", "binary_crossentropy", ["accuracy"])
    for labels in (y, y[..., None]):
        got = model.test_on_batch(p, labels)
        assert got == pytest.approx([expected, ((p[..., 0] > 0.5) == y).mean()], rel=1e-5)


def test_class_weight_is_for_samples_with_one_label() -> None:
    model = Sequential([Input((2, 3, 4)), layers.Activation("softmax")])
    model.compile("sgd", SPARSE)
    x, y = np.zeros((5, 2, 3, 4)), np.zeros((5, 2, 3), np.int64)
    with pytest.raises(ArgumentError, match="class_weight takes one label a sample"):
        model.fit(x, y, class_weight={0: 2.0}, verbose=0)


def test_map_loss() -> None:
    distances = np.abs(X.astype(np.float64))
    j = 0.1
    model = identity()
    model.compile("sgd", losses.MAPLoss(j))
    own = distances[np.arange(12), Y]
    expected = (own + np.log(np.exp(-j) + np.exp(-distances).sum(axis=1))).mean()
    assert model.test_on_batch(np.abs(X), Y) == pytest.approx(expected, rel=1e-5)


def test_map_accuracy_is_by_the_smallest_output() -> None:
    model = identity()
    model.compile("sgd", losses.MAPLoss(), ["accuracy", "sparse_categorical_accuracy"])
    logs = model.test_on_batch(X, X.argmin(axis=1), return_dict=True)
    assert logs["accuracy"] == logs["sparse_categorical_accuracy"] == 1.0


def test_config_makes_the_same_loss() -> None:
    for loss in (
        losses.MAPLoss(0.3),
        losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        losses.SparseCategoricalCrossentropy(label_smoothing=0.2),
        losses.BinaryCrossentropy(label_smoothing=0.3),
        losses.Huber(0.5),
        *("bce", "mae", "hinge", "kld", "KLDivergence"),
    ):
        loss = losses.get(loss)
        again = losses.get(losses.serialize(loss))
        assert type(again) is type(loss) and again.options() == loss.options()


SPARSE, DENSE = "sparse_categorical_crossentropy", "categorical_crossentropy"


@pytest.mark.parametrize(
    ("loss", "y", "error", "message"),
    [
        (SPARSE, utils.to_categorical(Y, 3), ShapeError,
         r'integer labels \(N,\), got one-hot labels \(12, 3\): use "categorical_crossentropy"'),
        (DENSE, Y, ShapeError,
         r'targets \(N, 3\).*got shape \(12,\): integer labels want "sparse_categorical_cross'),
        (DENSE, Y[:, None], ShapeError, "integer labels want"),
        ("mse", Y, ShapeError, r"one-hot labels come from utils.to_categorical\(y, 3\)"),
        (SPARSE, np.where(np.arange(12) == 7, 3, Y), ArgumentError,
         r"y\[7\] is 3: the model has 3 classes, so labels go from 0 to 2"),
        (SPARSE, np.where(np.arange(12) == 4, -1, Y), ArgumentError, r"y\[4\] is -1"),
        (SPARSE, Y + 0.5, ArgumentError, r"takes integer labels, y\[0\] is"),
        (SPARSE, np.where(np.arange(12) == 5, np.nan, Y), ArgumentError, r"y\[5\] is nan"),
        (SPARSE, Y[:11], ShapeError, "x has 12 samples, y has 11"),
        (SPARSE, np.array(3), ShapeError, "one entry a sample, got the scalar 3"),
        (SPARSE, np.zeros((12, 2, 2)), ShapeError, r"got shape \(12, 2, 2\)"),
        (SPARSE, ["cat"] * 12, ShapeError, "y must hold numbers"),
        (SPARSE, None, ArgumentError, "y is missing"),
        (DENSE, np.zeros((12, 4)), ShapeError, r"targets \(N, 3\), .* got shape \(12, 4\)"),
        (DENSE, np.zeros((12, 0)), ShapeError, "y is empty"),
        ("binary_crossentropy", np.full((12, 3), 2), ArgumentError, "between 0 and 1, got 2 to 2"),
        ("map", utils.to_categorical(Y, 3), ShapeError, "got one-hot labels"),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit(loss, y, error, message) -> None:
    model = identity("softmax" if loss in (SPARSE, DENSE) else None)
    if loss == "binary_crossentropy":
        model = identity("sigmoid")
    model.compile("sgd", loss)
    for call in (model.train_on_batch, model.test_on_batch):
        with pytest.raises(error, match=message):
            call(X, y)
    with pytest.raises(error, match=message):
        model.fit(X, y, verbose=0)
    assert model.optimizer.iterations == 0


def test_one_label_for_an_image_of_classes_says_what_is_missing() -> None:
    model = Sequential([Input((4, 4, 1)), layers.Conv2D(2, 3, activation="softmax")])
    model.compile("sgd", SPARSE)
    x = np.zeros((3, 4, 4, 1))
    message = r"labels \(N, 2, 2\), got shape \(3,\).*output \(2, 2, 2\): is a Flatten missing"
    with pytest.raises(ShapeError, match=message):
        model.fit(x, np.zeros(3, np.int64), verbose=0)
    with pytest.raises(ShapeError, match=r"got one-hot labels \(3, 2, 2, 2\)"):
        model.fit(x, np.zeros((3, 2, 2, 2)), verbose=0)
    labels = np.zeros((3, 2, 2), np.int64)
    labels[1, 0, 1] = 2
    with pytest.raises(ArgumentError, match=r"y\[1, 0, 1\] is 2: the model has 2 classes"):
        model.fit(x, labels, verbose=0)
    with pytest.raises(ShapeError, match="takes a vector of distances"):
        model.compile("sgd", losses.MAPLoss())
    assert isinstance(model.loss, losses.SparseCategoricalCrossentropy), "as it was"


def test_single_output_takes_a_vector_of_labels() -> None:
    model = Sequential([Input((3,)), layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", ["accuracy"])
    y = (Y > 0).astype(int)
    assert model.test_on_batch(X, y) == model.test_on_batch(X, y[:, None])


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        (losses.SparseCategoricalCrossentropy(from_logits=True), "softmax"),
        (losses.SparseCategoricalCrossentropy(), "linear"),
        (losses.BinaryCrossentropy(from_logits=True), "sigmoid"),
    ],
)
def test_squash_twice_or_never_warns(loss, activation) -> None:
    from striate import errors

    errors._warned.clear()
    with pytest.warns(StriateWarning, match=f"{loss.kind}"):
        Sequential([Input((3,)), layers.Dense(3, activation=activation)]).compile("sgd", loss)


def test_what_get_refuses() -> None:
    for bad in ("mean_squared", 3, None, {"class": "Loss"}):
        with pytest.raises(ArgumentError, match="no loss"):
            losses.get(bad)
    for make in (
        lambda: losses.MAPLoss(0),
        lambda: losses.CategoricalCrossentropy(label_smoothing=1.1),
        lambda: losses.BinaryCrossentropy(label_smoothing=-0.1),
        lambda: losses.CategoricalCrossentropy(label_smoothing="much"),
        lambda: losses.CategoricalCrossentropy(axis=1),
        lambda: losses.SparseCategoricalCrossentropy(ignore_class=255),
        lambda: losses.Huber(0),
        lambda: losses.Huber(float("inf")),
        lambda: losses.MeanSquaredError(reduction="sum"),
    ):
        with pytest.raises(ArgumentError):
            make()


def test_labels_do_not_change_under_the_callers_hands() -> None:
    set_random_seed(0)
    y = Y.copy()
    model = Sequential([Input((3,)), layers.Dense(3, activation="softmax")])
    model.compile(optimizers.SGD(), SPARSE)
    model.fit(X, y, verbose=0)
    assert np.array_equal(y, Y)
