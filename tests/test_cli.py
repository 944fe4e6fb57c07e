"""The command line, on the built-in digits: a few hundred images and one epoch."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import fail, succeed
from striate.callbacks import CSVLogger
from striate.cli.digit_image import like_mnist
from striate.errors import DatasetNotFound, FormatError
from striate.models import load_model

TINY = ["--dataset", "digits", "--limit", "300", "--epochs", "1"]
KEYS = {
    "network", "dataset", "recipe", "seed", "epochs", "batch_size", "parameters", "accuracy",
    "test_loss", "seconds", "images_per_second", "isa", "threads", "version",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny training run of lenet5."""
    runs = tmp_path_factory.mktemp("runs")
    output = succeed("train", "lenet5", *TINY, "--seed", 3, "--runs", runs)
    folder = runs / "lenet5-digits-3"
    (folder / "output.txt").write_text(output)
    return folder


def test_train_prints_what_happens(run: Path) -> None:
    output = (run / "output.txt").read_text()
    assert "61,706" in output
    assert output.count("Epoch 1/1: ") == 1
    assert "images/s" in output
    assert "test accuracy" in output
    assert "predicted as" in output
    assert "MNIST was not found" not in output


def test_train_leaves_a_folder(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    assert set(result) == KEYS
    assert (result["network"], result["dataset"], result["seed"]) == ("lenet5", "digits", 3)
    assert result["parameters"] == 61_706
    assert result["epochs"] == 1
    assert 0 <= result["accuracy"] <= 1
    assert result["images_per_second"] == pytest.approx(300 / result["seconds"], rel=0.1)
    lines = (run / "history.csv").read_text().splitlines()
    assert len(lines) == 2
    assert {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"} <= set(lines[0].split(","))


def test_train_draws_pictures(run: Path) -> None:
    pytest.importorskip("matplotlib")
    names = ["history", "kernels", "feature_maps", "misclassified", "confusion_matrix"]
    for name in names:
        assert (run / f"{name}.png").stat().st_size > 1000


def test_train_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    output = succeed("train", "mlp", *TINY, "--runs", tmp_path, "--name", "plain")
    assert "striate[plot]" in output
    assert not list((tmp_path / "plain").glob("*.png"))
    assert (tmp_path / "plain" / "model.safetensors").exists()


def test_runs_are_numbered_and_reproducible(tmp_path: Path) -> None:
    for _ in range(2):
        succeed("train", "mlp", *TINY, "--runs", tmp_path)
    first, second = (tmp_path / name for name in ("mlp-digits-0", "mlp-digits-0-2"))
    a, b = (load_model(folder / "model.safetensors").get_weights() for folder in (first, second))
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)
    message = fail(2, "train", "mlp", *TINY, "--runs", tmp_path, "--name", first.name)
    assert "exists" in message


def test_train_lenet5_1998(tmp_path: Path) -> None:
    output = succeed("train", "lenet5-1998", *TINY, "--runs", tmp_path, "--name", "x", "--verbose")
    assert "340,908" in output
    assert "batches of 1," in output
    succeed("evaluate", tmp_path / "x", "--dataset", "digits", "--limit", 50)


def test_train_options(tmp_path: Path) -> None:
    succeed(
        "train", "lenet5", *TINY, "--runs", tmp_path, "--name", "x", "--activation", "tanh",
        "--pooling", "average", "--threads", 1, "--learning-rate", 0.001, "--batch-size", 50,
    )  # fmt: skip
    result = json.loads((tmp_path / "x" / "result.json").read_text())
    assert (result["batch_size"], result["threads"]) == (50, 1)


def no_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: object = None) -> Any:
        raise DatasetNotFound("mnist: found in no folder and on no mirror; pass --data DIR")

    monkeypatch.setattr("striate.datasets.mnist.load_data", missing)


def test_without_mnist_the_first_and_last_line_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_mnist(monkeypatch)
    output = succeed("train", "mlp", *TINY[2:], "--runs", tmp_path)
    lines = output.strip().splitlines()
    for line in (lines[0], lines[-1]):
        assert "built-in digits" in line
        assert "--data" in line
    assert (tmp_path / "mlp-digits-0" / "result.json").exists()


def test_mnist_insisted_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_mnist(monkeypatch)
    for extra in (["--dataset", "mnist"], ["--data", tmp_path]):
        message = fail(2, "train", "mlp", "--runs", tmp_path / "runs", *extra)
        assert "--data DIR" in message
    assert not (tmp_path / "runs").exists()


def test_runs_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = fail(1, "train", "mlp", *TINY, "--runs", tmp_path / "file" / "runs")
    assert str(tmp_path / "file") in message
    assert len(message.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ""])
def test_a_runs_name_is_no_path(name: str, tmp_path: Path) -> None:
    assert "--name" in fail(2, "train", "mlp", *TINY, "--runs", tmp_path / "r", "--name", name)


