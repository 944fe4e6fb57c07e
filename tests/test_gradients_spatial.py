"""As test_gradients.py: the layers that move and resize images, and the pools' ceil_mode."""

import numpy as np
import pytest
import small_nets
from small_nets import FLATTEN, Net, act, conv, dense, pool
from test_gradients import image_net, larger

ROUNDING = 2.0**-24  # half a unit in the last place of float32

SIDES = ((1, 2), (0, 3))
POOLS = [
    image_net("max_ceil", pool("max", (2, 2), (2, 2), ceil_mode=True)),
    image_net("max_ceil_3x3", pool("max", (3, 3), (2, 2), ceil_mode=True), shape=(6, 8, 3)),
    image_net("max_ceil_pads", pool("max", (3, 3), (2, 2), padding=((1, 1), (1, 1)),
                                    ceil_mode=True)),
    image_net("max_ceil_drops", pool("max", (2, 2), (4, 4), padding=((1, 1), (1, 1)),
                                     ceil_mode=True)),
    image_net("avg_ceil", pool("avg", (2, 2), (2, 2), ceil_mode=True)),
    image_net("avg_ceil_count_pad", pool("avg", (3, 3), (2, 2), padding=((1, 1), (1, 1)),
                                         ceil_mode=True, count_include_pad=True)),
    image_net("avg_ceil_wide_strides", pool("avg", (2, 2), (3, 3), padding=((1, 0), (1, 1)),
                                            ceil_mode=True, count_include_pad=True)),
]  # fmt: skip
IMAGES = [
    image_net("zero_padding", ("zero_padding2d", {"padding": SIDES})),
    image_net("cropping", ("cropping2d", {"cropping": SIDES})),
    image_net("upsampling_nearest", ("upsampling2d", {"size": (2, 3)})),
    image_net(
        "upsampling_bilinear",
        ("upsampling2d", {"size": (2, 3), "interpolation": "bilinear"}),
        shape=(4, 3, 3),
    ),
    image_net(
        "upsampling_bilinear_of_a_row",
        ("upsampling2d", {"size": (3, 4), "interpolation": "bilinear"}),
        shape=(1, 4, 2),
    ),
    image_net("adaptive_pool", ("adaptive_avg_pool2d", {"output_size": (4, 3)})),
    image_net("adaptive_pool_up", ("adaptive_avg_pool2d", {"output_size": (8, 5)})),
    image_net("adaptive_pool_1x1", ("adaptive_avg_pool2d", {"output_size": (1, 1)})),
    image_net("permute", ("permute", {"axes": (2, 0, 1)})),
    image_net("permute_rows_and_columns", ("permute", {"axes": (1, 0, 2)})),
    image_net("rescaling", ("rescaling", {"scale": [0.5], "offset": [-1.0]})),
    image_net(
        "rescaling_channels", ("rescaling", {"scale": [0.5, -2.0, 1.0], "offset": [1.0, 0.0, 2.0]})
    ),
    image_net(
        "spatial_dropout_in_inference", ("spatial_dropout2d", {"rate": 0.5}), conv(2, (1, 1))
    ),
]
SHAPES = [
    Net(
        "reshape", (6, 5, 2), (("reshape", {"target_shape": (3, 10, 2)}), conv(3, (2, 2)), FLATTEN)
    ),
    Net(
        "reshape_open", (12,), (("reshape", {"target_shape": (3, 2, 2)}), conv(3, (2, 2)), FLATTEN)
    ),
    Net("permute_vectors", (4, 3), (("permute", {"axes": (1, 0)}), FLATTEN, dense(3))),
    Net("rescaling_of_a_vector", (7,), (("rescaling", {"scale": [3.0], "offset": [0.5]}),)),
]
# Each of them between layers whose gradients go through it.
STACKS = [
    Net(
        "encoder_decoder",
        (6, 6, 2),
        (
            ("zero_padding2d", {"padding": ((1, 1), (1, 1))}),
            conv(4, (3, 3)),
            act("tanh"),
            pool("avg", (2, 2), (2, 2), ceil_mode=True),
            ("upsampling2d", {"size": (2, 2), "interpolation": "bilinear"}),
            ("cropping2d", {"cropping": ((0, 1), (1, 0))}),
            conv(3, (2, 2)),
            ("adaptive_avg_pool2d", {"output_size": (3, 2)}),
            ("permute", {"axes": (2, 0, 1)}),
            ("reshape", {"target_shape": (18,)}),
            dense(3),
        ),
    )
]
SINGLE = [*POOLS, *IMAGES, *SHAPES]


@pytest.mark.parametrize("batch", [3, 8, 19])
@pytest.mark.parametrize("net", [*SINGLE, *STACKS], ids=lambda net: net.name)
def test_gradients(net: Net, batch: int) -> None:
    small_nets.check_gradients(net, batch, seed=batch)


@pytest.mark.parametrize("batch", [5, 17])
@pytest.mark.parametrize("net", [*POOLS, *IMAGES], ids=lambda net: net.name)
def test_gradients_of_another_size(net: Net, batch: int) -> None:
    small_nets.check_gradients(larger(net), batch, seed=100 + batch, most=60)


@pytest.mark.parametrize("batch", [3, 19])
@pytest.mark.parametrize("net", [*POOLS, *IMAGES[:-1]], ids=lambda net: net.name)
def test_forward_is_exact_but_for_rounding(net: Net, batch: int) -> None:
    """No sum here has more than an image's 30 terms, nor is a term above twice the input's."""
    network = small_nets.build(net)
    x = np.random.default_rng(5).normal(size=(batch, *net.input)).astype(np.float32)
    want = small_nets.outputs(net, [], x.astype(np.float64))
    most = 2 * np.abs(x).max() + 2  # the offsets
    np.testing.assert_allclose(network.predict(x), want, rtol=0, atol=32 * ROUNDING * most)
