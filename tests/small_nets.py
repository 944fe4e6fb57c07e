"""Small networks twice from one description: a `_core.Network`, and numerics.py's in float64."""

from dataclasses import dataclass, field
from typing import Any

import numerics
import numerics_norms  # noqa: F401  adds to numerics.LAYERS
import numerics_spatial
import numpy as np
from numerics import Doubles
from numpy.typing import NDArray
from striate import _core

Layer = tuple[str, dict[str, Any]]

WITH_KERNEL = ("conv2d", "dense", "depthwise_conv2d", "conv2d_transpose")
LAYERS = numerics.LAYERS | numerics_spatial.LAYERS


@dataclass(frozen=True)
class Net:
    name: str
    input: tuple[int, ...]
    layers: tuple[Layer, ...]
    loss: str = "mean_squared_error"
    loss_options: dict[str, Any] = field(default_factory=dict)


def act(kind: str, alpha: float = 0.0) -> Layer:
    return "activation", {"kind": kind, "alpha": alpha}


def conv(filters: int, kernel: tuple[int, int], **options: Any) -> Layer:
    return "conv2d", {"filters": filters, "kernel": kernel, **options}


def pool(kind: str, window: tuple[int, int], strides: tuple[int, int], **options: Any) -> Layer:
    return f"{kind}_pool2d", {"window": window, "strides": strides, **options}


def dense(units: int, **options: Any) -> Layer:
    return "dense", {"units": units, **options}


FLATTEN: Layer = ("flatten", {})


def build(net: Net, seed: int = 0, loss: bool = True) -> _core.Network:
    """The network, its parameters drawn from a normal distribution of variance 1 / fan-in."""
    graph = _core.Graph()
    value = graph.input(net.input)
    for i, (kind, options) in enumerate(net.layers):
        value = getattr(graph, kind)(value, name=f"layer{i}", **options)
    network = _core.Network(graph, value, seed)
    rng = np.random.default_rng(seed)
    for i, parameter in enumerate(network.parameters()):
        if parameter["name"].endswith("/codes"):
            continue
        shape = parameter["shape"]
        fan_in = max(int(np.prod(shape[:-1])), 1)
        values = rng.normal(size=shape) / np.sqrt(fan_in)
        network.set_parameter(i, values.astype(np.float32))
    if loss:
        network.compile(net.loss, net.loss_options, "sgd", {"learning_rate": 0.1})
    return network


def parameters(network: _core.Network) -> list[Doubles]:
    count = len(network.parameters())
    return [network.get_parameter(i).astype(np.float64) for i in range(count)]


def parameter_count(layer: Layer) -> int:
    kind, options = layer
    if kind in WITH_KERNEL:
        return 2 if options.get("use_bias", True) else 1
    if kind == "separable_conv2d":
        return 3 if options.get("use_bias", True) else 2
    if kind in ("layer_normalization", "group_normalization"):
        return options.get("scale", True) + options.get("center", True)
    return {"subsample2d": 2, "rbf": 1}.get(kind, 0)


def layer_values(net: Net, params: list[Doubles], x: Doubles) -> list[Doubles]:
    """The input and every layer's output."""
    values, used = [x], 0
    for layer in net.layers:
        kind, options = layer
        count = parameter_count(layer)
        values.append(LAYERS[kind](values[-1], params[used : used + count], **options))
        used += count
    assert used == len(params)
    return values


def outputs(net: Net, params: list[Doubles], x: Doubles) -> Doubles:
    return layer_values(net, params, x)[-1]


def losses(net: Net, params: list[Doubles], x: Doubles, y: NDArray[Any]) -> Doubles:
    """By sample."""
    return numerics.LOSSES[net.loss](outputs(net, params, x), y, **net.loss_options)


