"""Initializers: the distributions that Keras defines, by fans of its definition."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from striate import _core, initializers
from striate.errors import ArgumentError
from striate.initializers import Dirac, Orthogonal, VarianceScaling


def conv(initializer, kernel=(3, 3), channels=8, filters=12, groups=1, seed=1) -> np.ndarray:
    """A kernel (KH, KW, channels / groups, filters), as drawn."""
    graph = _core.Graph()
    value = graph.conv2d(
        graph.input((8, 8, channels)), name="c", filters=filters, kernel=kernel, groups=groups,
        kernel_initializer=initializers.get(initializer).as_core(),
    )  # fmt: skip
    return _core.Network(graph, value, seed).get_parameter(0)


def dense(initializer, rows, columns, seed=1) -> np.ndarray:
    graph = _core.Graph()
    value = graph.dense(
        graph.input((rows,)), name="d", units=columns,
        kernel_initializer=initializers.get(initializer).as_core(),
    )  # fmt: skip
    return _core.Network(graph, value, seed).get_parameter(0)


# name, variance times fan, which fan
FAMILIES = [
    ("glorot", 1.0, "avg"),
    ("he", 2.0, "in"),
    ("lecun", 1.0, "in"),
]


@pytest.mark.parametrize(("name", "scale", "fan"), FAMILIES)
@pytest.mark.parametrize("groups", [1, 4])
def test_variances_of_convolutions(name, scale, fan, groups) -> None:
    """Keras's fans of a kernel's shape: KH KW (C / groups) in, KH KW filters out."""
    fan_in, fan_out = 25 * 48 // groups, 25 * 80
    size = fan_in if fan == "in" else (fan_in + fan_out) / 2
    uniform = conv(f"{name}_uniform", (5, 5), 48, 80, groups)
    limit = math.sqrt(3 * scale / size)
    assert 0.999 * limit < np.abs(uniform).max() <= limit * (1 + 1e-6)
    assert abs(uniform.mean()) < 0.02 * limit
    normal = conv(f"{name}_normal", (5, 5), 48, 80, groups)
    deviation = math.sqrt(scale / size)
    assert normal.std() == pytest.approx(deviation, rel=0.02)
    assert np.abs(normal).max() <= 2 * deviation / 0.87962566103423978 * (1 + 1e-6)


@pytest.mark.parametrize(("name", "scale", "fan"), FAMILIES)
def test_variances_of_dense_layers(name, scale, fan) -> None:
    size = 300 if fan == "in" else (300 + 100) / 2
    uniform, normal = dense(f"{name}_uniform", 300, 100), dense(f"{name}_normal", 300, 100)
    assert np.abs(uniform).max() == pytest.approx(math.sqrt(3 * scale / size), rel=1e-3)
    assert normal.std() == pytest.approx(math.sqrt(scale / size), rel=0.02)


def test_variance_scaling() -> None:
    for mode, fan in (("fan_in", 300), ("fan_out", 100), ("fan_avg", 200)):
        for distribution in ("truncated_normal", "untruncated_normal", "uniform"):
            w = dense(VarianceScaling(2.0, mode, distribution), 300, 100)
            assert w.std() == pytest.approx(math.sqrt(2 / fan), rel=0.02), (mode, distribution)
    untruncated = VarianceScaling(2.0, "fan_out", "untruncated_normal")
    w = dense(untruncated, 300, 100)
    assert np.abs(w).max() > 3 * math.sqrt(2 / 100), "no normal number is beyond three sigma"
    assert initializers.get(initializers.serialize(untruncated)) == untruncated


@pytest.mark.parametrize(
    ("kernel", "centre", "channels", "filters", "groups"),
    [((3, 3), (1, 1), 8, 12, 1), ((5, 2), (2, 1), 8, 12, 1), ((3, 3), (1, 1), 6, 4, 1),
     ((1, 1), (0, 0), 4, 4, 1), ((3, 3), (1, 1), 8, 12, 4)],
)  # fmt: skip
def test_dirac_passes_inputs_on(kernel, centre, channels, filters, groups) -> None:
    w = conv(Dirac(), kernel, channels, filters, groups)
    inputs = w.shape[2]
    passing = np.zeros_like(w)
    for c in range(min(inputs, filters)):
        passing[(*centre, c, c)] = 1
    np.testing.assert_array_equal(w[..., :inputs], passing[..., :inputs])
    drawn = conv(VarianceScaling(1 / 3, "fan_in", "uniform"), kernel, channels, filters, groups)
    np.testing.assert_array_equal(w[..., inputs:], drawn[..., inputs:])


def test_dirac_draws_as_it_is_told() -> None:
    wide = VarianceScaling(2.0, "fan_out", "untruncated_normal")
    w, drawn = dense(Dirac(2.0, "fan_out", "untruncated_normal"), 30, 100), dense(wide, 30, 100)
    np.testing.assert_array_equal(w[:, :30], np.eye(30))
    np.testing.assert_array_equal(w[:, 30:], drawn[:, 30:])
    assert initializers.get("dirac") == Dirac() != VarianceScaling(1 / 3, "fan_in", "uniform")
    assert initializers.get(initializers.serialize(Dirac(0.5))) == Dirac(0.5)
    with pytest.raises(ArgumentError, match="scale must be positive"):
        Dirac(0.0)


def test_dirac_wants_a_kernel() -> None:
    graph = _core.Graph()
    value = graph.dense(graph.input((3,)), name="d", units=2, bias_initializer=Dirac().as_core())
    with pytest.raises(ArgumentError, match=r"d/bias: a Dirac initializer is for kernels"):
        _core.Network(graph, value)


@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 1), (4, 4), (7, 3), (3, 7), (32, 32), (100, 65), (65, 100), (300, 33)]
)
def test_orthogonal_is_the_q_of_the_normal_matrix(rows, columns) -> None:
    """Against NumPy's QR of the same numbers, with the diagonal of R positive."""
    w = dense(Orthogonal(2.0), rows, columns).astype(np.float64) / 2
    tall = w if rows >= columns else w.T
    np.testing.assert_allclose(tall.T @ tall, np.eye(min(rows, columns)), atol=2e-7)
    drawn = dense(initializers.RandomNormal(stddev=1.0), *tall.shape).astype(np.float64)
    q, r = np.linalg.qr(drawn)
    np.testing.assert_allclose(tall, q * np.sign(np.diag(r)), atol=2e-5)


