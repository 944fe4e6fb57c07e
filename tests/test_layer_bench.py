"""`_core.LayerBench`, what benchmarks time: each layer's passes, on networks of both kinds."""

import pytest
from striate import _core, layers
from striate.errors import StriateError

FORWARD, INPUT, WEIGHTS = "forward", "input gradient", "weight gradient"


def bench(layer: layers.Layer, shape: tuple[int, ...], batch: int, wide: bool) -> _core.LayerBench:
    graph = _core.Graph()
    return _core.LayerBench(graph, layer.describe(graph, graph.input(shape)), batch, wide)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("batch", [3, 40])
@pytest.mark.parametrize(
    "layer, shape, passes",
    [
        (lambda: layers.Conv2D(20, 3, padding="same"), (9, 9, 17), [FORWARD, INPUT, WEIGHTS]),
        (lambda: layers.Conv2D(6, 5, strides=2), (28, 28, 1), [FORWARD, INPUT, WEIGHTS]),
        (lambda: layers.Dense(700), (130,), [FORWARD, INPUT, WEIGHTS]),
        (lambda: layers.MaxPooling2D(3, 2), (11, 11, 5), [FORWARD, INPUT]),
        (layers.GlobalAveragePooling2D, (7, 7, 33), [FORWARD, INPUT]),
        (layers.LocalResponseNormalization, (6, 6, 24), [FORWARD, INPUT]),
        (layers.BatchNormalization, (6, 6, 24), [FORWARD, "all gradients"]),
    ],
    ids=["points", "strided", "dense", "pool", "mean", "response", "batch"],
)
def test_every_pass_runs(
    layer: type[layers.Layer], shape: tuple[int, ...], passes: list[str], batch: int, wide: bool
) -> None:
    made = bench(layer(), shape, batch, wide)
    assert made.passes == passes
    for name in passes * 2:
        made.run(name)
    with pytest.raises(StriateError, match="sideways"):
        made.run("sideways")


def test_bad_layers() -> None:
    graph = _core.Graph()
    x = graph.input((4, 4, 2))
    with pytest.raises(StriateError, match="one input"):
        _core.LayerBench(graph, x, 2)
    with pytest.raises(StriateError, match="one input"):
        _core.LayerBench(graph, graph.add([x, x], name="sum"), 2)
    with pytest.raises(StriateError, match="empty"):
        _core.LayerBench(graph, graph.flatten(x, name="flat"), 0)