def test_unknown_network_and_options() -> None:
    message = fail(2, "train", "lenet6")
    assert "lenet5, lenet5-1998, mlp" in message
    assert "no such choice" in fail(2, "train", "lenet5-1998", *TINY, "--activation", "relu")
    assert "no activation" in fail(2, "train", "lenet5", *TINY, "--activation", "step")
    assert "Missing argument 'NETWORK'" in fail(2, "train")
    assert "no recipe 'fast'" in fail(2, "train", "lenet5", *TINY, "--recipe", "fast")


def test_interruption_keeps_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: CSVLogger, epoch: int, logs: object = None) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(CSVLogger, "on_epoch_begin", interrupt)
    message = fail(
        130, "train", "mlp", *TINY[:-1], "5", "--runs", tmp_path, "--name", "stopped"
    )  # fmt: skip
    history = tmp_path / "stopped" / "history.csv"
    assert str(history) in message
    assert len(history.read_text().splitlines()) == 2


def test_evaluate(run: Path) -> None:
    output = succeed("evaluate", run, "--dataset", "digits", "--limit", 300)
    accuracy = json.loads((run / "result.json").read_text())["accuracy"]
    assert f"{100 * accuracy:.2f} % of 300" in output
    assert "no model file" in fail(2, "evaluate", run / "nothing.safetensors")


def test_a_damaged_model_is_one_clean_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"not a model at all")
    message = fail(1, "evaluate", path, "--dataset", "digits", "--limit", 10)
    assert "bad.safetensors" in message


def test_predict(run: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    paper = np.full((200, 150), 250, np.uint8)
    paper[40:160, 70:80] = 20
    image.fromarray(paper).save(tmp_path / "one.png")
    image.fromarray(255 - paper).convert("RGB").save(tmp_path / "white.jpg")
    output = succeed("predict", run, tmp_path / "one.png", tmp_path / "white.jpg", "--verbose")
    lines = [line for line in output.splitlines() if line.startswith(str(tmp_path))]
    assert [line.split(": ")[0] for line in lines] == [
        str(tmp_path / "one.png"),
        str(tmp_path / "white.jpg"),
    ]
    assert lines[0].split(": ")[1] == lines[1].split(": ")[1]
    assert output.count("inverted") == 1
    (tmp_path / "text.png").write_text("no picture")
    assert "not an image" in fail(1, "predict", run, tmp_path / "text.png")
    assert "nowhere.png" in fail(1, "predict", run, tmp_path / "nowhere.png")


def test_predict_without_pillow(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "striate[images]" in fail(1, "predict", run, "x.png")


def test_a_picture_is_made_like_mnist() -> None:
    pytest.importorskip("PIL")
    paper = np.full((300, 400), 240, np.uint8)
    paper[50:250, 90:110] = 10  # an L: 200 high, 120 wide, 20 thick
    paper[230:250, 90:210] = 10
    digit = like_mnist(paper)
    assert digit.pixels.shape == (28, 28) and digit.pixels.max() == 255
    rows, columns = (np.flatnonzero(digit.pixels.any(axis=axis)) for axis in (1, 0))
    assert [int(np.ptp(axis)) + 1 for axis in (rows, columns)] == [20, 12]
    mass = digit.pixels / digit.pixels.sum()
    centre = [(mass.sum(axis=axis) * np.arange(28)).sum() for axis in (1, 0)]
    assert centre == pytest.approx([13.5, 13.5], abs=1.6)  # the field's edge may stop it
    inverted = like_mnist(255 - paper)
    np.testing.assert_array_equal(inverted.pixels, digit.pixels)
    np.testing.assert_array_equal(like_mnist(digit.pixels).pixels, digit.pixels)
    with pytest.raises(FormatError, match="no digit"):
        like_mnist(np.full((40, 40), 255, np.uint8))


def test_summary(run: Path) -> None:
    assert "60,000" in succeed("summary", "lenet5-1998")
    assert "340,908" in succeed("summary", "lenet5_1998")
    assert "61,706" in succeed("summary", run)
    assert "no network 'lenet6'" in fail(2, "summary", "lenet6")


def test_summary_of_every_network_takes_no_memory_for_weights() -> None:
    """In a process of its own: VGG-19's weights would be 575 MB, all networks' 2 GB."""
    code = """
import resource
from striate.cli.networks import NETWORKS, network_or_model
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in NETWORKS:
    lines = []
    network_or_model(name).summary(print_fn=lines.append, connections=True)
    print(name, [line for line in lines if line.startswith("Total params")][0])
print("megabytes", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "vgg16 Total params: 138,357,544" in done.stdout
    assert "resnet20 Total params: 271,098" in done.stdout
    assert int(done.stdout.split()[-1]) < 200


def test_info() -> None:
    output = succeed("info")
    for word in ("striate", "compiler", "instruction set", "threads"):
        assert word in output


def test_version() -> None:
    assert succeed("--version").startswith("striate 0.")


def test_as_a_module(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "striate", "train", "mlp", *TINY, "--runs", str(tmp_path)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    assert "Epoch 1/1" in finished.stdout