def kink_distance(net: Net, params: list[Doubles], x: Doubles) -> float:
    """The least distance of any value from where the network bends: a relu's zero, a tied max."""
    values = layer_values(net, params, x)
    distance = np.inf
    for (kind, options), value in zip(net.layers, values, strict=False):
        if kind == "activation" and options["kind"] in ("relu", "leaky_relu", "elu"):
            distance = min(distance, float(np.abs(value).min()))
        elif kind == "max_pool2d":
            window, strides = options["window"], options["strides"]
            padding, ceil = options.get("padding", "valid"), options.get("ceil_mode", False)
            grid = numerics.windows(value, window, strides, padding, ceil)
            distance = min([distance, *(lead(part) for row in grid for part in row)])
        elif kind == "global_max_pool2d":
            distance = min(distance, lead(value))
    return distance


def lead(part: Doubles) -> float:
    """The least distance between a window's largest and second value, [N, h, w, C].

    Not of windows that a relu left without a positive value: their slope is 0 whoever wins.
    """
    ordered = np.sort(part.reshape(len(part), -1, part.shape[3]), axis=1)
    if ordered.shape[1] == 1:
        return np.inf
    gaps = ordered[:, -1] - ordered[:, -2]
    live = gaps[ordered[:, -1] != 0]
    return float(live.min()) if live.size else np.inf


@dataclass(frozen=True)
class Data:
    x: NDArray[np.float32]
    y: NDArray[Any]

    @property
    def x64(self) -> Doubles:
        return self.x.astype(np.float64)


def make_data(net: Net, network: _core.Network, batch: int, seed: int) -> Data:
    """A seeded batch on which the network is nowhere near a kink."""
    params = parameters(network)
    for attempt in range(1000):
        rng = np.random.default_rng((seed, attempt))
        x = rng.normal(size=(batch, *net.input)).astype(np.float32)
        if kink_distance(net, params, x.astype(np.float64)) > 2e-5:
            break
    else:
        raise AssertionError(f"{net.name}: no data away from the kinks")
    features = outputs(net, params, x[:1].astype(np.float64)).size
    return Data(x, make_targets(net, rng, batch, features))


def make_targets(net: Net, rng: np.random.Generator, batch: int, features: int) -> NDArray[Any]:
    if net.loss in numerics.TAKES_LABELS:
        return rng.integers(0, features, size=batch)
    if net.loss == "categorical_crossentropy":  # rows that need not add up to 1
        return rng.uniform(0.0, 1.0, size=(batch, features)).astype(np.float32)
    if net.loss == "binary_crossentropy":
        return rng.uniform(0.05, 0.95, size=(batch, features)).astype(np.float32)
    return rng.normal(size=(batch, features)).astype(np.float32)


def check_gradients(net: Net, batch: int, seed: int, most: int = 300) -> None:
    """Loss, every parameter's gradient and the input's against central differences.

    PyTorch's gradcheck tolerances. Of parameters with more than `most` entries a seeded choice is
    taken; of the input always all.
    """
    network = build(net, seed)
    data = make_data(net, network, batch, seed)
    params = parameters(network)
    copies = 2 * data.x[0].size
    tiled = np.concatenate([data.y] * copies)
    slopes = numerics.sample_jacobians(lambda x: losses(net, params, x, tiled), data.x64)
    # The mean over the batch and the outputs would hide gradients below the absolute tolerance.
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 1.5, size=batch) * 0.3 * batch / np.abs(slopes).max()
    weights = weights.astype(np.float32)
    loss, gradients, dx = network.gradients(data.x, data.y, weights)

    def mean_loss(changed: list[Doubles]) -> float:
        return float((weights * losses(net, changed, data.x64, data.y)).mean())

    np.testing.assert_allclose(loss, mean_loss(params), rtol=1e-5)
    compare("gradient of the input", dx.reshape(batch, -1), slopes * weights[:, None] / batch)
    for i, (parameter, got) in enumerate(zip(params, gradients, strict=True)):
        entries = np.sort(rng.permutation(parameter.size)[:most])
        want = numerics.central_differences(
            lambda p, i=i: mean_loss([*params[:i], p, *params[i + 1 :]]), parameter, entries
        )
        compare(f"gradient of {network.parameters()[i]['name']}", got.ravel()[entries], want)


def compare(what: str, got: NDArray[Any], want: Doubles) -> None:
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-5, err_msg=what)
    assert np.abs(want).max() > 1e-2, f"{what}: too small to be compared with atol 1e-5"
