"""Every layer's forward values and gradients against float64, in both block layouts.

Batch 3 runs channels in lanes, 8 and 19 samples in lanes, 19 with a ragged second block.
"""

from dataclasses import replace

import numpy as np
import pytest
import small_nets
from small_nets import FLATTEN, Layer, Net, act, conv, dense, pool

ROUNDING = 2.0**-24  # half a unit in the last place of float32


def image_net(name: str, *layers: Layer, shape: tuple[int, int, int] = (6, 5, 3)) -> Net:
    return Net(name, shape, (*layers, FLATTEN))


TABLE = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 0, 1], [1, 0, 1, 0, 0]], dtype=bool)
CODES = np.array([[1, -1, 1, 1], [-1, -1, 1, -1], [1, 1, -1, -1]], dtype=np.float32)

CONVOLUTIONS = [
    image_net("conv_valid", conv(4, (3, 3))),
    image_net("conv_same", conv(4, (3, 3), padding="same")),
    image_net("conv_same_even_kernel", conv(3, (2, 4), padding="same")),
    image_net("conv_stride_2_same", conv(4, (3, 3), strides=(2, 2), padding="same")),
    image_net("conv_strides_3_2", conv(4, (3, 2), strides=(3, 2))),
    image_net("conv_stride_over_kernel", conv(4, (1, 2), strides=(2, 3))),
    image_net("conv_pads", conv(4, (3, 3), padding=((2, 0), (1, 3)))),
    image_net("conv_pads_stride", conv(4, (3, 3), padding=((1, 1), (1, 1)), strides=(2, 2))),
    image_net("conv_dilated", conv(4, (2, 2), dilation=(3, 2))),
    image_net("conv_dilated_same", conv(4, (3, 3), dilation=(2, 2), padding="same")),
    image_net("conv_groups", conv(6, (3, 3), groups=2, padding="same"), shape=(5, 5, 4)),
    image_net("conv_depthwise", conv(6, (3, 3), groups=3)),
    image_net("conv_1x1", conv(7, (1, 1))),
    image_net("conv_1x1_stride", conv(5, (1, 1), strides=(2, 2))),
    image_net("conv_no_bias", conv(4, (3, 3), use_bias=False)),
    image_net("conv_1_channel", conv(6, (5, 5), padding="same"), shape=(6, 7, 1)),
    image_net("conv_table", conv(5, (3, 3), connections=TABLE)),
    image_net("conv_table_stride", conv(5, (2, 3), connections=TABLE, strides=(1, 2))),
    image_net("conv_wide", conv(33, (3, 3), padding="same"), shape=(4, 3, 17)),
]
COVERING = Net("conv_covers_input", (4, 4, 3), (conv(18, (4, 4)), FLATTEN))
POOLS = [
    image_net("max_2x2", pool("max", (2, 2), (2, 2))),
    image_net("max_overlapping", pool("max", (3, 3), (2, 2))),
    image_net("max_same", pool("max", (3, 3), (2, 2), padding="same")),
    image_net("max_pads", pool("max", (3, 2), (2, 1), padding=((1, 2), (0, 1)))),
    image_net("max_stride_over_window", pool("max", (1, 2), (2, 3))),
    image_net("avg_2x2", pool("avg", (2, 2), (2, 2))),
    image_net("avg_overlapping", pool("avg", (3, 2), (1, 1))),
    image_net("avg_same", pool("avg", (3, 3), (2, 2), padding="same")),
    image_net(
        "avg_same_count_pad", pool("avg", (3, 3), (2, 2), padding="same", count_include_pad=True)
    ),
    image_net(
        "avg_pads_count_pad",
        pool("avg", (2, 3), (2, 2), padding=((1, 0), (2, 1)), count_include_pad=True),
    ),
    image_net("global_max", ("global_max_pool2d", {})),
    image_net("global_max_keepdims", ("global_max_pool2d", {"keepdims": True})),
    image_net("global_avg", ("global_avg_pool2d", {})),
    image_net("global_avg_keepdims", ("global_avg_pool2d", {"keepdims": True})),
    image_net("subsample_2x2", ("subsample2d", {"window": (2, 2), "strides": (2, 2)})),
    image_net("subsample_overlapping", ("subsample2d", {"window": (3, 2), "strides": (1, 2)})),
    image_net("subsample_18", ("subsample2d", {"window": (2, 2), "strides": (2, 2)}),
              shape=(4, 4, 18)),
]  # fmt: skip
VECTORS = [
    Net("dense", (7,), (dense(5),)),
    Net("dense_no_bias", (7,), (dense(5, use_bias=False),)),
    Net("dense_wide", (40,), (dense(37),)),
    Net("dense_1_to_1", (1,), (dense(1),)),
    Net("rbf", (4,), (("rbf", {"codes": CODES}),)),
    Net("dropout_in_inference", (9,), (("dropout", {"rate": 0.5}), dense(4))),
]
ACTIVATIONS = [
    image_net(f"{kind}_{alpha}", act(kind, alpha))
    for kind, alpha in [
        ("linear", 0.0), ("relu", 0.0), ("leaky_relu", 0.2), ("leaky_relu", 1.5),
        ("sigmoid", 0.0), ("tanh", 0.0), ("scaled_tanh", 0.0), ("elu", 1.0), ("elu", 0.3),
        ("gelu", 0.0), ("silu", 0.0), ("softmax", 0.0),
    ]
]  # fmt: skip
CASES = [*CONVOLUTIONS, COVERING, *POOLS, *VECTORS, *ACTIVATIONS]
BIGGER = [*CONVOLUTIONS[:-1], *POOLS]  # run with another image size too


