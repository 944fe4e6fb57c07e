"""Random graphs against float64: outputs, losses, every gradient, training and its statistics.

Batches of 3 run channels in lanes, 19 and 35 samples in lanes with a ragged last block, but for
wide graphs, which always run channels in lanes and cut their work by weights.
"""

import pytest
import random_graphs as graphs
from graph_checks import check_everything, check_gradients, check_outputs, check_training

PLAIN = [(seed, batch) for seed in range(60) for batch in (3, 19)]
WIDE = [(0, 3), (1, 5), (2, 19), (3, 35), (4, 1), (5, 33)]


@pytest.mark.parametrize(("seed", "count"), PLAIN)
def test_graphs(seed: int, count: int) -> None:
    plan = graphs.random_plan(seed)
    network = graphs.build(plan, seed)
    batch = graphs.make_batch(plan, network, count, seed)
    check_everything(plan, network, batch)


@pytest.mark.parametrize(("seed", "count"), WIDE)
def test_wide_graphs(seed: int, count: int) -> None:
    plan = graphs.random_plan(1000 + seed, wide=True)
    network = graphs.build(plan, seed)
    batch = graphs.make_batch(plan, network, count, seed)
    assert sum(p["count"] for p in network.parameters()) > 2**21
    check_everything(plan, network, batch)


@pytest.mark.parametrize("count", [3, 19])
@pytest.mark.parametrize("seed", range(10))
def test_graphs_with_dropout(seed: int, count: int) -> None:
    plan = graphs.random_plan(2000 + seed, dropout=True)
    network = graphs.build(plan, seed=0)
    batch = graphs.make_batch(plan, network, count, seed)
    check_outputs(plan, network, batch)
    check_gradients(plan, network, batch, training=True)
    check_training(plan, network, batch)
    check_gradients(plan, network, batch, training=True, first_sample=2 * count)


def test_the_graphs_have_what_they_should() -> None:
    plans = [graphs.random_plan(seed) for seed, _ in PLAIN]
    nodes = [node for plan in plans for node in plan.nodes]
    assert {n.kind for n in nodes} >= {
        *graphs.MERGES, "concatenate", "conv2d", "batch_normalization", "max_pool2d", "avg_pool2d",
        "global_avg_pool2d", "dense", "flatten",
    }  # fmt: skip
    assert any(len(set(n.inputs)) < len(n.inputs) for n in nodes), "a value twice in one node"
    assert any(len({n.name for n in p.nodes}) < len(p.nodes) for p in plans), "a shared layer"
    assert any(len(set(p.outputs)) < len(p.outputs) for p in plans), "two losses on one value"
    assert any(None in p.losses for p in plans), "an output without a loss"
    assert any("probabilities" in p.losses for p in plans)
    assert any(v in n.inputs for p in plans for v in p.outputs for n in p.nodes), "an inner output"
    assert any(len(p.inputs) > 1 for p in plans)
    assert any(not n.trainable for n in nodes if n.kind == "batch_normalization")
