"""Normalisations and the convolutions beside conv2d: forward and gradients against float64.

Batch 3 runs channels in lanes, 8 and 19 samples in lanes where the operation can; 19 has a ragged
second block.
"""

from typing import Any

import numpy as np
import pytest
import small_nets
from small_nets import FLATTEN, Layer, Net, act, dense
from striate import _core

ROUNDING = 2.0**-24


def image_net(name: str, *layers: Layer, shape: tuple[int, int, int] = (5, 4, 6)) -> Net:
    return Net(name, shape, (*layers, FLATTEN))


def lrn(**options: Any) -> Layer:
    return "local_response_normalization", options


def layer_norm(**options: Any) -> Layer:
    return "layer_normalization", options


def group_norm(**options: Any) -> Layer:
    return "group_normalization", options


def depthwise(kernel: tuple[int, int], **options: Any) -> Layer:
    return "depthwise_conv2d", {"kernel": kernel, **options}


def separable(filters: int, kernel: tuple[int, int], **options: Any) -> Layer:
    return "separable_conv2d", {"filters": filters, "kernel": kernel, **options}


def transpose(filters: int, kernel: tuple[int, int], **options: Any) -> Layer:
    return "conv2d_transpose", {"filters": filters, "kernel": kernel, **options}


RESPONSES = [
    image_net("lrn_paper", lrn()),
    image_net("lrn_strong", lrn(alpha=0.5, k=1.0)),
    image_net("lrn_mean", lrn(alpha=2.0, k=1.0, alpha_over_size=True)),
    image_net("lrn_even", lrn(size=4, alpha=0.7, k=0.5)),
    image_net("lrn_own_channel", lrn(size=1, alpha=0.7, k=0.5)),
    image_net("lrn_wider_than_channels", lrn(size=25, alpha=0.3, k=1.0)),
    image_net("lrn_beta_half", lrn(size=3, alpha=0.5, beta=0.5, k=1.0)),
    image_net("lrn_beta_1", lrn(size=3, alpha=0.5, beta=1.0, k=1.0)),
    image_net("lrn_beta_0.6", lrn(alpha=0.5, beta=0.6, k=0.1)),
    image_net("lrn_beta_negative", lrn(alpha=0.5, beta=-0.4, k=1.0)),
    image_net("lrn_1_channel", lrn(alpha=0.5, k=1.0), shape=(5, 4, 1)),
    image_net("lrn_37_channels", lrn(alpha=0.5, k=1.0), shape=(2, 2, 37)),
]
NORMALIZATIONS = [
    image_net("layer_norm", layer_norm()),
    image_net("layer_norm_2_axes", layer_norm(axes=2)),
    image_net("layer_norm_image", layer_norm(axes=3, epsilon=0.1)),
    image_net("layer_norm_no_center", layer_norm(center=False)),
    image_net("layer_norm_no_scale", layer_norm(axes=2, scale=False)),
    image_net("layer_norm_plain", layer_norm(axes=3, center=False, scale=False)),
    image_net("layer_norm_37", layer_norm(), shape=(2, 2, 37)),
    Net("layer_norm_vector", (21,), (layer_norm(), dense(4))),
    image_net("group_norm", group_norm(groups=2)),
    image_net("group_norm_1", group_norm(groups=1)),
    image_net("instance_norm", group_norm(groups=-1)),
    image_net("group_norm_no_center", group_norm(groups=3, center=False)),
    image_net("group_norm_no_scale", group_norm(groups=3, scale=False)),
    image_net("group_norm_plain", group_norm(groups=2, center=False, scale=False, epsilon=0.1)),
    image_net("group_norm_72", group_norm(groups=4), shape=(2, 2, 72)),
    Net("group_norm_vector", (20,), (group_norm(groups=4), dense(4))),
]
CONVOLUTIONS = [
    image_net("depthwise", depthwise((3, 3))),
    image_net("depthwise_same_stride", depthwise((3, 3), strides=(2, 2), padding="same")),
    image_net("depthwise_pads", depthwise((3, 2), strides=(1, 2), padding=((2, 0), (1, 3)))),
    image_net("depthwise_dilated", depthwise((2, 2), dilation=(3, 2), use_bias=False)),
    image_net("depthwise_multiplier", depthwise((3, 2), depth_multiplier=3, padding="same")),
    image_net("depthwise_wide", depthwise((3, 3), padding="same"), shape=(3, 3, 37)),
    image_net("separable", separable(5, (3, 3))),
    image_net("separable_same_stride", separable(4, (2, 3), strides=(2, 1), padding="same")),
    image_net("separable_multiplier", separable(4, (3, 3), depth_multiplier=2, use_bias=False)),
    image_net("transpose", transpose(4, (3, 3)), shape=(3, 4, 5)),
    image_net("transpose_stride", transpose(3, (2, 3), strides=(2, 3)), shape=(3, 4, 5)),
    image_net("transpose_same", transpose(4, (3, 3), strides=(2, 2), padding="same"),
              shape=(3, 4, 5)),
    image_net("transpose_stride_over_kernel", transpose(3, (1, 2), strides=(3, 3)),
              shape=(2, 3, 4)),
    image_net("transpose_pads", transpose(3, (4, 4), strides=(2, 2), padding=((1, 1), (2, 0)),
                                          output_padding=(1, 0)), shape=(3, 4, 5)),
    image_net("transpose_dilated", transpose(3, (2, 3), dilation=(2, 1), use_bias=False),
              shape=(3, 4, 5)),
]  # fmt: skip
CASES = [*RESPONSES, *NORMALIZATIONS, *CONVOLUTIONS]