def larger(net: Net) -> Net:
    height, width, channels = net.input
    return replace(net, input=(height + 1, width + 2, channels))


@pytest.mark.parametrize("batch", [3, 8, 19])
@pytest.mark.parametrize("net", CASES, ids=lambda net: net.name)
def test_gradients(net: Net, batch: int) -> None:
    small_nets.check_gradients(net, batch, seed=batch)


@pytest.mark.parametrize("batch", [1, 5, 17])
@pytest.mark.parametrize("net", BIGGER, ids=lambda net: net.name)
def test_gradients_of_another_size(net: Net, batch: int) -> None:
    small_nets.check_gradients(larger(net), batch, seed=100 + batch, most=60)


def test_cases_are_distinct_and_enough() -> None:
    assert len({net.name for net in CASES}) == len(CASES) >= 30


LINEAR = [*CONVOLUTIONS, COVERING, *POOLS, *VECTORS[:4]]


@pytest.mark.parametrize("batch", [3, 19])
@pytest.mark.parametrize("net", LINEAR, ids=lambda net: net.name)
def test_forward_within_the_rounding_of_its_sums(net: Net, batch: int) -> None:
    """|error| <= c * 2^-24 * sum |a_i b_i| for a sum of K products.

    c = K + 2 holds for any order of the sum; 4 sqrt(K) is what rounding errors that do not conspire
    keep to.
    """
    network = small_nets.build(net, seed=4)
    x = np.random.default_rng(5).normal(size=(batch, *net.input)).astype(np.float32)
    got = network.predict(x)
    params = small_nets.parameters(network)
    want = small_nets.outputs(net, params, x.astype(np.float64))
    sizes = [np.abs(p) for p in params]
    magnitude = small_nets.outputs(net, sizes, np.abs(x).astype(np.float64))
    assert np.all(np.abs(got - want) <= error_factor(terms(net)) * ROUNDING * magnitude)
    assert np.count_nonzero(want) > 0.9 * want.size


def error_factor(products: int) -> float:
    return min(products + 2, 4 * products**0.5)


def terms(net: Net) -> int:
    """The longest sum behind one output."""
    kind, options = net.layers[0]
    height_width = options.get("kernel") or options.get("window") or net.input[:2]
    area = int(np.prod(height_width))
    if kind == "conv2d":
        return area * net.input[2] // options.get("groups", 1)
    if kind == "dense":
        return net.input[0]
    return area


def test_a_rounding_error_too_many_would_show() -> None:
    """The bound above is not vacuous: bfloat16's precision fails it by far."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 75))
    rough = (a.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)
    assert abs(rough @ b - a @ b) > error_factor(75) * ROUNDING * (np.abs(a) @ np.abs(b))
