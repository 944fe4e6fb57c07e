"""Layers against Keras and PyTorch: sizes, alignment, weights' order and shapes, values.

Keras's numbers are in a golden file (golden/make_keras_layers_golden.py); PyTorch's are computed
where it can be imported.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from striate import Input, Sequential, layers

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))
from keras_layers_case import CASES, Case, numbers  # noqa: E402

Golden = list[tuple[dict[str, Any], NDArray[np.float32]]]  # by case: its entry, its output


@pytest.fixture(scope="module")
def golden() -> Golden:
    with np.load(GOLDEN / "keras_layers.npz") as file:
        index, y = json.loads(str(file["index"])), file["y"]
    ends = np.cumsum([int(np.prod(entry["shape"])) for entry in index])
    assert ends[-1] == len(y)
    outputs = np.split(y, ends[:-1])
    return [
        (entry, output.reshape(entry["shape"]))
        for entry, output in zip(index, outputs, strict=True)
    ]


def built(layer: layers.Layer, x: NDArray[np.float32]) -> Sequential:
    model = Sequential([Input(x.shape[1:]), layer, layers.Flatten()])
    model.compile("sgd", "mse")
    return model


def test_golden_is_of_these_cases(golden: Golden) -> None:
    assert [entry["name"] for entry, _ in golden] == [case.name for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden_keras(golden: Golden, case: Case) -> None:
    entry, want = golden[CASES.index(case)]
    layer = getattr(layers, case.layer)(**case.options)
    x = numbers(case, [])[0]
    model = built(layer, x)
    assert [w.name for w in layer.weights] == entry["weights"]
    assert layer.compute_output_shape(case.input) == want.shape
    model.set_weights(numbers(case, [w.shape for w in layer.weights])[1])
    got = model.predict(x, verbose=0).reshape(want.shape)
    if case.layer.endswith("Normalization"):
        np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6)
    elif case.layer == "SeparableConv2D":  # products of three: the sums round
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(got, want)


def images(*shape: int, seed: int = 11) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def as_torch(x: NDArray[Any], *axes: int) -> Any:
    torch = pytest.importorskip("torch")
    return torch.tensor(np.ascontiguousarray(x.transpose(*axes)), requires_grad=True)


def compare_with_torch(
    model: Sequential, x: NDArray[np.float32], x_torch: Any, y_torch: Any
) -> None:
    """Outputs, and the input's gradient of the mean squared error to some target."""
    y = y_torch.permute(0, 2, 3, 1).flatten(1)
    want = y.detach().numpy()
    np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-5, atol=2e-6)
    target = images(*want.shape, seed=12)
    ((y - y.new_tensor(target)) ** 2).mean().backward()
    dx = model.gradients(x, target)[2]
    want = x_torch.grad.permute(0, 2, 3, 1).numpy()
    assert np.linalg.norm(dx - want) <= 1e-5 * np.linalg.norm(want)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 12, 30])
@pytest.mark.parametrize("beta", [0.75, 0.5, 1.0, 0.6])
@pytest.mark.parametrize("alpha", [1e-4, 0.7])
def test_live_local_response_norm(size: int, beta: float, alpha: float) -> None:
    functional = pytest.importorskip("torch").nn.functional
    x = images(3, 5, 4, 12)
    for convention, factor in (("mean", 1), ("sum", size)):
        layer = layers.LocalResponseNormalization(
            size, alpha, beta, 1.5, alpha_convention=convention
        )
        theirs = as_torch(x, 0, 3, 1, 2)
        y = functional.local_response_norm(theirs, size, alpha * factor, beta, 1.5)
        compare_with_torch(built(layer, x), x, theirs, y)


def test_live_local_response_norm_of_the_paper() -> None:
    """AlexNet's layer as its docstring writes it for PyTorch."""
    functional = pytest.importorskip("torch").nn.functional
    x = 20 * images(2, 6, 7, 96)
    theirs = as_torch(x, 0, 3, 1, 2)
    y = functional.local_response_norm(theirs, 5, 5e-4, 0.75, 2.0)
    compare_with_torch(built(layers.LocalResponseNormalization(), x), x, theirs, y)


@pytest.mark.parametrize("groups", [1, 2, 6, 12])
def test_live_group_norm(groups: int) -> None:
    torch = pytest.importorskip("torch")
    x = images(3, 5, 4, 12) + 3
    gamma, beta = images(2, 12, seed=13)
    model = built(layers.GroupNormalization(groups, epsilon=1e-5), x)
    model.set_weights([gamma, beta])
    theirs = as_torch(x, 0, 3, 1, 2)
    y = torch.nn.functional.group_norm(
        theirs, groups, torch.tensor(gamma), torch.tensor(beta), eps=1e-5
    )
    compare_with_torch(model, x, theirs, y)


@pytest.mark.parametrize("axis", [-1, (1, 2, 3)])
def test_live_layer_norm(axis: Any) -> None:
    torch = pytest.importorskip("torch")
    x = images(3, 5, 4, 12) + 3
    shape = (12,) if axis == -1 else (5, 4, 12)
    gamma, beta = images(2, *shape, seed=13)
    model = built(layers.LayerNormalization(axis, epsilon=1e-5), x)
    model.set_weights([gamma, beta])
    theirs = as_torch(x, 0, 3, 1, 2)
    y = torch.nn.functional.layer_norm(
        theirs.permute(0, 2, 3, 1), shape, torch.tensor(gamma), torch.tensor(beta), eps=1e-5
    )
    compare_with_torch(model, x, theirs, y.permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("strides", "pads", "more", "dilation"),
    [((1, 1), (0, 0), (0, 0), (1, 1)), ((2, 3), (1, 0), (1, 2), (1, 1)),
     ((2, 2), (1, 1), (1, 0), (2, 1)), ((1, 2), (2, 1), (0, 1), (2, 2))],
)  # fmt: skip
def test_live_conv_transpose(strides, pads, more, dilation) -> None:
    torch = pytest.importorskip("torch")
    x = images(3, 5, 6, 4)
    kernel, bias = images(3, 4, 7, 4), images(7)
    layer = layers.Conv2DTranspose(
        7, (3, 4), strides, ((pads[0],) * 2, (pads[1],) * 2), more, dilation_rate=dilation
    )
    model = built(layer, x)
    model.set_weights([kernel, bias])
    theirs = as_torch(x, 0, 3, 1, 2)
    y = torch.nn.functional.conv_transpose2d(
        theirs, as_torch(kernel, 3, 2, 0, 1), torch.tensor(bias), strides, pads, more, 1, dilation
    )
    compare_with_torch(model, x, theirs, y)


@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_live_depthwise(multiplier: int, strides: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    x = images(3, 7, 6, 5)
    kernel, bias = images(3, 3, 5, multiplier), images(5 * multiplier)
    layer = layers.DepthwiseConv2D(3, strides, 1, multiplier)
    model = built(layer, x)
    model.set_weights([kernel, bias])
    theirs = as_torch(x, 0, 3, 1, 2)
    weights = as_torch(kernel.reshape(3, 3, 1, 5 * multiplier), 3, 2, 0, 1)
    y = torch.nn.functional.conv2d(theirs, weights, torch.tensor(bias), strides, 1, groups=5)
    compare_with_torch(model, x, theirs, y)
