"""Keras's idioms train, run and come back from a file as they should."""

import numpy as np
import pytest
import striate
from idiom_data import DATA, IMAGES
from keras_idioms import IDIOMS
from striate import load_model, naming, set_random_seed


@pytest.fixture(autouse=True)
def fresh():
    naming.reset_names()
    set_random_seed(0)


@pytest.mark.parametrize("name", IDIOMS)
def test_it_learns(name) -> None:
    model, *_ = IDIOMS[name](striate)
    x, y, settings = DATA[name]
    model.compile("adam", **settings)
    model.optimizer.learning_rate = 0.02
    losses = model.fit(x, y, epochs=20, batch_size=8, verbose=0).history["loss"]
    # Of the frozen base's random features the head can make only so much.
    assert losses[-1] < (0.99 if name == "transfer" else 0.9) * losses[0]
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("name", IDIOMS)
def test_it_comes_back_from_a_file(name, tmp_path) -> None:
    model, *_ = IDIOMS[name](striate)
    x, y, settings = DATA[name]
    model.compile("sgd", **settings)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    again.summary(print_fn=lambda line: None, expand_nested=True)


def test_parts_of_an_autoencoder_are_in_step() -> None:
    model, encoder, decoder = IDIOMS["autoencoder"](striate)
    x, y, settings = DATA["autoencoder"]
    model.compile("adam", **settings)
    for _ in range(2):
        model.fit(x, y, verbose=0)
        np.testing.assert_allclose(
            decoder.predict(encoder.predict(x)), model.predict(x), rtol=1e-4, atol=1e-5
        )


def test_features_of_a_base_that_is_fine_tuned() -> None:
    model, base, features = IDIOMS["transfer"](striate)
    x, y, settings = DATA["transfer"]
    model.compile("adam", **settings)
    before, weights = features.predict(IMAGES), base.get_weights()
    model.fit(x, y, verbose=0)
    assert np.array_equal(features.predict(IMAGES), before)
    # Then all but the first layer, at a small rate; the statistics stay, since training=False.
    base.trainable = True
    base.get_layer("conv1").trainable = False
    model.compile("adam", **settings)
    model.fit(x, y, verbose=0)
    assert not np.array_equal(features.predict(IMAGES), before)
    changed = [not np.array_equal(*w) for w in zip(base.get_weights(), weights, strict=True)]
    assert changed == [False, True, True, False, False, True, True]
    np.testing.assert_allclose(
        np.maximum(features.predict(IMAGES), 0), base.predict(IMAGES), rtol=1e-5, atol=1e-6
    )
