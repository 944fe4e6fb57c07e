"""Training ends with the same bits at any number of threads, and leaves the process as it was."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from striate import _core

HERE = Path(__file__).parent
TIMEOUT = 120


def train_and_hash(threads: list[int], **environment: str) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "train_and_hash.py"), *map(str, threads)]
    env = {**os.environ, **environment}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def bits_by_case(result: dict[str, Any]) -> dict[str, set[str]]:
    bits: dict[str, set[str]] = {}
    for run in result["runs"]:
        bits.setdefault(run["case"], set()).add(run["bits"])
    return bits


@pytest.mark.parametrize("isa", _core.available_isas())
def test_same_bits_at_any_number_of_threads(isa: str) -> None:
    threads = [1, 2, 3, 4, 7, 1, 3]
    result = train_and_hash(threads, STRIATE_ISA=isa)
    assert result["isa"] == isa
    bits = bits_by_case(result)
    assert len(result["runs"]) == len(threads) * len(bits)
    assert {case: len(seen) for case, seen in bits.items()} == dict.fromkeys(bits, 1)
    assert len(set.union(*bits.values())) == len(bits) == 10, "the cases differ among themselves"


def test_same_bits_in_another_process_with_threads_from_the_environment() -> None:
    one = bits_by_case(train_and_hash([0], STRIATE_NUM_THREADS="1"))
    assert one == bits_by_case(train_and_hash([0], STRIATE_NUM_THREADS="2"))


def test_hash_follows_every_bit_of_the_weights() -> None:
    graph = _core.Graph()
    network = _core.Network(graph, graph.dense(graph.input((3,)), name="d", units=2), 1)
    before = network.weights_hash()
    kernel = network.get_parameter(0)
    changed = kernel.copy()
    changed.view(np.uint32)[2, 1] ^= 1
    network.set_parameter(0, changed)
    assert network.weights_hash() != before
    network.set_parameter(0, kernel)
    assert network.weights_hash() == before
    assert len(before) == 16 and int(before, 16) >= 0


def test_denormals_still_work_for_numpy_after_training() -> None:
    graph = _core.Graph()
    network = _core.Network(graph, graph.dense(graph.input((4,)), name="d", units=3), 1)
    network.compile("mean_squared_error", {}, "adam", {"learning_rate": 0.1})
    x, y = np.ones((64, 4), np.float32), np.zeros((64, 3), np.float32)
    for threads in (1, 2, 4):
        _core.set_num_threads(threads)
        network.train_batch(x, None, y)
        network.predict(x)
        network.gradients(x, y)
    _core.set_num_threads(0)
    with pytest.raises(_core.ShapeError):
        network.predict(x[:, :3].copy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy warns where subnormals are flushed
        assert np.finfo(np.float32).smallest_subnormal > 0
        assert np.finfo(np.float64).smallest_subnormal > 0
    tiny = np.full(100, 1e-40, np.float32)  # long enough for SIMD
    assert np.all(tiny * np.float32(0.5) > 0)
    assert np.all(tiny + tiny > tiny)
    assert np.all(np.full(100, 1e-30, np.float32) * np.float32(1e-12) > 0)


def test_subnormals_inside_are_zero_whoever_computes() -> None:
    """Flushed on the caller's thread as on the others, so that bits do not depend on who ran it."""
    graph = _core.Graph()
    value = graph.activation(graph.input((8,)), name="leaky", kind="leaky_relu", alpha=0.5)
    network = _core.Network(graph, value)
    x = np.full((64, 8), -1.5e-38, np.float32)  # half of it is subnormal
    for threads in (1, 2, 4):
        _core.set_num_threads(threads)
        np.testing.assert_array_equal(network.predict(x), 0)
    _core.set_num_threads(0)


def test_set_num_threads() -> None:
    standard = _core.num_threads()
    assert standard >= 1
    assert _core.thread_reason().startswith(f"{standard}: affinity mask ")
    try:
        for threads in (1, 7, 4096):
            _core.set_num_threads(threads)
            assert _core.num_threads() == threads
        for bad in (-1, 4097):
            with pytest.raises(_core.ArgumentError, match=f"0 .* to 4096, got {bad}"):
                _core.set_num_threads(bad)
        for bad in ("2", 1.5, None):
            with pytest.raises(TypeError):
                _core.set_num_threads(bad)  # type: ignore[arg-type]
        assert _core.num_threads() == 4096, "a refused call changes nothing"
    finally:
        _core.set_num_threads(0)
    assert _core.num_threads() == standard