def test_orthogonal_kernels_are_matrices_by_their_last_axis() -> None:
    w = conv("orthogonal", (3, 2), 4, 10).reshape(24, 10).astype(np.float64)
    np.testing.assert_allclose(w.T @ w, np.eye(10), atol=2e-7)
    assert not np.array_equal(w, conv("orthogonal", (3, 2), 4, 10, seed=2).reshape(24, 10))


BITS = """
import hashlib, numpy as np
from striate import _core
graph = _core.Graph()
value = graph.dense(graph.input((150,)), name="d", units=110, kernel_initializer=("orthogonal", {}))
for threads in (1, 2, 3, 4):
    _core.set_num_threads(threads)
    print(_core.Network(graph, value, 3).weights_hash())
"""


@pytest.mark.parametrize("isa", _core.available_isas())
def test_orthogonal_has_the_same_bits_everywhere(isa) -> None:
    """At any number of threads, and whatever the CPU: the hash is written down."""
    done = subprocess.run(
        [sys.executable, "-c", BITS], env={**os.environ, "STRIATE_ISA": isa},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) == {"a17dd1701929de49"}


def test_orthogonal_wants_two_axes() -> None:
    graph = _core.Graph()
    value = graph.dense(
        graph.input((3,)), name="d", units=2, bias_initializer=("orthogonal", {"gain": 1.0})
    )
    with pytest.raises(ArgumentError, match=r"d/bias: .* at least two axes, these are \(2,?\)"):
        _core.Network(graph, value)


def test_absent_connections_of_an_orthogonal_kernel_are_zero() -> None:
    graph = _core.Graph()
    table = np.array([[1, 0, 1], [0, 1, 1]], dtype=bool)
    value = graph.conv2d(
        graph.input((4, 4, 2)), name="c", filters=3, kernel=(2, 2), connections=table,
        kernel_initializer=("orthogonal", {}),
    )  # fmt: skip
    kernel = _core.Network(graph, value).get_parameter(0)
    assert np.all((kernel == 0) == ~table)


def test_names() -> None:
    for name in ("orthogonal", "Orthogonal"):
        assert initializers.get(name) == Orthogonal()
    assert initializers.OrthogonalInitializer(0.5) == Orthogonal(gain=0.5)
    assert initializers.get(initializers.serialize(Orthogonal(0.5))) == Orthogonal(0.5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Orthogonal(float("inf")),
        lambda: Orthogonal("big"),
        lambda: VarianceScaling(-1.0),
        lambda: VarianceScaling(mode="fan"),
        lambda: VarianceScaling(distribution="normal"),
        lambda: initializers.get("orthogonall"),
    ],
)
def test_bad_arguments(make) -> None:
    with pytest.raises(ArgumentError):
        make()
