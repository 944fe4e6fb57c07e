"""CifarNet's first layer, made from images, and its training from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import fail, succeed
from image_files import photo
from striate import Model, applications, layers, load_model
from striate.applications.cifar_net import whiten
from striate.cli.networks import NETWORKS, build_network, first_layer
from striate.errors import ArgumentError, ShapeError


def photographs(count: int) -> np.ndarray:
    return np.stack([photo(number, 32, 32) for number in range(count)])


def patches(x: np.ndarray) -> np.ndarray:
    """[N, H, W, C] -> [patches, 4 C], pixel by pixel of a 2x2 patch."""
    h, w = x.shape[1:3]
    corners = [x[:, i : h - 1 + i, j : w - 1 + j] for i in (0, 1) for j in (0, 1)]
    return np.concatenate(corners, -1).reshape(-1, 4 * x.shape[3])


def test_responses_of_the_first_layer_are_white() -> None:
    x = (photographs(40) / 127.5 - 1).astype(np.float32)
    model = applications.CifarNet()
    whiten(model, x)
    layer = model.get_layer("whiten")
    kernel, bias = layer.get_weights()
    assert not layer.trainable and not bias.any()
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == 1_971_328
    half = kernel.reshape(12, 24)[:, :12]
    np.testing.assert_array_equal(kernel.reshape(12, 24)[:, 12:], -half)
    responses = patches(x).astype(np.float64) @ half
    second = responses.T @ responses / len(responses)
    variances = np.linalg.eigvalsh(patches(x).T.astype(np.float64) @ patches(x) / len(responses))
    # Directions of hardly any variance stay below one.
    np.testing.assert_allclose(np.diag(second), variances / (variances + 5e-2), atol=1e-3)
    np.testing.assert_allclose(second - np.diag(np.diag(second)), 0, atol=1e-3)


def test_what_stands_in_front_of_it_counts() -> None:
    x = photographs(10)
    mean, deviation = np.array([0.5, 0.4, 0.3]), np.array([0.2, 0.25, 0.3])
    first = first_layer("statistics", mean, deviation)
    model = build_network(NETWORKS["cifarnet"], (32, 32, 3), 10, {}, first)
    plain = applications.CifarNet()
    whiten(model, x)
    whiten(plain, (x / 255 - mean) / deviation)
    ours, theirs = (m.get_layer("whiten").get_weights()[0] for m in (model, plain))
    # An eigenvector's sign is anyone's.
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), rtol=1e-2, atol=1e-3)


def test_frozen_means_that_training_leaves_it_alone(tmp_path: Path) -> None:
    x, y = photographs(16), np.arange(16) % 10
    model = applications.CifarNet(widths=(8, 8))
    whiten(model, x / 255)
    before = model.get_layer("whiten").get_weights()[0]
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x / 255, y, epochs=1, verbose=0)
    np.testing.assert_array_equal(model.get_layer("whiten").get_weights()[0], before)
    model.save(tmp_path / "m.safetensors")
    assert not load_model(tmp_path / "m.safetensors").get_layer("whiten").trainable


def test_without_a_top() -> None:
    model = applications.CifarNet(include_top=False, pooling="max")
    assert model.output_shape == (None, 256)
    head = layers.Dense(3)(model.outputs[0])
    assert Model(model.inputs, head).output_shape == (None, 3)


def test_bad_arguments() -> None:
    with pytest.raises(ArgumentError, match="widths has no block"):
        applications.CifarNet(widths=())
    with pytest.raises(ShapeError, match="the smallest that reach the last layer are 9x9"):
        applications.CifarNet(input_shape=(8, 9, 3))
    assert applications.CifarNet(input_shape=(9, 9, 3)).output_shape == (None, 10)


def test_from_the_command_line(tmp_path: Path) -> None:
    common = ["train", "cifarnet", "--dataset", "digits", "--limit", 40, "--batch-size", 16,
              "--image-size", 12, "--runs", tmp_path]  # fmt: skip
    succeed(*common, "--epochs", 2, "--name", "x")
    result = json.loads((tmp_path / "x" / "result.json").read_text())
    assert (result["recipe"], result["epochs"]) == ("characters", 2)
    model = load_model(tmp_path / "x" / "model.safetensors")
    assert not model.get_layer("whiten").trainable
    assert "% of 40" in succeed("evaluate", tmp_path / "x", "--dataset", "digits", "--limit", 40)
    assert "9x9" in fail(1, *common, "--image-size", 8, "--name", "y")
