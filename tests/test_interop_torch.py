"""load_torch on small state dicts that are written out here; PyTorch itself is not needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import striate
from numpy.typing import NDArray
from striate import _core, layers
from striate.errors import ArgumentError, FormatError, ShapeError
from striate.interop import load_torch

Array = NDArray[Any]
State = dict[str, Array]


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def network() -> striate.Sequential:
    """Maps of 3 x 2 x 4 before the Flatten, so that no order of axes looks like another."""
    return striate.Sequential(
        [
            layers.Input((5, 4, 2)),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name="norm"),
            layers.Activation("relu", name="relu"),
            layers.Flatten(name="flatten"),
            layers.Dropout(0.5, name="dropout"),
            layers.Dense(5, activation="tanh", name="hidden"),
            layers.Dense(3, name="output"),
        ]
    )


def state(prefix: str = "") -> State:
    named = {
        "conv.weight": numbers(4, 2, 3, 3),
        "conv.bias": numbers(4, seed=1),
        "norm.weight": numbers(4, seed=2),
        "norm.bias": numbers(4, seed=3),
        "norm.running_mean": numbers(4, seed=4),
        "norm.running_var": np.abs(numbers(4, seed=5)) + 0.5,
        "norm.num_batches_tracked": np.array(7),
        "hidden.weight": numbers(5, 24),
        "hidden.bias": numbers(5, seed=6),
        "output.weight": numbers(3, 5),
        "output.bias": numbers(3, seed=7),
    }
    return {prefix + name: tensor for name, tensor in named.items()}


def forward(s: State, images: Array) -> Array:
    """The network as PyTorch runs it: NCHW, and flattened so."""
    x = images.astype(np.float64).transpose(0, 3, 1, 2)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    x = np.einsum("ncyxij,ocij->noyx", windows, s["conv.weight"])
    x += s["conv.bias"][:, None, None]
    mean, variance = s["norm.running_mean"], s["norm.running_var"]
    x = (x - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None]
    x = np.maximum(x * s["norm.weight"][:, None, None] + s["norm.bias"][:, None, None], 0)
    x = np.tanh(x.reshape(len(x), -1) @ s["hidden.weight"].T + s["hidden.bias"])
    return x @ s["output.weight"].T + s["output.bias"]


def assert_computes(model: Any, s: State) -> None:
    x = numbers(6, 5, 4, 2, seed=9)
    np.testing.assert_allclose(model.predict(x), forward(s, x), rtol=1e-4, atol=1e-5)


def test_the_same_names() -> None:
    model = network()
    report = load_torch(model, state())
    assert report.complete and len(report.matched) == 10
    changes = {match.ours: (match.theirs, match.shape, match.change) for match in report.matched}
    assert changes["conv/kernel"] == ("conv.weight", (3, 3, 2, 4), "OIHW -> HWIO")
    assert changes["norm/moving_variance"] == ("norm.running_var", (4,), "")
    assert changes["hidden/kernel"] == ("hidden.weight", (24, 5), "[O, I] -> [I, O], CHW -> HWC")
    assert changes["output/kernel"] == ("output.weight", (5, 3), "[O, I] -> [I, O]")
    assert "names: the same names" in report.notes
    assert_computes(model, state())


def test_the_report_is_a_table() -> None:
    text = str(load_torch(network(), state()))
    lines = text.split("\n")
    assert lines[0].split() == ["weight", "from", "the", "state", "dict", "shape", "change"]
    assert len({line.index("(") for line in lines if line.startswith(("conv", "norm"))}) == 1
    assert "note: batch normalisation: epsilon 1e-05, momentum 0.9 are the model's" in text
    assert lines[-1] == "10 weights set, 0 missing, 0 of another shape, 0 tensors unused"


def test_names_by_mapping_and_by_function() -> None:
    theirs = {"conv": "body.0", "norm": "body.1", "hidden": "head.1", "output": "head.3"}
    renamed = {}
    for name, tensor in state().items():
        module, _, parameter = name.partition(".")
        renamed[f"{theirs[module]}.{parameter}"] = tensor
    ways: list[dict[str, str] | Callable[[str], str | None]] = [theirs, theirs.get]
    for names in ways:
        model = network()
        assert load_torch(model, renamed, names=names).complete
        assert_computes(model, state())
    with pytest.raises(ArgumentError, match="no layer with weights named dropout"):
        load_torch(network(), renamed, names={"dropout": "body.0"})
    with pytest.raises(ArgumentError, match="no module body.7; there are body.0, body.1"):
        load_torch(network(), renamed, names={"conv": "body.7"})


@pytest.mark.parametrize("as_file", [False, True])
def test_other_names_go_by_shape_and_order(tmp_path: Path, as_file: bool) -> None:
    # Twelve alike, so that the alphabet (0, 10, 11, 2, ..) is not the order.
    model = striate.Sequential([layers.Input((4,)), *(layers.Dense(4) for _ in range(12))])
    s = {}
    for i in range(12):
        s[f"{2 * i}.weight"], s[f"{2 * i}.bias"] = numbers(4, 4, seed=i), numbers(4, seed=i)
    source: Any = s
    if as_file:
        source = tmp_path / "dense.safetensors"
        _core.write_safetensors(str(source), {}, s)
    report = load_torch(model, source)
    assert report.complete and "paired by their shapes" in report.notes[0]
    for i, layer in enumerate(model.layers):
        np.testing.assert_array_equal(layer.get_weights()[0], s[f"{2 * i}.weight"].T)
        np.testing.assert_array_equal(layer.get_weights()[1], s[f"{2 * i}.bias"])


def test_a_safetensors_file(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    _core.write_safetensors(str(path), {}, state())
    for source in (path, str(path)):
        model = network()
        assert load_torch(model, source).source == str(path)
        assert_computes(model, state())
    path.write_bytes(path.read_bytes()[:-1])
    before = model.weights_hash()
    with pytest.raises(FormatError, match="network.safetensors"):
        load_torch(model, path)
    with pytest.raises(OSError):
        load_torch(model, tmp_path / "absent.safetensors")
    assert model.weights_hash() == before


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".PT", ".pkl"])
def test_pickles_are_refused_unopened(suffix: str) -> None:
    with pytest.raises(FormatError) as refused:
        load_torch(network(), f"weights/resnet18{suffix}")
    text = str(refused.value)
    assert "run code" in text
    assert (
        'python -c "import torch, safetensors.torch as s; '
        f"s.save_file(torch.load('weights/resnet18{suffix}', weights_only=True), "
        "'weights/resnet18.safetensors')\"" in text
    )


class Tensor:
    """What load_torch needs of a torch.Tensor."""

    def __init__(self, values: Array, requires_grad: bool = True, device: str = "meta"):
        self.values, self.requires_grad, self.device = values, requires_grad, device

    def detach(self) -> "Tensor":
        return Tensor(self.values, False, self.device)

    def cpu(self) -> "Tensor":
        return Tensor(self.values, self.requires_grad, "cpu")

    def is_floating_point(self) -> bool:
        return self.values.dtype.kind == "f"

    def float(self) -> "Tensor":
        return Tensor(self.values.astype(np.float32), self.requires_grad, self.device)

    def numpy(self) -> Array:
        assert not self.requires_grad and self.device == "cpu"
        return self.values


def test_tensors_doubles_and_halves() -> None:
    kinds: list[Callable[[Array], Any]] = [
        Tensor,
        lambda a: Tensor(a.astype(np.float64)),
        lambda a: a.astype(np.float64),
    ]
    for convert in kinds:
        model = network()
        load_torch(model, {name: convert(tensor) for name, tensor in state().items()})
        assert_computes(model, state())
    halves = {name: tensor.astype(np.float16) for name, tensor in state().items()}
    model = network()
    load_torch(model, halves)
    assert_computes(model, {name: tensor.astype(np.float32) for name, tensor in halves.items()})


def test_data_parallel_prefix() -> None:
    model = network()
    assert load_torch(model, state("module.")).complete
    assert_computes(model, state())


def without(*names: str) -> State:
    return {name: tensor for name, tensor in state().items() if name not in names}


MISFITS: list[tuple[State, list[str]]] = [
    (without("conv.bias", "hidden.weight"), ["not in the state dict: conv/bias, hidden/kernel"]),
    ({**state(), "extra.weight": numbers(2)}, ["no place in sequential.*: extra.weight"]),
    (
        {**state(), "output.weight": numbers(10, 5), "output.bias": numbers(10)},
        [
            r"output/kernel \(5, 3\) takes \(3, 5\), output.weight is \(10, 5\)",
            r"output/bias \(3,\) takes \(3,\), output.bias is \(10,\)",
        ],
    ),
]


@pytest.mark.parametrize(("misfit", "messages"), MISFITS, ids=["missing", "unexpected", "shapes"])
def test_strict_loads_all_or_nothing(misfit: State, messages: list[str]) -> None:
    model = network()
    before = model.weights_hash()
    for message in messages:
        with pytest.raises(ShapeError, match=message):
            load_torch(model, misfit)
    assert model.weights_hash() == before


def test_what_fits_without_strict() -> None:
    model = network()
    fresh = model.get_weights()[-2:]
    misfit = {**state(), "output.weight": numbers(10, 5), "extra.weight": numbers(2)}
    del misfit["output.bias"]
    report = load_torch(model, misfit, strict=False)
    assert not report.complete
    assert report.missing == ["output/bias"]
    assert report.unexpected == ["extra.weight"]
    assert len(report.mismatched) == 1 and "output/kernel" in report.mismatched[0]
    for kept, now in zip(fresh, model.get_weights()[-2:], strict=True):
        np.testing.assert_array_equal(kept, now)
    np.testing.assert_array_equal(
        model.get_layer("conv").get_weights()[0], misfit["conv.weight"].transpose(2, 3, 1, 0)
    )


def test_a_model_that_does_not_know_its_input() -> None:
    model = striate.Sequential([layers.Dense(3, name="dense")])
    s = {"dense.weight": numbers(3, 5), "dense.bias": numbers(3)}
    with pytest.raises(ArgumentError, match="the input's shape is not known"):
        load_torch(model, s)
    model.build((None, 5))
    assert load_torch(model, s).complete


def test_not_a_state_dict() -> None:
    class Module:
        def state_dict(self) -> None: ...

    with pytest.raises(ArgumentError, match=r"got Module: pass its state_dict\(\)"):
        load_torch(network(), Module())  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="conv.bias: is <U3, expected numbers"):
        load_torch(network(), {**state(), "conv.bias": np.array(["one"])})
    with pytest.raises(ArgumentError, match="conv.bias: is object, expected numbers"):
        load_torch(network(), {**state(), "conv.bias": object()})


def test_flattened_features_keep_their_order_through_a_graph() -> None:
    """Two flattened maps and a vector side by side, normalised, then dense."""
    image = layers.Input((2, 3, 4), name="image")
    vector = layers.Input((5,), name="vector")
    flat = layers.Flatten(name="flat")(image)
    x = layers.Concatenate(name="side_by_side")([flat, vector, flat])
    x = layers.BatchNormalization(name="norm")(x)
    output = layers.Dense(2, name="dense")(layers.Dropout(0.1, name="drop")(x))
    model = striate.Model([image, vector], output)
    features = 24 + 5 + 24
    s = {
        "norm.weight": numbers(features),
        "norm.bias": numbers(features, seed=1),
        "norm.running_mean": numbers(features, seed=2),
        "norm.running_var": np.abs(numbers(features, seed=3)) + 1,
        "dense.weight": numbers(2, features),
        "dense.bias": numbers(2),
    }
    report = load_torch(model, s)
    changes = {match.ours: match.change for match in report.matched}
    assert changes["norm/gamma"] == "CHW -> HWC" and changes["dense/bias"] == ""
    images, vectors = numbers(3, 2, 3, 4, seed=5), numbers(3, 5, seed=6)
    flat_as_torch = images.transpose(0, 3, 1, 2).reshape(3, -1)
    x = np.concatenate([flat_as_torch, vectors, flat_as_torch], axis=1)
    x = (x - s["norm.running_mean"]) / np.sqrt(s["norm.running_var"] + 1e-3)
    want = (x * s["norm.weight"] + s["norm.bias"]) @ s["dense.weight"].T + s["dense.bias"]
    np.testing.assert_allclose(model.predict([images, vectors]), want, rtol=1e-4, atol=1e-4)


def test_depthwise_and_transposed_kernels() -> None:
    model = striate.Sequential(
        [
            layers.Input((6, 5, 3)),
            layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False, name="depthwise"),
            layers.Conv2DTranspose(4, (2, 3), use_bias=False, name="up"),
        ]
    )
    s = {"depthwise.weight": numbers(6, 1, 3, 3), "up.weight": numbers(6, 4, 2, 3)}
    load_torch(model, s)
    images = numbers(2, 6, 5, 3)
    x = images.astype(np.float64).transpose(0, 3, 1, 2)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    # PyTorch's output channel 2 c + m is of input channel c.
    y = np.einsum("noyxij,oij->noyx", windows.repeat(2, axis=1), s["depthwise.weight"][:, 0])
    z = np.zeros((2, 4, y.shape[2] + 1, y.shape[3] + 2))
    for i, j in np.ndindex(2, 3):
        taken = np.einsum("ncyx,co->noyx", y, s["up.weight"][:, :, i, j])
        z[:, :, i : i + y.shape[2], j : j + y.shape[3]] += taken
    np.testing.assert_allclose(model.predict(images).transpose(0, 3, 1, 2), z, rtol=1e-4, atol=1e-4)
