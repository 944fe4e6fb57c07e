"""Loaders: batches in order from threads that leave no trace, whatever happens meanwhile."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import threading
import time
from typing import Any

import numpy as np
import pytest
from striate import Input, Sequential, layers, set_random_seed
from striate.augment import (
    AugmentedArrays,
    Cutout,
    Draw,
    ElasticDeformation,
    MixUp,
    Normalize,
    RandomAffine,
    RandomCrop,
    RandomFlip,
    Transform,
)
from striate.errors import ArgumentError, ShapeError, StriateError

RNG = np.random.default_rng(11)
X = RNG.integers(0, 256, (101, 8, 8, 1)).astype(np.uint8)
Y = np.arange(101) % 4
STEPS = [
    RandomFlip(),
    RandomCrop(8, padding=2),
    RandomAffine(15, 0.1),
    ElasticDeformation(4, 2),
    Normalize(0.5, 0.5),
    Cutout(3),
]


def loader_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("striate-loader")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Any:
    yield
    gc.collect()
    assert loader_threads() == []


def model() -> Sequential:
    set_random_seed(1)
    net = Sequential([Input((8, 8, 1)), layers.Flatten(), layers.Dense(4, activation="softmax")])
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return net


def same_weights(a: Sequential, b: Sequential) -> bool:
    return all(np.array_equal(*w) for w in zip(a.get_weights(), b.get_weights(), strict=True))


def by_sample(loader: AugmentedArrays, seed: int, epoch: int) -> dict[int, str]:
    """The hash of each sample's image, by its number, which its label is."""
    return {
        int(label): hashlib.sha256(image.tobytes()).hexdigest()
        for x, y in loader.epoch_batches(seed, epoch)
        for image, label in zip(x, y, strict=True)
    }


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_any_number_of_workers_makes_the_same_batches(workers: int) -> None:
    reference = AugmentedArrays(X, Y, [*STEPS, MixUp(0.2, 4)], 16, workers=0, seed=5)
    loader = AugmentedArrays(X, Y, [*STEPS, MixUp(0.2, 4)], 16, workers=workers, seed=5)
    for _ in range(2):  # epochs
        for (x, y), (x_ref, y_ref) in zip(loader, reference, strict=True):
            np.testing.assert_array_equal(x, x_ref)
            np.testing.assert_array_equal(y, y_ref)


def test_a_sample_depends_on_neither_batch_size_nor_order() -> None:
    numbers = np.arange(101)
    reference = by_sample(AugmentedArrays(X, numbers, STEPS, 16), 3, 1)
    assert len(set(reference.values())) == 101
    for options in ({"batch_size": 7}, {"shuffle": False}, {"batch_size": 101, "workers": 0}):
        assert by_sample(AugmentedArrays(X, numbers, STEPS, **options), 3, 1) == reference  # type: ignore[arg-type]
    assert not set(by_sample(AugmentedArrays(X, numbers, STEPS), 3, 2).values()) & set(
        reference.values()
    )


def test_batches() -> None:
    loader = AugmentedArrays(X, Y, batch_size=25, shuffle=False, sample_weight=np.arange(101))
    batches = list(loader)
    assert [len(batch[0]) for batch in batches] == [25, 25, 25, 25, 1] and len(loader) == 5
    assert loader.samples == 101 and batches[0][0].dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([b[0] for b in batches]), X)
    np.testing.assert_array_equal(np.concatenate([b[1] for b in batches]), Y)
    np.testing.assert_array_equal(np.concatenate([b[2] for b in batches]), np.arange(101))
    short = AugmentedArrays(X, Y, batch_size=25, drop_remainder=True)
    assert len(list(short)) == len(short) == 4
    assert [len(batch) for batch in AugmentedArrays(X[..., 0])] == [1] * 4


def test_fit_takes_a_loader_as_it_takes_its_arrays() -> None:
    a, b = model(), model()
    a.fit(X.astype(np.float32), Y, batch_size=16, epochs=3, verbose=0)
    b.fit(AugmentedArrays(X, Y, batch_size=16), epochs=3, verbose=0)
    assert same_weights(a, b)
    loader = AugmentedArrays(X, Y, shuffle=False)
    assert a.evaluate(loader, verbose=0) == pytest.approx(a.evaluate(X, Y, verbose=0), rel=1e-5)
    np.testing.assert_array_equal(a.predict(AugmentedArrays(X, shuffle=False)), a.predict(X))


