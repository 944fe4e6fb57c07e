"""`precision`: "strict" sums convolutions over their taps, "float32" may use Winograd's points,
"bfloat16" rounds the factors of the other products."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from striate import Input, Sequential, _core, layers
from striate.errors import ArgumentError
from striate.losses import SparseCategoricalCrossentropy

X = np.random.default_rng(5).normal(size=(6, 13, 11, 3)).astype(np.float32)
Y = np.arange(6) % 4


def model(**options: Any) -> Sequential:
    net = Sequential(
        [
            Input((13, 11, 3)),
            layers.Conv2D(20, 3, activation="relu"),
            layers.Conv2D(24, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )
    net.seed = 3
    net.compile("sgd", "sparse_categorical_crossentropy", **options)
    return net


def trained(net: Sequential) -> list[NDArray[np.float32]]:
    net.train_on_batch(X, Y)
    return net.get_weights()


def distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def test_predictions_differ_by_rounding_alone() -> None:
    net = model()
    fast = net.predict(X, verbose=0)
    net.precision = "strict"
    exact = net.predict(X, verbose=0)
    assert 0 < distance(fast, exact) < 1e-5
    net.precision = "float32"
    assert np.array_equal(net.predict(X, verbose=0), fast)


def test_so_do_gradients() -> None:
    fast, exact = trained(model()), trained(model(precision="strict"))
    assert any((a != b).any() for a, b in zip(fast, exact, strict=True))
    for a, b in zip(fast, exact, strict=True):
        assert distance(a, b) < 1e-5


def test_strict_is_the_sum_in_doubles_to_a_few_units() -> None:
    net = Sequential([Input((9, 9, 32)), layers.Conv2D(16, 3, use_bias=False)])
    x = np.random.default_rng(6).normal(size=(2, 9, 9, 32)).astype(np.float32)
    kernel = net.get_weights()[0].astype(np.float64)
    want = np.zeros((2, 7, 7, 16))
    for i in range(3):
        for j in range(3):
            want += x[:, i : i + 7, j : j + 7].astype(np.float64) @ kernel[i, j]
    errors = {}
    for precision in ("strict", "float32"):
        net.precision = precision
        difference = net.predict(x, verbose=0) - want
        errors[precision] = float(np.sqrt((difference**2).mean() / (want**2).mean()))
    assert errors["strict"] < 3e-7
    assert errors["strict"] < errors["float32"] < 5e-6


def test_compile_leaves_it_unless_it_is_named() -> None:
    net = model(precision="strict")
    net.compile("adam", "sparse_categorical_crossentropy")
    assert net.precision == net.network.precision == "strict"
    net.compile("adam", "sparse_categorical_crossentropy", precision="float32")
    assert net.precision == net.network.precision == "float32"


def test_an_unknown_precision_is_refused_and_nothing_changes() -> None:
    net = model()
    with pytest.raises(ArgumentError, match="float32.*strict.*bfloat16.*half"):
        net.precision = "half"
    with pytest.raises(ArgumentError, match="half"):
        net.compile("adam", "sparse_categorical_crossentropy", precision="half")
    assert net.precision == "float32" and type(net.optimizer).__name__ == "SGD"


has_bfloat16 = pytest.mark.skipif(not _core.has_bfloat16(), reason="no AVX512-BF16 here")


def wide_model(**options: Any) -> Sequential:
    """Above 2**21 parameters, so that all gradients are products over the batch."""
    net = Sequential(
        [
            Input((13, 11, 3)),
            layers.Conv2D(32, 5, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(48, 1, activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(1600, activation="relu"),
            layers.Dense(4),
        ]
    )
    assert net.count_params() > 2**21
    net.seed = 3
    net.compile("sgd", SparseCategoricalCrossentropy(from_logits=True), **options)
    return net


@has_bfloat16
def test_bfloat16_predictions_differ_by_a_factors_rounding() -> None:
    net = wide_model()
    fine = net.predict(X, verbose=0)
    net.precision = "bfloat16"
    coarse = net.predict(X, verbose=0)
    assert 1e-4 < distance(coarse, fine) < 2e-2
    assert np.array_equal(net.predict(X[2:3], verbose=0), coarse[2:3])


@has_bfloat16
def test_bfloat16_gradients_do_too_and_weights_stay_float32() -> None:
    before = wide_model().get_weights()
    fine, coarse = trained(wide_model()), trained(wide_model(precision="bfloat16"))
    for start, a, b in zip(before, coarse, fine, strict=True):
        if (b == start).all():
            continue
        # Measured: 0.04 to 0.12; most of it are ReLUs that turn over, in a batch of six.
        difference = float(np.sqrt(((a - b) ** 2).sum() / ((b - start) ** 2).sum()))
        assert 1e-5 < difference < 0.25
    kernel = coarse[0].view(np.uint32)
    assert (kernel & 0xFFFF).any(), "master weights were rounded"


@has_bfloat16
def test_bfloat16_gives_the_same_bits_at_any_number_of_threads() -> None:
    results = []
    before = _core.num_threads()
    try:
        for threads in (1, 2, 3):
            _core.set_num_threads(threads)
            net = wide_model(precision="bfloat16")
            for _ in range(2):
                net.train_on_batch(X, Y)
            results.append([*net.get_weights(), net.predict(X, verbose=0)])
    finally:
        _core.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)


@has_bfloat16
def test_bfloat16_trains_what_float32_trains() -> None:
    losses = {}
    for precision in ("float32", "bfloat16"):
        net = wide_model(precision=precision)
        for _ in range(40):
            loss = net.train_on_batch(X, Y)
        losses[precision] = float(np.ravel(loss)[0])
    assert losses["bfloat16"] < 0.1
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.3)


def test_bfloat16_is_refused_where_the_kernels_lack_it() -> None:
    program = (
        "from striate import Input, Sequential, layers\n"
        "net = Sequential([Input((4,)), layers.Dense(2)])\n"
        "try:\n    net.precision = 'bfloat16'\n"
        "except ValueError as error:\n    print(error, net.precision)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "STRIATE_ISA": "baseline"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "AVX512-BF16" in done.stdout and "baseline" in done.stdout
    assert done.stdout.strip().endswith("float32")