@pytest.mark.parametrize("batch", [3, 8, 19])
@pytest.mark.parametrize("net", CASES, ids=lambda net: net.name)
def test_gradients(net: Net, batch: int) -> None:
    small_nets.check_gradients(net, batch, seed=batch)


BETWEEN = image_net(
    "between",
    transpose(6, (2, 2), strides=(2, 2)),
    act("tanh"),
    lrn(alpha=0.5, k=1.0),
    separable(4, (3, 3), padding="same"),
    group_norm(groups=2),
    act("tanh"),
    depthwise((3, 3), strides=(2, 2)),
    layer_norm(axes=3),
    shape=(3, 3, 2),
)


@pytest.mark.parametrize("batch", [2, 17])
def test_gradients_between_layers(batch: int) -> None:
    """Inside a network, where dx takes dy's memory and x may be a value that is kept."""
    small_nets.check_gradients(BETWEEN, batch, seed=batch)


def test_same_bits_at_any_number_of_threads() -> None:
    def trained(threads: int) -> str:
        _core.set_num_threads(threads)
        network = small_nets.build(BETWEEN)
        data = small_nets.make_data(BETWEEN, network, 70, seed=5)
        for _ in range(3):
            network.train_batch(data.x, None, data.y)
        return network.weights_hash()

    try:
        hashes = [trained(threads) for threads in (1, 2, 3, 5, 1)]
    finally:
        _core.set_num_threads(0)
    assert len(set(hashes)) == 1


@pytest.mark.parametrize("net", RESPONSES, ids=lambda net: net.name)
def test_response_within_the_rounding_of_its_sum(net: Net) -> None:
    """The scale's sum of `size` terms that are all positive, then a power: a few units."""
    network = small_nets.build(net, loss=False)
    x = np.random.default_rng(6).normal(size=(5, *net.input)).astype(np.float32)
    got = network.predict(x)
    want = small_nets.outputs(net, [], x.astype(np.float64))
    options = net.layers[0][1]
    terms = min(options.get("size", 5), 2 * net.input[2] - 1)
    units = abs(options.get("beta", 0.75)) * (terms + 3) + 4
    assert np.all(np.abs(got - want) <= units * ROUNDING * np.abs(want))


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("net", NORMALIZATIONS, ids=lambda net: net.name)
def test_normalization_within_rounding(net: Net, offset: float) -> None:
    """No digit is lost to a mean far from zero: the bound is that of numbers near zero."""
    net = Net(net.name, net.input, net.layers[:1])
    network = small_nets.build(net, loss=False)
    steps = np.random.default_rng(7).integers(-4000, 4000, size=(5, *net.input))
    x = (offset + steps / 1024.0).astype(np.float32)
    assert np.array_equal(x.astype(np.float64) - offset, steps / 1024.0)
    params = small_nets.parameters(network)
    want = small_nets.outputs(net, params, x.astype(np.float64))
    # z is a few units of itself and of the row's largest wrong; gamma scales it, beta adds its own.
    sizes = [np.abs(p) for p in params]
    plain = Net(net.name, net.input, ((net.layers[0][0], net.layers[0][1] | {
        "scale": False, "center": False}),))  # fmt: skip
    z = np.abs(small_nets.outputs(plain, [], x.astype(np.float64))).max()
    magnitude = (z * (sizes[0] if net.layers[0][1].get("scale", True) else 1.0)) + (
        sizes[-1] if net.layers[0][1].get("center", True) else 0.0
    )
    assert np.all(np.abs(network.predict(x) - want) <= 8 * ROUNDING * magnitude)


def test_in_place_and_out_of_place_agree() -> None:
    """Inference writes over x where nothing else reads it; training does not."""
    for layer in (lrn(alpha=0.5), layer_norm(), group_norm(groups=2)):
        net = image_net("in_place", act("tanh"), layer, act("relu"))
        network = small_nets.build(net)
        x = np.random.default_rng(8).normal(size=(5, *net.input)).astype(np.float32)
        y = np.zeros((5, 120), np.float32)
        outputs = np.empty((5, 120), np.float32)
        network.learning_rate = 0.0
        predicted = network.predict(x)
        network.train_batch(x, None, y, None, outputs)
        np.testing.assert_array_equal(predicted, outputs)
