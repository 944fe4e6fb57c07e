"""What users get wrong, and the messages that they get: naming, expected, got, likely mend."""

import numpy as np
import pytest
from striate import Input, Sequential, layers, set_random_seed
from striate.errors import ArgumentError, ShapeError, StriateError

IMAGES = np.random.default_rng(0).normal(size=(6, 8, 10, 3)).astype(np.float32)
LABELS = np.array([0, 1, 0, 1, 0, 1])


def network() -> Sequential:
    set_random_seed(0)
    model = Sequential(
        [
            Input((8, 10, 3)),
            layers.Conv2D(2, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ],
        name="net",
    )
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    return model


CASES = {
    "NCHW": (IMAGES.transpose(0, 3, 1, 2),
             r"net: x has shape \(6, 3, 8, 10\), expected \(N, 8, 10, 3\): looks like NCHW: "
             r"transpose with x.transpose\(0, 2, 3, 1\)"),
    "channels": (IMAGES[..., :1], "x has 1 channel, the model takes 3"),
    "height and width": (IMAGES.transpose(0, 2, 1, 3), "images are 10 x 8, not 8 x 10"),
    "one sample": (IMAGES[0], r"this is one sample: add a batch axis with x\[None\]"),
    "flat": (IMAGES.reshape(6, -1), r"the sizes agree: x.reshape\(-1, 8, 10, 3\)"),
    "rank": (np.zeros((6, 8)), "x has rank 2, the model takes rank 4"),
    "scalar": (np.float32(3), "must have a batch axis"),
    "empty": (IMAGES[:0], r"x is empty: \(0, 8, 10, 3\)"),
    "no pixels": (np.zeros((6, 0, 10, 3)), "expected"),
    "text": (np.full((6, 8, 10, 3), "a"), "x must hold numbers, got dtype <U1"),
    "complex": (IMAGES.astype(complex), "x must hold numbers, got dtype complex128"),
    "objects": (np.array([IMAGES[0], IMAGES[1, :4]], dtype=object), "differ in shape"),
    "ragged list": ([[1.0, 2.0], [1.0]], "not an array of numbers"),
}  # fmt: skip


@pytest.mark.parametrize(("x", "message"), CASES.values(), ids=CASES)
def test_input(x, message) -> None:
    model = network()
    before = model.weights_hash()
    labels = LABELS
    for call in (model.fit, model.train_on_batch, model.evaluate, model.test_on_batch):
        with pytest.raises(ShapeError, match=message):
            call(x, labels)
    for call in (model.predict, model.predict_on_batch, model.predict_classes):
        with pytest.raises(ShapeError, match=message):
            call(x)
    assert model.weights_hash() == before and model.optimizer.iterations == 0


def test_the_package_has_one_base_of_errors() -> None:
    with pytest.raises(StriateError):
        network().predict(IMAGES[0])
    with pytest.raises(ValueError):
        network().predict(IMAGES[0])


def test_wrong_number_of_labels() -> None:
    with pytest.raises(ShapeError, match="x has 6 samples, y has 5"):
        network().fit(IMAGES, LABELS[:5])


def test_missing_labels() -> None:
    with pytest.raises(ArgumentError, match="y is missing"):
        network().fit(IMAGES)


def test_channels_lost_between_layers() -> None:
    with pytest.raises(ShapeError, match="c2"):
        Sequential(
            [
                Input((8, 8, 1)),
                layers.Conv2D(2, 3),
                layers.Flatten(),
                layers.Conv2D(2, 3, name="c2"),
            ]
        )


def test_kernel_larger_than_the_image() -> None:
    with pytest.raises(ShapeError, match="big"):
        Sequential([Input((4, 4, 1)), layers.Conv2D(2, 5, name="big")])


def test_groups_that_do_not_divide() -> None:
    with pytest.raises(StriateError, match="grouped"):
        Sequential([Input((4, 4, 3)), layers.Conv2D(4, 3, groups=2, name="grouped")])


def test_codes_of_another_width() -> None:
    with pytest.raises(ShapeError, match="output"):
        Sequential([Input((4,)), layers.RBFOutput(np.zeros((3, 5)), name="output")])


def test_a_connection_table_of_another_height() -> None:
    with pytest.raises(ShapeError, match="c3"):
        Sequential([Input((4, 4, 3)), layers.Conv2D(2, 3, connections=np.ones((2, 2)), name="c3")])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Cropping2D(2, name="l"), r"l \(cropping2d\): cropping \(\(2, 2\), \(2, 2\)\) "
                                         r"leaves nothing of an input of \(4, 5, 3\)"),
        (layers.Reshape((7, 9), name="l"), r"l \(reshape\): input \(4, 5, 3\) has 60 values a "
                                           r"sample, target_shape \(7, 9\) wants 63"),
        (layers.Reshape((-1, -1), name="l"), r"l: target_shape leaves two sizes open: \(-1, -1\)"),
        (layers.Permute((2, 1), name="l"), r"l \(permute\): input is \(4, 5, 3\), the order "
                                           r"\(1, 0\) is of 2 axes"),
        (layers.Rescaling([1, 2], name="l"), r"l \(rescaling\): input \(4, 5, 3\) has 3 channels, "
                                             "scale is of 2: give one number, or one a channel"),
        (layers.MaxPooling2D(9, 1, ceil_mode=True, name="l"), "is smaller than the window of 9"),
    ],
)  # fmt: skip
def test_layers_that_do_not_fit(layer, message) -> None:
    with pytest.raises(StriateError, match=message):
        Sequential([Input((4, 5, 3)), layer])


def test_evaluation_of_nothing() -> None:
    with pytest.raises(ArgumentError, match="no batch to evaluate"):
        network().evaluate(iter(()), verbose=0)
    with pytest.raises(ShapeError, match="nothing to predict"):
        network().predict(iter(()))


def test_batch_size_of_predict_and_evaluate() -> None:
    for bad in (0, -1, 2.5, "all", True):
        with pytest.raises(ArgumentError, match="batch_size must be a positive integer"):
            network().predict(IMAGES, batch_size=bad)
        with pytest.raises(ArgumentError, match="batch_size must be a positive integer"):
            network().evaluate(IMAGES, LABELS, batch_size=bad)


def test_nothing_is_written_to_the_callers_arrays() -> None:
    x, y, w = IMAGES.copy(), LABELS.copy(), np.linspace(0, 1, 6, dtype=np.float32)
    for array in (x, y, w):
        array.flags.writeable = False
    model = network()
    model.fit(x, y, sample_weight=w, class_weight={0: 2.0}, verbose=0)
    model.predict(x)
    assert np.array_equal(x, IMAGES) and np.array_equal(y, LABELS)


def test_outputs_own_their_memory() -> None:
    model = network()
    first = model.predict(IMAGES)
    kept = first.copy()
    model.predict(IMAGES * 2)
    assert np.array_equal(first, kept) and first.flags.writeable
    weights = model.get_weights()
    weights[0][:] = 7
    assert not (model.get_weights()[0] == 7).any()
