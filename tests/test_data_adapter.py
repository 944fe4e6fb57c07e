"""The forms that data may take: arrays, generators, PyDatasets, loaders."""

import numpy as np
import pytest
from small_fits import RNG, X, Y, batches, classifier, forever, same_weights
from striate import Input, Sequential, layers, naming, set_random_seed
from striate.errors import ArgumentError, ShapeError, StriateWarning
from striate.models.data_adapter import input_array
from striate.utils import PyDataset


@pytest.fixture(autouse=True)
def fresh():
    naming.reset_names()
    set_random_seed(0)


class Batches(PyDataset):
    ended = 0

    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = slice(index * 16, index * 16 + 16)
        return X[rows], Y[rows]

    def on_epoch_end(self):
        self.ended += 1


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.astype(np.float64),
        lambda x: x.astype(">f4"),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: x.tolist(),
        lambda x: memoryview(x),
        lambda x: np.ma.array(x),
    ],
    ids=["float64", "big-endian", "fortran", "strided", "list", "buffer", "subclass"],
)
def test_other_arrays_are_taken_by_a_copy(convert) -> None:
    a, b = classifier(), classifier()
    a.fit(X, Y, verbose=0)
    b.fit(convert(X), Y, verbose=0)
    assert same_weights(a, b)
    assert np.array_equal(a.predict(X), b.predict(convert(X)))


def test_what_goes_in_without_a_copy() -> None:
    read_only = X.copy()
    read_only.flags.writeable = False
    for array in (X, read_only, np.zeros((2, 4), np.uint8)):
        assert input_array(array, (4,), "m") is array
    classifier().fit(read_only, Y, verbose=0)


def test_dlpack_and_array_interface() -> None:
    class OnlyDLPack:
        def __dlpack__(self, **kwargs):
            return X.__dlpack__(**kwargs)

        def __dlpack_device__(self):
            return X.__dlpack_device__()

    class OnlyInterface:
        __array_interface__ = X.__array_interface__

    for source in (OnlyDLPack(), OnlyInterface()):
        assert np.array_equal(classifier().predict(source), classifier().predict(X))


def test_bytes_keep_their_values() -> None:
    images = RNG.integers(0, 256, (6, 4)).astype(np.uint8)
    model = classifier()
    close = model.predict(images), model.predict(images.astype(np.float32))
    np.testing.assert_array_equal(*close)
    model.fit(images, Y[:6], verbose=0)


def test_images_without_a_channel_axis() -> None:
    model = Sequential([Input((6, 5, 1)), layers.Conv2D(2, 3), layers.Flatten()])
    images = RNG.normal(size=(3, 6, 5)).astype(np.float32)
    assert np.array_equal(model.predict(images), model.predict(images[..., None]))


def test_labels_in_other_forms() -> None:
    reference = classifier()
    reference.fit(X, Y, verbose=0)
    for labels in (
        Y.astype(np.uint8),
        Y.astype(np.float32),
        Y[:, None],
        Y.tolist(),
        Y.astype(">i4"),
    ):
        model = classifier()
        model.fit(X, labels, verbose=0)
        assert same_weights(model, reference)


def test_generator_with_steps() -> None:
    model = classifier()
    model.fit(forever(), steps_per_epoch=5, epochs=2, verbose=0)
    assert model.optimizer.iterations == 10


def test_generator_that_ends() -> None:
    model = classifier()
    with pytest.warns(StriateWarning, match="ran out"):
        history = model.fit(batches(), epochs=3, verbose=0)
    assert model.optimizer.iterations == 4 and history.epoch == [0]


def test_iterable_of_batches() -> None:
    class Loader:
        def __len__(self):
            return 4

        def __iter__(self):
            return batches()

    a, b = classifier(), classifier()
    a.fit(Loader(), epochs=2, verbose=0, validation_data=Loader())
    b.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    assert same_weights(a, b) and len(a.history.history["val_loss"]) == 2
    assert a.evaluate(Loader(), verbose=0) == pytest.approx(a.evaluate(X, Y, verbose=0), rel=1e-6)
    assert np.array_equal(a.predict(batches()), a.predict(X))


def test_pydataset() -> None:
    data = Batches()
    a, b = classifier(), classifier()
    a.fit(data, epochs=2, shuffle=False, verbose=0)
    b.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    assert same_weights(a, b) and data.ended == 2 and data.num_batches == 4
    c = classifier()
    c.fit(Batches(), epochs=2, verbose=0)
    assert not same_weights(a, c)


def test_model_without_shape_is_built_by_a_generator() -> None:
    model = Sequential([layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(batches(), verbose=0)
    assert model.input_shape == (None, 4)


def test_model_without_shape_is_evaluated_on_batches() -> None:
    model = Sequential([layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    loss = model.evaluate(batches(), verbose=0)
    assert loss == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-5)


def test_weights_in_batches() -> None:
    weights = np.linspace(0, 1, 50).astype(np.float32)
    a, b = classifier(), classifier()
    a.fit(((X, Y, weights) for _ in range(1)), verbose=0)
    b.fit(X, Y, sample_weight=weights, batch_size=50, shuffle=False, verbose=0)
    assert same_weights(a, b)


def test_sources_and_array_arguments_do_not_mix() -> None:
    with pytest.raises(ArgumentError, match="go with arrays"):
        classifier().fit(batches(), Y)
    with pytest.raises(ArgumentError, match="needs arrays"):
        classifier().fit(batches(), validation_split=0.1)
    with pytest.raises(TypeError, match="a callback is"):
        classifier().fit(X, Y, callbacks=[print])


def test_a_bad_batch_is_named() -> None:
    def source():
        yield X[:4], Y[:4]
        yield X[:4, :3], Y[:4]

    with pytest.raises(ShapeError, match="batch 1: .*expected \\(N, 4\\)"):
        classifier().fit(source(), verbose=0)
