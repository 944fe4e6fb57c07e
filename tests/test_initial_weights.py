"""Initial weights are drawn when they are first needed, and are the same whenever that is."""

import subprocess
import sys

import numpy as np
import pytest
from striate import Input, Model, Sequential, _core, layers, set_random_seed
from striate.initializers import Orthogonal


def network(seed: int = 3) -> _core.Network:
    graph = _core.Graph()
    x = graph.conv2d(
        graph.input((9, 9, 3)), name="c", filters=40, kernel=(5, 5),
        kernel_initializer=("truncated_normal", {}), bias_initializer=("uniform", {}),
    )  # fmt: skip
    x = graph.dense(
        graph.flatten(x, name="f"), name="d", units=70, kernel_initializer=("he_normal", {})
    )
    x = graph.dense(x, name="o", units=5, kernel_initializer=("orthogonal", {"gain": 1.0}))
    return _core.Network(graph, [x], seed)


def values(net: _core.Network) -> list[np.ndarray]:
    return [net.get_parameter(i) for i in range(len(net.parameters()))]


def test_the_same_whenever_they_are_drawn() -> None:
    looked_at, ran, hashed, backwards = (network() for _ in range(4))
    expected = values(looked_at)
    ran.predict([np.zeros((1, 9, 9, 3), np.float32)])
    hashed.weights_hash()
    last_first = [backwards.get_parameter(i) for i in reversed(range(len(expected)))][::-1]
    for found in (values(ran), values(hashed), last_first, values(looked_at)):
        assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
    assert all(value.any() for value in expected[:1] + expected[2:3])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_same_for_any_number_of_threads(threads) -> None:
    expected = values(network())
    _core.set_num_threads(threads)
    try:
        net = network()
        net.weights_hash()
    finally:
        _core.set_num_threads(0)
    assert all(np.array_equal(*pair) for pair in zip(values(net), expected, strict=True))


def test_what_was_set_stays_when_the_rest_is_drawn() -> None:
    net, expected = network(), values(network())
    kernel = np.full(expected[2].shape, 0.5, np.float32)
    net.set_parameter(2, kernel)
    net.predict([np.zeros((1, 9, 9, 3), np.float32)])
    assert np.array_equal(net.get_parameter(2), kernel)
    for i in (0, 1, 3, 4, 5):
        assert np.array_equal(net.get_parameter(i), expected[i])


def test_an_initializer_that_does_not_suit_is_refused_at_once() -> None:
    dense = layers.Dense(3, bias_initializer=Orthogonal(), name="d")
    model = Sequential([Input((4,)), dense])
    with pytest.raises(ValueError, match="d/bias: an orthogonal initializer is for weights of at"):
        model.compile("sgd", "mse")


def test_a_base_lends_its_initial_weights_without_a_network_of_its_own() -> None:
    def build():
        set_random_seed(0)
        base = Sequential([Input((4,)), layers.Dense(3, name="d")])
        inputs = Input((4,))
        return base, Model(inputs, layers.Dense(2)(base(inputs)))

    base, outer = build()
    kernel = outer.get_weights()[0]
    again, _ = build()
    assert np.array_equal(again.get_weights()[0], kernel)
    outer.compile("sgd", "mse")
    outer.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    assert np.array_equal(outer.get_weights()[0], base.get_weights()[0])
    assert not np.array_equal(base.get_weights()[0], kernel)


def test_a_described_network_takes_no_memory() -> None:
    code = """
import resource
from striate import Input, Model, layers

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

x = inputs = Input((100_000,))
for units in (20_000, 100_000, 10):
    x = layers.Dense(units)(x)
before = peak()
model = Model(inputs, x)
model.compile("adam", "mse")
lines = []
model.summary(print_fn=lines.append)
memory = model.memory(32)
assert model.count_params() > 4e9 and memory["parameters"] > 16e9
assert memory["total"] > 4 * memory["parameters"]  # gradients, and Adam's two moments
assert any("Memory, training on 32 samples at a time" in line for line in lines)
assert peak() - before < 50, peak() - before
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "done\n", done.stderr
