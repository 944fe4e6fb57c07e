"""Pools, resizing and padding in striate and in PyTorch: outputs and input gradients.

Sums are short: 1e-6 relative to the largest number is a few roundings. Shapes are seeded draws from
what PyTorch takes: its pools want paddings of at most half a window.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from striate import Sequential, layers

torch = pytest.importorskip("torch", reason="compares with PyTorch: pip install torch")
F = torch.nn.functional

SEEDS = range(40)
TOLERANCE = 1e-6


def compare(
    layer: layers.Layer, oracle: Callable[[Any], Any], shape: tuple[int, ...], seed: int
) -> None:
    """`oracle` takes and gives NCHW."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(int(rng.integers(1, 20)), *shape)).astype(np.float32)
    images = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    want = oracle(images).permute(0, 2, 3, 1)
    model = Sequential([layers.Input(shape), layer, layers.Flatten()])
    got = model.predict(x, verbose=0)
    close("outputs", got.reshape(want.shape), want.detach().numpy())
    target = rng.normal(size=got.shape).astype(np.float32)
    loss = ((want.reshape(len(x), -1) - torch.tensor(target)) ** 2).mean()
    loss.backward()
    model.compile("sgd", "mse")
    _, _, dx = model.gradients(x, target)
    close("input gradient", dx, images.grad.permute(0, 2, 3, 1).numpy())


def close(what: str, got: NDArray[Any], want: NDArray[Any]) -> None:
    assert got.shape == want.shape, what
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * np.abs(want).max(), err_msg=what)


def draw_pool(seed: int) -> tuple[dict[str, Any], dict[str, Any], tuple[int, int, int]]:
    """(striate's arguments, PyTorch's, an image's shape)."""
    rng = np.random.default_rng(seed)
    window = tuple(int(w) for w in rng.integers(1, 5, size=2))
    strides = tuple(int(s) for s in rng.integers(1, 5, size=2))
    pads = tuple(int(rng.integers(0, w // 2 + 1)) for w in window)
    ceil = bool(rng.integers(0, 4))
    shape = (window[0] + int(rng.integers(0, 8)), window[1] + int(rng.integers(0, 8)), 3)
    ours = {
        "pool_size": window,
        "strides": strides,
        "padding": ((pads[0], pads[0]), (pads[1], pads[1])),
        "ceil_mode": ceil,
    }
    theirs = {"kernel_size": window, "stride": strides, "padding": pads, "ceil_mode": ceil}
    return ours, theirs, shape


@pytest.mark.parametrize("seed", SEEDS)
def test_max_pool(seed: int) -> None:
    ours, theirs, shape = draw_pool(seed)
    compare(layers.MaxPooling2D(**ours), lambda x: F.max_pool2d(x, **theirs), shape, seed)


@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_average_pool(seed: int, count_include_pad: bool) -> None:
    ours, theirs, shape = draw_pool(100 + seed)
    layer = layers.AveragePooling2D(**ours, count_include_pad=count_include_pad)
    compare(
        layer,
        lambda x: F.avg_pool2d(x, **theirs, count_include_pad=count_include_pad),
        shape,
        seed,
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_ceil_window_larger_than_the_image(size: int) -> None:
    compare(
        layers.MaxPooling2D(size + 1, size + 1, ceil_mode=True),
        lambda x: F.max_pool2d(x, size + 1, size + 1, ceil_mode=True),
        (size, size, 2),
        size,
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_adaptive_average_pool(seed: int) -> None:
    rng = np.random.default_rng(200 + seed)
    shape = (*(int(n) for n in rng.integers(1, 15, size=2)), 3)
    output = tuple(int(n) for n in rng.integers(1, 9, size=2))
    layer = layers.AdaptiveAveragePooling2D(output)
    compare(layer, lambda x: F.adaptive_avg_pool2d(x, output), shape, seed)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 2), (1, 4), (5, 7)])
@pytest.mark.parametrize("shape", [(4, 5, 3), (1, 6, 2), (1, 1, 1), (7, 2, 20)])
def test_upsampling(shape: tuple[int, int, int], size: tuple[int, int], interpolation: str) -> None:
    options = {} if interpolation == "nearest" else {"align_corners": False}
    compare(
        layers.UpSampling2D(size, interpolation=interpolation),
        lambda x: F.interpolate(x, scale_factor=size, mode=interpolation, **options),
        shape,
        seed=sum(shape),
    )


def test_zero_padding_and_cropping() -> None:
    sides = ((1, 2), (3, 0))
    compare(layers.ZeroPadding2D(sides), lambda x: F.pad(x, (3, 0, 1, 2)), (5, 6, 3), 1)
    compare(layers.Cropping2D(sides), lambda x: F.pad(x, (-3, 0, -1, -2)), (5, 6, 3), 2)
