"""The same scripts under Keras 3 and striate: order of layers and weights, numbers, logs."""

import os

import numpy as np
import pytest
import striate
from idiom_data import DATA
from keras_idioms import IDIOMS
from striate import naming, set_random_seed

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch", reason="needs PyTorch, which Keras runs on here")
keras = pytest.importorskip("keras", minversion="3", reason="compares with Keras 3")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def fresh():
    naming.reset_names()
    set_random_seed(0)
    keras.utils.clear_session()


def both(name: str):
    theirs, *their_parts = IDIOMS[name](keras)
    ours, *our_parts = IDIOMS[name](striate)
    rng = np.random.default_rng(1)
    weights = []
    for weight in theirs.get_weights():
        fan_in = max(int(np.prod(weight.shape[:-1])), 1)
        value = rng.normal(size=weight.shape) / np.sqrt(fan_in)
        weights.append(np.abs(value) + 0.5 if weight.ndim == 1 else value)
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return theirs, ours, their_parts, our_parts


def flat(outputs) -> list[np.ndarray]:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


@pytest.mark.parametrize("name", IDIOMS)
def test_the_same_network(name) -> None:
    theirs, ours, their_parts, our_parts = both(name)
    x, _, _ = DATA[name]
    if name != "arithmetic":  # Keras makes operations of them, striate layers
        assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert ours.count_params() == theirs.count_params()
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    assert [w.shape for w in ours.trainable_weights] == [
        tuple(w.shape) for w in theirs.trainable_weights
    ]
    assert ours.output_names == theirs.output_names
    for got, expected in zip(
        flat(ours.predict(x)), flat(theirs.predict(x, verbose=0)), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    for part, their_part in zip(our_parts, their_parts, strict=True):
        shape = their_part.input_shape[1:]
        data = np.random.default_rng(2).normal(size=(5, *shape)).astype(np.float32)
        np.testing.assert_allclose(
            part.predict(data), their_part.predict(data, verbose=0), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", IDIOMS)
def test_the_same_training(name) -> None:
    theirs, ours, their_parts, our_parts = both(name)
    x, y, settings = DATA[name]
    theirs.compile(keras.optimizers.SGD(0.05), **settings)
    ours.compile(striate.optimizers.SGD(0.05), **settings)
    expected = theirs.evaluate(x, y, verbose=0, return_dict=True, batch_size=24)
    got = ours.evaluate(x, y, verbose=0, return_dict=True)
    assert set(got) == set(expected)
    for key, value in expected.items():
        assert got[key] == pytest.approx(value, rel=2e-4, abs=1e-5), key
    fit = {"epochs": 3, "batch_size": 8, "shuffle": False, "verbose": 0}
    histories = [model.fit(x, y, **fit).history for model in (theirs, ours)]
    assert set(histories[1]) == set(histories[0])
    for key in histories[0]:
        if "accuracy" not in key:
            np.testing.assert_allclose(histories[1][key], histories[0][key], rtol=2e-3, err_msg=key)
    for mine, their in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, their, rtol=1e-2, atol=2e-4)
    for part, their_part in zip(our_parts, their_parts, strict=True):
        for mine, their in zip(part.get_weights(), their_part.get_weights(), strict=True):
            np.testing.assert_allclose(mine, their, rtol=1e-2, atol=2e-4)
