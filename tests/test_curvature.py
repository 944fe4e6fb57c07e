"""The second-order pass against a Gauss-Newton diagonal made of dumb float64 Jacobians.

LeCun et al. 1998, Appendix C: h of a layer's input is the sum over its outputs of the squared slope
times the output's h, and h of a weight the sum over the connections that share it. Cross terms and
f'' are dropped.
"""

from collections.abc import Callable

import numerics
import numpy as np
import pytest
import small_nets
from numerics import Doubles
from small_nets import FLATTEN, Net, act, conv, dense, pool
from striate import _core

CODES = np.where(np.random.default_rng(1).random((3, 6)) < 0.5, -1, 1).astype(np.float32)
TABLE = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 0, 1], [1, 0, 1, 0, 0], [0, 1, 0, 1, 1]], dtype=bool)
SUBSAMPLE = ("subsample2d", {"window": (2, 2), "strides": (2, 2)})

NETS = [
    Net("lenet5_1998", (8, 8, 1), (
        conv(4, (3, 3)), act("scaled_tanh"), SUBSAMPLE, act("scaled_tanh"),
        conv(5, (2, 2), connections=TABLE), act("scaled_tanh"), conv(7, (2, 2)),
        act("scaled_tanh"), FLATTEN, dense(6), act("scaled_tanh"),
        ("rbf", {"codes": CODES})), "map"),
    Net("logits", (6, 6, 2), (
        conv(4, (3, 3), strides=(2, 2), padding="same", groups=2), act("tanh"),
        pool("max", (2, 2), (1, 1)), FLATTEN, dense(5), act("sigmoid"), dense(4)),
        "sparse_categorical_crossentropy", {"from_logits": True}),
    Net("fused_softmax", (6, 6, 2), (
        conv(3, (3, 3), padding="same", dilation=(2, 1)), act("silu"),
        pool("avg", (3, 3), (2, 2), padding="same"), act("elu", 0.5), FLATTEN, dense(3),
        act("softmax")), "sparse_categorical_crossentropy"),
    Net("squared", (5, 5, 3), (
        conv(4, (2, 2)), act("leaky_relu", 0.3), ("global_avg_pool2d", {}), dense(3),
        act("gelu")), "mean_squared_error"),
    Net("binary", (5, 5, 2), (
        conv(4, (2, 2)), act("relu"), ("global_max_pool2d", {}), dense(3)),
        "binary_crossentropy", {"from_logits": True}),
    Net("depthwise_and_transposed", (6, 5, 3), (
        ("depthwise_conv2d", {"kernel": (3, 2), "strides": (2, 1), "padding": "same",
                              "depth_multiplier": 2}), act("tanh"),
        ("conv2d_transpose", {"filters": 4, "kernel": (3, 3), "strides": (2, 2),
                              "padding": "same"}), act("tanh"),
        ("separable_conv2d", {"filters": 3, "kernel": (2, 2), "dilation": (2, 1)}), act("silu"),
        FLATTEN, dense(3)), "sparse_categorical_crossentropy", {"from_logits": True}),
]  # fmt: skip


def output_curvature(net: Net, outputs: Doubles, y: np.ndarray) -> Doubles:
    """Where the second pass starts: d2E/dz2 of a sample's loss, with the paper's E for map."""
    if net.loss == "mean_squared_error":
        return np.full_like(outputs, 2 / outputs.shape[1])
    if net.loss == "map":  # of the first term, y_D alone; the RBF makes 2 of its 1
        return np.eye(outputs.shape[1])[y]
    if net.loss == "binary_crossentropy":
        p = numerics.activation(outputs, (), kind="sigmoid")
        return p * (1 - p) / outputs.shape[1]
    p = numerics.softmax(outputs)
    return p * (1 - p)


def squared_slopes(f: Callable[[Doubles], Doubles], at: Doubles) -> Doubles:
    """[outputs, entries] of f at one point."""
    slopes = numerics.sample_jacobians(f, at[None])[0]
    return slopes.reshape(-1, at.size) ** 2


