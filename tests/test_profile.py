"""`Model.profile` and `striate bench`: a row a layer, and the times are those of a batch."""

from pathlib import Path

import numpy as np
import pytest
from command_line import fail, succeed
from striate import Input, Model, Sequential, applications, layers
from striate.errors import ArgumentError
from striate.profiling import Profile

X = np.random.default_rng(1).random((6, 28, 28, 1), np.float32)
Y = np.arange(6) % 10


def lenet() -> Model:
    model = applications.LeNet5()
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def check(profile: Profile, training: bool) -> None:
    assert profile.training == training and profile.batch == len(X)
    assert profile.fma_peak > 0 and profile.threads >= 1
    for layer in profile.layers:
        assert layer.forward > 0 and (layer.backward > 0 or not training)
        assert layer.forward_bytes > 0
    spent = sum(layer.milliseconds for layer in profile.layers) + profile.other
    assert 0 < spent <= 1.5 * profile.milliseconds + 0.1
    assert 0 <= profile.waiting <= profile.milliseconds


def test_a_training_step_has_every_layer_and_changes_nothing() -> None:
    model = lenet()
    before = model.network.weights_hash()
    profile = model.profile(X, Y, repeats=3)
    check(profile, training=True)
    assert model.network.weights_hash() == before
    names = [layer.name for layer in profile.layers]
    assert {"c1", "s2", "c3", "s4", "c5", "f6", "output"} <= set(names)
    convolution = profile.layers[names.index("c3")]
    macs = 10 * 10 * 16 * 5 * 5 * 6 * len(X)
    assert (convolution.forward_macs, convolution.backward_macs) == (macs, 2 * macs)
    assert profile.layers[names.index("c1")].backward_macs == 28 * 28 * 6 * 25 * len(X)
    text = str(profile)
    assert all(name in text for name in names) and "of the multiply-add limit" in text


def test_a_prediction_names_what_was_fused() -> None:
    model = Sequential(
        [
            Input((12, 12, 3)),
            layers.Conv2D(24, 3, padding="same", name="c"),
            layers.BatchNormalization(name="n"),
            layers.ReLU(name="r"),
            layers.Conv2D(16, 3, name="d"),
            layers.Flatten(name="f"),
        ]
    )
    x = np.zeros((6, 12, 12, 3), np.float32)
    profile = model.profile(x)
    check(profile, training=False)
    assert [layer.name for layer in profile.layers] == ["c + n + r", "d", "f"]
    assert all(layer.backward == layer.backward_macs == 0 for layer in profile.layers)
    model.profile(x[:2])  # a batch that runs channels in lanes
    few = model.profile(x[:2]).layers
    assert [layer.method for layer in few[:2]] == [
        "direct, channels in lanes",
        "Winograd F(4x4,3x3)",
    ]


def test_bad_requests() -> None:
    with pytest.raises(ArgumentError, match="compile"):
        applications.LeNet5().profile(X, Y)
    with pytest.raises(ArgumentError, match="repeats"):
        lenet().profile(X, Y, repeats=0)


def test_bench_prints_the_table_and_draws_it(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "lenet5.png"
    text = succeed("bench", "lenet5", "--batch", 32, "--train", "--repeats", 2, "--plot", picture)
    assert "c3" in text and "images/s" in text and "samples in lanes" in text
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_bench_takes_a_precision_and_refuses_an_unknown_one() -> None:
    assert "Winograd" not in succeed("bench", "resnet20", "--batch", 2, "--precision", "strict")
    assert "Winograd" in succeed("bench", "resnet20", "--batch", 2)
    assert "half" in fail(2, "bench", "lenet5", "--precision", "half")
