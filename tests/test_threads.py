"""Python threads that share a model take turns in the core."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from striate import Input, Sequential, layers, set_random_seed


def small_model() -> Sequential:
    set_random_seed(3)
    model = Sequential(
        [Input((9, 9, 2)), layers.Conv2D(5, 3, activation="relu"), layers.Flatten(),
         layers.Dense(4, activation="softmax")]
    )  # fmt: skip
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def test_predictions_from_four_threads() -> None:
    model = small_model()
    images = np.random.default_rng(0).normal(size=(64, 9, 9, 2)).astype(np.float32)
    alone = [model.predict(images[n:], verbose=0) for n in range(16)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            together = list(pool.map(lambda n: model.predict(images[n:], verbose=0), range(16)))
            for a, b in zip(alone, together, strict=True):
                np.testing.assert_array_equal(a, b)


def test_models_train_side_by_side() -> None:
    x = np.random.default_rng(1).normal(size=(50, 9, 9, 2)).astype(np.float32)
    y = np.arange(50) % 4

    def train(_: int) -> list[np.ndarray]:
        model = models.pop()
        model.fit(x, y, batch_size=16, epochs=2, verbose=0)
        return model.get_weights()

    models = [small_model() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(train, range(4)))
    for weights in results[1:]:
        for a, b in zip(results[0], weights, strict=True):
            np.testing.assert_array_equal(a, b)