def gauss_newton(net: Net, params: list[Doubles], x: Doubles, y: np.ndarray) -> list[Doubles]:
    """The diagonal by parameter, averaged over the samples."""
    layers = list(net.layers)
    if layers[-1] == act("softmax"):
        layers.pop()  # with the cross-entropy it is a loss on its logits
    plain = Net(net.name, net.input, tuple(layers))
    total = [np.zeros(p.size) for p in params]
    for n in range(len(x)):
        values = small_nets.layer_values(plain, params, x[n : n + 1])
        h = output_curvature(net, values[-1], y[n : n + 1]).ravel()
        end = len(params)
        for (kind, options), value in zip(reversed(layers), values[-2::-1], strict=True):
            begin = end - small_nets.parameter_count((kind, options))
            run, own = numerics.LAYERS[kind], params[begin:end]
            for i, p in enumerate(own):
                if kind == "rbf":
                    break  # not trained
                total[begin + i] += h @ squared_slopes(one_by_one(run, value, own, i, options), p)
            if kind == "rbf":  # d2y/dx2 = 2, with x far from the codes or not
                h = np.full(value.size, 2 * h.sum())
            else:
                h = h @ squared_slopes(lambda v, r=run, w=own, o=options: r(v, w, **o), value[0])
            end = begin
    return [t / len(x) for t in total]


def one_by_one(
    run: numerics.Layer, value: Doubles, own: list[Doubles], which: int, options: dict
) -> Callable[[Doubles], Doubles]:
    """The layer's outputs as a function of a batch of values of its parameter `which`."""

    def outputs(batch: Doubles) -> Doubles:
        changed = ([*own[:which], p, *own[which + 1 :]] for p in batch)
        return np.concatenate([run(value, params, **options) for params in changed])

    return outputs


@pytest.mark.parametrize("batch", [3, 19])
@pytest.mark.parametrize("net", NETS, ids=lambda net: net.name)
def test_curvature(net: Net, batch: int) -> None:
    network = small_nets.build(net, seed=batch)
    data = small_nets.make_data(net, network, batch, seed=40)
    want = gauss_newton(net, small_nets.parameters(network), data.x64, data.y)
    rows = np.arange(batch)[::-1].copy()
    network.estimate_curvature(data.x, rows, data.y)
    for i, (parameter, h) in enumerate(zip(network.parameters(), want, strict=True)):
        got = network.curvature(i)
        assert got.shape == tuple(parameter["shape"])
        # No sum cancels: every term is at least 0. A saturated unit's slope does (1 - y^2), so its
        # error is one of the unsaturated units' rounding.
        np.testing.assert_allclose(
            got.ravel(), h, rtol=2e-5, atol=1e-8 * h.max(), err_msg=parameter["name"]
        )
        assert parameter["name"].endswith("codes") or h.max() > 0


@pytest.mark.parametrize("kind", ["local_response", "layer", "group"])
def test_normalizations_are_not_passed(kind: str) -> None:
    options = {"groups": 1} if kind == "group" else {}
    layers = (conv(2, (2, 2)), (f"{kind}_normalization", options), FLATTEN, dense(2))
    net = Net(kind, (3, 3, 2), layers)
    network = small_nets.build(net)
    data = small_nets.make_data(net, network, 3, seed=43)
    with pytest.raises(_core.ArgumentError, match="the curvature pass does not go through"):
        network.estimate_curvature(data.x, None, data.y)


def test_absent_connections_have_no_curvature_and_do_not_move() -> None:
    net = NETS[0]
    network = small_nets.build(net)
    network.compile("map", {}, "sdlm", {"learning_rate": 0.01, "mu": 0.02})
    data = small_nets.make_data(net, network, 8, seed=41)
    network.estimate_curvature(data.x, None, data.y)
    names = [p["name"] for p in network.parameters()]
    table = names.index("layer4/kernel")
    absent = ~np.broadcast_to(TABLE, (2, 2, *TABLE.shape))
    assert np.all(network.curvature(table)[absent] == 0)
    network.train_batch(data.x, None, data.y)
    assert np.all(network.get_parameter(table)[absent] == 0)
    assert np.all(network.get_parameter(table)[~absent] != 0)


@pytest.mark.parametrize("batch", [3, 19])
def test_sdlm_divides_each_gradient_by_its_curvature(batch: int) -> None:
    net = NETS[0]
    network = small_nets.build(net)
    network.compile("map", {}, "sdlm", {"learning_rate": 0.01, "mu": 0.02})
    data = small_nets.make_data(net, network, batch, seed=42)
    with pytest.raises(_core.ArgumentError, match="estimate_curvature"):
        network.train_batch(data.x, None, data.y)
    network.estimate_curvature(data.x, None, data.y)
    count = len(network.parameters())
    before = [network.get_parameter(i).astype(np.float64) for i in range(count)]
    gradients = network.gradients(data.x, data.y)[1]
    network.train_batch(data.x, None, data.y)
    for i, parameter in enumerate(network.parameters()):
        trained = parameter["trainable"]
        step = 0.01 * gradients[i] / (0.02 + network.curvature(i)) if trained else 0.0
        np.testing.assert_allclose(network.get_parameter(i), before[i] - step, rtol=1e-6, atol=1e-7)