def test_epochs_go_on_where_the_last_fit_ended() -> None:
    a, b, c = model(), model(), model()
    a.fit(AugmentedArrays(X, Y, STEPS), epochs=4, verbose=0, validation_data=(X, Y))
    for _ in range(2):
        b.fit(AugmentedArrays(X, Y, STEPS, workers=2), epochs=2, verbose=0)
    c.fit(AugmentedArrays(X, Y, STEPS, seed=9), epochs=4, verbose=0)
    assert same_weights(a, b) and not same_weights(a, c)


class Failing(Transform):
    """Fails for images that are white."""

    def images(self, x: Any, draw: Draw) -> Any:
        if (x == 255).all(axis=(1, 2, 3)).any():
            raise ValueError("a white image")
        return x


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_error_names_its_sample(workers: int) -> None:
    x = X.copy()
    x[77] = 255
    batches = iter(AugmentedArrays(x, Y, Failing(), 16, shuffle=False, workers=workers))
    for _ in range(4):
        next(batches)
    with pytest.raises(ValueError, match="^sample 77: a white image$"):
        next(batches)
    assert loader_threads() == []
    with pytest.raises(ValueError, match="sample 77"):
        model().fit(AugmentedArrays(x, Y, Failing(), workers=workers), verbose=0)


class Uneven(Transform):
    """Fails for more than one sample together, but for none alone."""

    def images(self, x: Any, draw: Draw) -> Any:
        if len(x) > 1:
            raise ValueError("too many")
        return x


def test_an_error_of_a_batch_names_its_samples() -> None:
    with pytest.raises(ValueError, match="^samples 0 to 3: too many$"):
        next(iter(AugmentedArrays(X, Y, Uneven(), 4, shuffle=False)))


def test_a_consumer_may_stop_early() -> None:
    batches = AugmentedArrays(X, Y, STEPS, 4, workers=3).epoch_batches(0, 0)
    next(batches)
    assert loader_threads() != []
    batches.close()
    assert loader_threads() == []
    for _ in AugmentedArrays(X, Y, STEPS, 4, workers=2):
        break
    gc.collect()
    assert loader_threads() == []
    model().fit(AugmentedArrays(X, Y, STEPS, 4, workers=2), steps_per_epoch=3, verbose=0)


def test_an_interrupt_while_training_leaves_no_thread() -> None:
    from striate.callbacks import LambdaCallback

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model().fit(
            AugmentedArrays(X, Y, STEPS, 4, workers=2),
            verbose=0,
            callbacks=[LambdaCallback(on_train_batch_end=interrupt)],
        )


def test_few_batches_are_prepared_ahead() -> None:
    prepared = []

    class Counting(Transform):
        def images(self, x: Any, draw: Draw) -> Any:
            prepared.append(len(x))
            return x

    batches = AugmentedArrays(X, Y, Counting(), 1, workers=2).epoch_batches(0, 0)
    next(batches)
    time.sleep(0.1)
    assert len(prepared) <= 1 + 2 + 2
    batches.close()


def _epoch(queue: Any) -> None:
    queue.put(sum(len(x) for x, _ in AugmentedArrays(X, Y, STEPS, 16, workers=2)))


def _inherited(queue: Any, batches: Any) -> None:
    try:
        next(batches)
    except StriateError as error:
        queue.put(str(error))


def test_forks() -> None:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    batches = AugmentedArrays(X, Y, STEPS, 4, workers=2).epoch_batches(0, 0)
    next(batches)
    for target, arguments in ((_epoch, (queue,)), (_inherited, (queue, batches))):
        process = context.Process(target=target, args=arguments)
        process.start()
        answer = queue.get(timeout=30)
        process.join(30)
        assert process.exitcode == 0
        assert answer == 101 if target is _epoch else "after the fork" in answer
    assert len(list(batches)) == 25
    queue.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is an integer of at least 1"),
        ({"batch_size": None}, "batch_size"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"workers": -1}, "workers is an integer of at least 0"),
        ({"seed": -1}, "seed is an integer"),
        ({"seed": True}, "seed is an integer"),
        ({"batch_size": 102, "drop_remainder": True}, "101 samples make no batch"),
        ({"pipeline": [print]}, "a step is a striate.augment.Transform"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        AugmentedArrays(X, Y, **options)


def test_arrays_that_do_not_fit() -> None:
    with pytest.raises(ArgumentError, match="0 samples"):
        AugmentedArrays(X[:0], Y[:0])
    with pytest.raises(ShapeError, match="x has 101 samples, y the shape"):
        AugmentedArrays(X, Y[:5])
    with pytest.raises(ShapeError, match="sample_weight"):
        AugmentedArrays(X, Y, sample_weight=[1.0])
    with pytest.raises(ShapeError, match="images are"):
        AugmentedArrays(np.zeros((4, 4)), Y[:4])
