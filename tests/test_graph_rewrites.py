"""What the plan rewrites, and where it must not: softmax into its loss, activations behind a max
pool, normalisations into weights, dropout out of inference; in place or not.

Each graph is drawn by hand; values are numbered from the input's, 0, on.
"""

from typing import Any

import pytest
import random_graphs as graphs
from graph_checks import check_everything
from random_graphs import Node, Plan

NORM = {"momentum": 0.75, "epsilon": 0.01, "scale": True, "center": True, "inference": False}


def conv(x: int, name: str = "conv", filters: int = 3) -> Node:
    options = {
        "filters": filters, "kernel": (3, 3), "strides": (1, 1), "padding": "same", "groups": 1,
        "use_bias": True,
    }  # fmt: skip
    return Node("conv2d", name, (x,), options)


def act(x: int, kind: str, name: str = "act") -> Node:
    return Node("activation", name, (x,), {"kind": kind})


def pool(x: int, name: str = "pool", overlapping: bool = False) -> Node:
    window, strides = ((3, 3), (1, 1)) if overlapping else ((2, 2), (2, 2))
    options = {"window": window, "strides": strides, "padding": "same"}
    return Node("max_pool2d", name, (x,), options)


def norm(x: int, name: str = "norm", **options: Any) -> Node:
    return Node("batch_normalization", name, (x,), NORM | options)


def dense(x: int, name: str = "dense") -> Node:
    return Node("dense", name, (x,), {"units": 4})


def flat(x: int, name: str = "flat") -> Node:
    return Node("flatten", name, (x,))


def add(*x: int, name: str = "add") -> Node:
    return Node("add", name, x)


IMAGE, VECTOR = (4, 5, 2), (6,)
CASES: dict[str, tuple[tuple[int, ...], list[Node], dict[int, str | None]]] = {
    "pool_behind_relu": (
        IMAGE, [conv(0), act(1, "relu"), pool(2), flat(3), dense(4)], {5: "squares"}
    ),
    "relu_is_read_by_another": (
        IMAGE, [conv(0), act(1, "relu"), pool(2, overlapping=True), conv(2, "c2"), add(3, 4)],
        {5: "squares"},
    ),
    "two_pools_of_one_relu": (
        IMAGE,
        [conv(0), act(1, "relu"), pool(2, "p1"), pool(2, "p2"), add(3, 4)], {5: "squares"},
    ),
    "relu_is_an_output": (
        IMAGE, [conv(0), act(1, "relu"), pool(2)], {3: "squares", 2: "crossentropy"}
    ),
    "activations_and_pools_in_a_row": (
        IMAGE,
        [conv(0), act(1, "tanh", "a"), act(2, "sigmoid", "b"), pool(3, "p", True), pool(4, "q")],
        {5: "squares"},
    ),
    "gelu_stays": (IMAGE, [conv(0), act(1, "gelu"), pool(2), flat(3)], {4: "squares"}),
    "pooled_normalisation": (
        IMAGE, [conv(0), norm(1), act(2, "relu"), pool(3), flat(4), dense(5)], {6: "squares"}
    ),
    "convolution_is_an_output": (
        IMAGE, [conv(0), norm(1), act(2, "relu")], {3: "squares", 1: "squares"}
    ),
    "convolution_is_read_twice": (IMAGE, [conv(0), norm(1), add(1, 2)], {3: "squares"}),
    "normalised_twice": (
        IMAGE, [conv(0), norm(1, "n1"), norm(2, "n2"), norm(3, "n3")], {4: "squares"}
    ),
    "normalised_input": (IMAGE, [norm(0), conv(1), norm(2, "n2")], {3: "squares"}),
    "shared_convolution_of_two_normalisations": (
        (4, 5, 3),
        [conv(0), norm(1, "n1"), conv(2), norm(3, "n2"), act(4, "relu")], {5: "squares"},
    ),
    "shared_normalisation_of_two_convolutions": (
        IMAGE, [conv(0, "c1"), norm(1), conv(0, "c2"), norm(3), add(2, 4)], {5: "squares"}
    ),
    "softmax_in_its_loss": (VECTOR, [dense(0), act(1, "softmax")], {2: "probabilities"}),
    "softmax_is_read_by_another": (
        VECTOR, [dense(0), act(1, "softmax"), dense(2, "d2")], {2: "probabilities", 3: "squares"}
    ),
    "softmax_and_its_logits": (
        VECTOR, [dense(0), act(1, "softmax")], {2: "probabilities", 1: "squares"}
    ),
    "softmax_of_a_relu": (
        VECTOR, [dense(0), act(1, "relu"), act(2, "softmax", "s")], {3: "probabilities"}
    ),
    "softmax_of_two_layers": (
        VECTOR, [dense(0, "d1"), dense(0, "d2"), act(1, "softmax", "s1"), act(2, "softmax", "s2")],
        {3: "probabilities", 4: "probabilities"},
    ),
    "residual": (
        IMAGE,
        [conv(0), act(1, "relu"), conv(2, "c2"), add(2, 3), act(4, "relu", "r2"), conv(5, "c3"),
         add(6, 5, name="add2"), act(7, "tanh", "r3")],
        {8: "squares"},
    ),
    "itself_thrice": (IMAGE, [act(0, "tanh"), add(1, 1, 1), act(2, "tanh", "t")], {3: "squares"}),
    "one_sum_of_many": (
        IMAGE,
        [act(0, "tanh", "a"), act(1, "tanh", "b"), act(1, "sigmoid", "c"), add(1, 2, 3),
         add(4, 2, name="add2"), act(5, "linear", "d"), add(6, 4, 4, name="add3")],
        {7: "squares"},
    ),
    "an_inner_value_without_a_loss": (
        VECTOR, [dense(0), act(1, "tanh"), dense(2, "d2")], {3: "squares", 2: None}
    ),
}  # fmt: skip


@pytest.mark.parametrize("count", [1, 3, 19])
@pytest.mark.parametrize("name", CASES)
def test_rewrites(name: str, count: int) -> None:
    shape, nodes, losses = CASES[name]
    plan = Plan((shape,), tuple(nodes), tuple(losses), tuple(losses.values()))
    network = graphs.build(plan, seed=4)
    check_everything(plan, network, graphs.make_batch(plan, network, count, seed=count))
