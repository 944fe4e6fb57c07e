"""Single layers in striate: the shapes that the applications' networks have, and each pass apart.

`_core.LayerBench` binds a layer as a training step of a network binds it, with buffers of its own,
and makes one pass over a batch a call.
"""

import json
from collections.abc import Callable
from typing import Any

import striate
from striate import _core, applications, layers
from worker import mean_seconds, serve

NETWORKS: dict[str, Callable[[], Any]] = {
    "lenet5": applications.LeNet5,
    "alexnet": lambda: applications.AlexNet(variant="one-weird-trick"),
    "alexnet-2012": lambda: applications.AlexNet(variant="2012"),
    "vgg16": applications.VGG16,
    "googlenet": lambda: applications.GoogLeNet(variant="torchvision", auxiliary=False),
    "googlenet-2014": lambda: applications.GoogLeNet(variant="2014", auxiliary=False),
    "resnet50": lambda: applications.ResNet50(variant="v1.5"),
}
KINDS: dict[type[Any], str] = {
    layers.Conv2D: "convolution",
    layers.Dense: "dense",
    layers.MaxPooling2D: "pooling",
    layers.AveragePooling2D: "pooling",
    layers.GlobalAveragePooling2D: "pooling",
    layers.AdaptiveAveragePooling2D: "pooling",
    layers.BatchNormalization: "batch normalisation",
    layers.LocalResponseNormalization: "LRN",
}
# What makes a layer another one for this benchmark, beside the shapes of its input and output.
DISTINCT = (
    "kernel_size", "strides", "padding", "dilation_rate", "groups", "pool_size", "size",
)  # fmt: skip


class GraphOfOne:
    """A graph of one layer, without its activation."""

    def __init__(self, kind: str, config: dict[str, Any], shape: list[int]):
        self.layer = getattr(layers, kind).from_config(config)
        self.graph = _core.Graph()
        self.value = self.layer.describe(self.graph, self.graph.input(shape))

    @property
    def output(self) -> tuple[int, ...]:
        return tuple(self.graph.shape(self.value))

    @property
    def macs(self) -> int:
        return int(self.graph.cost(self.value)["macs"])


class StriatePeer:
    def versions(self) -> dict[str, str]:
        return {"striate": striate.__version__, "isa": _core.isa(), "compiler": _core.compiler()}

    def load(self, folder: str, threads: int) -> None:
        _core.set_num_threads(threads)

    def shapes(self, networks: list[str]) -> list[dict[str, Any]]:
        """Every distinct layer: its kind, shapes and cost, and how often each network has it."""
        found: dict[str, dict[str, Any]] = {}
        for network in networks:
            for layer in NETWORKS[network]().leaf_layers():
                if type(layer) in KINDS:
                    shape = _shape_of(layer)
                    counts = found.setdefault(shape["key"], shape)["networks"]
                    counts[network] = counts.get(network, 0) + 1
        return [shape for shape in found.values() if not shape["nothing"]]

    def prepare(self, shape: dict[str, Any], batch: int) -> list[str]:
        """The passes that can be timed."""
        one = GraphOfOne(shape["layer"], shape["config"], shape["input"])
        wide = any(network != "lenet5" for network in shape["networks"])
        self.bench = _core.LayerBench(one.graph, one.value, batch, wide)
        return list(self.bench.passes)

    def time(self, name: str, threads: int, steps: int) -> float:
        """Seconds a pass."""
        _core.set_num_threads(threads)
        return mean_seconds(lambda: self.bench.run(name), steps)

    def fma_peak(self, threads: int) -> float:
        """GFLOP/s of nothing but fused multiply-adds on `threads` threads."""
        return float(_core.measure_fma_peak(threads))


def _shape_of(layer: Any) -> dict[str, Any]:
    config: dict[str, Any] = layer.get_config()
    if "activation" in config:
        config["activation"] = "linear"
    kind, given = type(layer).__name__, list(layer.input_shape[1:])
    one = GraphOfOne(kind, config, given)
    return {
        "key": json.dumps([kind, given, one.output, *(config.get(name) for name in DISTINCT)]),
        "kind": KINDS[type(layer)],
        "layer": kind,
        "input": given,
        "output": one.output,
        "config": config,
        "macs": one.macs,
        "networks": {},
        # torchvision's AlexNet averages 6x6 to 6x6.
        "nothing": kind.startswith("Adaptive") and given == list(one.output),
    }


if __name__ == "__main__":
    serve(StriatePeer)
