"""`striate train` on folders of images, and runs that are stopped and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import fail, succeed
from image_files import cut, photo, save
from striate import load_model, recipes
from striate.callbacks import CSVLogger
from striate.errors import DatasetNotFound

SMALL = ["--image-size", 12, "--batch-size", 8]
RESNET = ["resnet20", *SMALL, "--epochs", 4]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take seconds, and test_cli looks at them."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """train/ with eight images of each of three classes, val/ with two; of different sizes."""
    root = tmp_path / "flowers"
    for part, count in (("train", 8), ("val", 2)):
        for place, name in enumerate(("daisy", "rose", "tulip")):
            for number in range(count):
                pixels = photo(100 * place + number, 14 + number, 16)
                pixels[..., place] |= 128
                save(pixels, root / part / name / f"{number}.png")
    return root


@pytest.fixture
def flat(folder: Path) -> Path:
    return folder / "train"


def weights(folder: Path) -> str:
    return load_model(folder / "model.safetensors").weights_hash()


def test_a_folder_of_images(folder: Path, tmp_path: Path) -> None:
    output = succeed("train", "lenet5", "--dataset", folder, *SMALL, "--epochs", 2, "--runs",
                     tmp_path, "--color", "rgb", "--workers", 0)  # fmt: skip
    run = tmp_path / "lenet5-flowers-0"
    assert "0 daisy  1 rose  2 tulip" in output
    names = {path.name for path in run.iterdir()}
    assert {"model.safetensors", "history.csv", "result.json", "run.json"} <= names
    assert "checkpoints" not in names
    model = load_model(run / "model.safetensors")
    assert model.sample_shape == (12, 12, 3)
    assert model.metadata == {
        "classes": ["daisy", "rose", "tulip"], "dataset": str(folder), "inputs": "unit",
        "shorter_side": 12,
    }  # fmt: skip
    result = json.loads((run / "result.json").read_text())
    assert (result["dataset"], result["recipe"], result["batch_size"]) == (str(folder), "lenet5", 8)
    share = f"{100 * result['accuracy']:.2f} % of 6 test images"
    assert share in succeed("evaluate", run)  # on the images that it was tested on
    assert share in succeed("evaluate", run, folder)
    output = succeed("predict", run, folder / "val" / "rose" / "0.png", "--top", 1)
    assert output.split()[-1] in ("daisy", "rose", "tulip")


def test_a_folder_without_images_to_test_on(flat: Path, tmp_path: Path) -> None:
    succeed("train", "lenet5", "--dataset", flat, *SMALL, "--epochs", 1, "--runs", tmp_path,
            "--validation-split", 0.25, "--name", "x")  # fmt: skip
    begun = json.loads((tmp_path / "x" / "run.json").read_text())
    for part, count in (("training images", 6), ("test images", 2)):
        assert begun["data"][part]["images"] == dict.fromkeys(("daisy", "rose", "tulip"), count)
    output = succeed("evaluate", tmp_path / "x")
    accuracy = json.loads((tmp_path / "x" / "result.json").read_text())["accuracy"]
    assert f"{100 * accuracy:.2f} % of 6 test images" in output
    assert "the 6 images that were kept from training" in output
    assert load_model(tmp_path / "x" / "model.safetensors").sample_shape == (12, 12, 1)


def test_the_first_layer_holds_the_training_images_statistics(folder: Path, tmp_path: Path) -> None:
    succeed("train", "resnet20", "--dataset", folder, *SMALL, "--epochs", 1, "--runs", tmp_path,
            "--name", "x")  # fmt: skip
    model = load_model(tmp_path / "x" / "model.safetensors")
    first = model.layers[1]
    assert first.name == "normalize" and model.metadata["inputs"] == "none"
    from PIL import Image

    paths = (folder / "train").rglob("*.png")
    pixels = np.concatenate([np.asarray(Image.open(path)).reshape(-1, 3) for path in paths])
    normal = pixels * first.get_config()["scale"] + first.get_config()["offset"]
    np.testing.assert_allclose(normal.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(normal.std(axis=0), 1, rtol=1e-6)


def test_killed_and_resumed(folder: Path, tmp_path: Path) -> None:
    """kill -9 in the third epoch, then --resume: the bits of a run that nothing happened to."""
    given = ["train", *RESNET, "--dataset", folder, "--runs", tmp_path]
    succeed(*given, "--name", "straight", "--workers", 0)
    process = subprocess.Popen(
        [sys.executable, "-m", "striate", *map(str, given), "--name", "killed"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    second = tmp_path / "killed" / "checkpoints" / "epoch-0002.safetensors"
    deadline = time.monotonic() + 60
    while not second.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    killed = tmp_path / "killed"
    assert second.exists()
    if (killed / "result.json").exists():
        pytest.skip("the run had ended before it could be killed")
    output = succeed("train", "--resume", killed, "--workers", 1)
    assert "Epoch 4/4" in output and "Epoch 1/4" not in output
    assert weights(killed) == weights(tmp_path / "straight")
    histories = [(tmp_path / name / "history.csv").read_bytes() for name in ("straight", "killed")]
    assert histories[0] == histories[1]
    results = [json.loads((tmp_path / name / "result.json").read_text())
               for name in ("straight", "killed")]  # fmt: skip
    assert results[0]["accuracy"] == results[1]["accuracy"]
    assert results[0]["test_loss"] == results[1]["test_loss"]
    assert not (killed / "checkpoints").exists()


@pytest.fixture
def stopped(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run of lenet5 on `folder` that Ctrl-C ended in its third epoch of four."""
    stop(monkeypatch, "lenet5", "--dataset", folder, *SMALL, "--epochs", 4, "--runs", tmp_path)
    return tmp_path / "lenet5-flowers-0"


def stop(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> str:
    def interrupt(self: CSVLogger, epoch: int, logs: object = None) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CSVLogger, "on_epoch_begin", interrupt)
        return fail(130, "train", *arguments)


def test_ctrl_c_and_resume(folder: Path, stopped: Path, tmp_path: Path) -> None:
    succeed("train", "lenet5", "--dataset", folder, *SMALL, "--epochs", 4, "--runs",
            tmp_path / "straight")  # fmt: skip
    output = succeed("train", "--resume", stopped.name, "--runs", tmp_path)
    assert f"Going on with {stopped}" in output
    assert weights(stopped) == weights(tmp_path / "straight" / stopped.name)
    output = succeed("train", "--resume", stopped)
    assert "has ended: 4 epochs, test accuracy" in output


def test_averages_and_augmentation_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["lenet5", "--recipe", "best", "--dataset", "digits", "--limit", 60, "--epochs", 4,
             "--batch-size", 16, "--seed", 2]  # fmt: skip
    message = stop(monkeypatch, *given, "--runs", tmp_path)
    assert f"striate train --resume {tmp_path / 'lenet5-digits-2'}" in message
    succeed("train", "lenet5", "--seed", 2, "--resume", "--runs", tmp_path)
    succeed("train", *given, "--runs", tmp_path / "straight")
    assert weights(tmp_path / "lenet5-digits-2") == weights(
        tmp_path / "straight" / "lenet5-digits-2"
    )
    assert load_model(tmp_path / "lenet5-digits-2" / "model.safetensors").metadata["inputs"] == (
        "none"
    )


def test_options_that_changed_are_refused_and_named(stopped: Path) -> None:
    message = fail(2, "train", "resnet20", "--resume", stopped, "--batch-size", 4, "--epochs", 9,
                   "--recipe", "best", "--learning-rate", 0.5, "--image-size", 12)  # fmt: skip
    for part in (
        "network was lenet5, is now resnet20", "--batch-size was 8, is now 4",
        "--epochs was 4, is now 9", "--recipe was lenet5, is now lenet5-best",
        "--learning-rate was None, is now 0.5",
    ):  # fmt: skip
        assert part in message
    assert "--image-size" not in message
    assert "--dataset was" in fail(2, "train", "--resume", stopped, "--dataset", "digits")
    assert "--name" in fail(2, "train", "--resume", stopped, "--name", "other")
    succeed("train", "lenet5", "--resume", stopped, "--batch-size", 8)


def test_data_that_changed_are_refused_and_named(folder: Path, stopped: Path) -> None:
    added = save(photo(0, 20, 20), folder / "train" / "rose" / "new.png")
    message = fail(2, "train", "--resume", stopped)
    assert "data: training images: images: rose was 8, is now 9" in message
    added.unlink()
    path = folder / "train" / "rose" / "0.png"
    path.rename(path.with_name("00.png"))
    assert "training images: other file names" in fail(2, "train", "--resume", stopped)
    path.with_name("00.png").rename(path)
    held_out = folder / "val" / "tulip" / "1.png"
    held_out.rename(folder / "1.png")
    message = fail(2, "train", "--resume", stopped)
    assert "test images: images: tulip was 2, is now 1" in message
    (folder / "1.png").rename(held_out)
    moved = folder.rename(folder.with_name("moved"))
    assert "no folder either" in fail(2, "train", "--resume", stopped)
    succeed("train", "--resume", stopped, "--dataset", moved)


def test_a_recipe_that_changed_is_refused(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = replace(recipes.LENET5, optimizer_options={"weight_decay": 0.2, "beta_2": 0.95})
    monkeypatch.setitem(recipes.RECIPES, "lenet5", changed)
    message = fail(2, "train", "--resume", stopped)
    assert "recipe lenet5: optimizer: weight_decay was 0.1, is now 0.2" in message


def test_a_network_that_changed_is_refused(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from striate.applications import LeNet5
    from striate.cli import networks

    def other(**options: Any) -> Any:
        return LeNet5(**options, activation="tanh")

    network = replace(networks.NETWORKS["lenet5"], build=other)
    monkeypatch.setitem(networks.NETWORKS, "lenet5", network)
    message = fail(2, "train", "--resume", stopped)
    assert "c1: activation was relu, is now tanh" in message
    assert "epoch-0002.safetensors" in message


def test_which_run_is_resumed(folder: Path, stopped: Path, tmp_path: Path) -> None:
    nothing = "has no such run that has not ended"
    assert nothing in fail(2, "train", "--resume", "--runs", tmp_path / "none")
    for wanted in (["mlp"], ["lenet5", "--seed", 1], ["--dataset", "digits"]):
        assert nothing in fail(2, "train", *wanted, "--runs", tmp_path, "--resume")
    assert "no run: neither gone" in fail(2, "train", "--runs", tmp_path, "--resume", "gone")
    message = fail(2, "evaluate", stopped)
    assert f"the run has not ended; `striate train --resume {stopped}`" in message
    succeed("train", "--dataset", folder, "--runs", tmp_path, "--resume")
    assert nothing in fail(2, "train", "--resume", "--runs", tmp_path)


def test_a_run_without_a_checkpoint_begins_again(stopped: Path) -> None:
    for path in (stopped / "checkpoints").iterdir():
        path.unlink()
    assert "Epoch 1/4" in succeed("train", "--resume", stopped)


def test_a_damaged_run(stopped: Path) -> None:
    run = stopped / "run.json"
    text = run.read_text()
    run.write_text(text[:-20])
    assert "run.json: damaged" in fail(1, "train", "--resume", stopped)
    run.write_text(json.dumps({"settings": {"network": "lenet5"}}))
    assert "is not what this version writes" in fail(1, "train", "--resume", stopped)
    run.write_text(text)
    for path in (stopped / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert "no checkpoint can be read" in fail(1, "train", "--resume", stopped)


def test_images_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    bad = folder / "train" / "rose" / "3.png"
    cut(bad, 0.4)
    given = ["train", "lenet5", "--dataset", folder, *SMALL, "--epochs", 1, "--runs", tmp_path]
    assert str(bad) in fail(1, *given)
    output = succeed(*given, "--on-error", "skip")
    assert "Warning: " in output and "skipped 1 of 24 images" in output and str(bad) in output


def test_folders_that_are_none(folder: Path, tmp_path: Path) -> None:
    def message(code: int, *arguments: object) -> str:
        return fail(code, "train", "lenet5", "--runs", tmp_path / "runs", *arguments)

    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no class" in message(1, "--dataset", empty)
    (folder / "train" / "none").mkdir()
    assert "no image in none" in message(1, "--dataset", folder)
    (folder / "train" / "none").rmdir()
    assert "no folder either" in message(2, "--dataset", tmp_path / "nowhere")
    split = message(2, "--dataset", folder, "--validation-split", 0.5)
    assert "--validation-split" in split and "val/" in split
    save(photo(0), folder / "val" / "orchid" / "0.png")
    assert "has orchid, which is none of the 3 classes daisy, rose, tulip" in message(
        2, "--dataset", folder
    )
    few = tmp_path / "few"
    save(photo(0), few / "a" / "0.png")
    save(photo(0), few / "b" / "0.png")
    assert "too few for training and for validation" in message(2, "--dataset", few)
    assert not (tmp_path / "runs").exists()


def test_networks_that_do_not_suit(folder: Path, tmp_path: Path) -> None:
    runs = ["--runs", tmp_path / "runs"]
    assert "alexnet: --dataset is missing" in fail(2, "train", "alexnet", *runs)
    digits = ["--dataset", "digits", "--limit", 20]
    message = fail(1, "train", "alexnet", *digits, *runs)
    assert "28x28 are too small" in message and "--image-size 224" in message
    message = fail(1, "train", "alexnet", *digits, *runs, "--image-size", 60)
    assert "60x60 are too small" in message and "makes images larger" not in message
    message = fail(2, "train", "lenet5-1998", "--dataset", folder, *runs)
    assert "10 classes" in message and "3 classes" in message
    assert not (tmp_path / "runs").exists()


def test_the_network_of_1998_on_a_folder(tmp_path: Path) -> None:
    for digit in range(10):
        for number in range(2):
            save(photo(digit + number, 28, 28), tmp_path / "digits" / str(digit) / f"{number}.png")
    succeed("train", "lenet5-1998", "--dataset", tmp_path / "digits", "--epochs", 1, "--runs",
            tmp_path, "--name", "x")  # fmt: skip
    assert "% of 10 test images" in succeed("evaluate", tmp_path / "x")
    save(photo(1, 60, 40), tmp_path / "p.png")
    assert "distance " in succeed("predict", tmp_path / "x", tmp_path / "p.png")


def test_a_named_set_made_larger(tmp_path: Path) -> None:
    succeed("train", "resnet20", "--dataset", "digits", "--limit", 20, "--image-size", 14,
            "--epochs", 1, "--runs", tmp_path, "--name", "x")  # fmt: skip
    result = json.loads((tmp_path / "x" / "result.json").read_text())
    assert result["recipe"] == "characters"
    output = succeed("evaluate", tmp_path / "x", "--dataset", "digits", "--limit", 20)
    assert f"{100 * result['accuracy']:.2f} % of 20" in output
    save(np.pad(np.zeros((40, 10), np.uint8), 20, constant_values=255), tmp_path / "one.png")
    assert "one.png: " in succeed("predict", tmp_path / "x", tmp_path / "one.png")


def test_cifar_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)

    def load(path: object = None) -> Any:
        if path is not None:
            raise DatasetNotFound("cifar10: found in no folder; pass --data DIR")
        parts = [rng.integers(0, 256, (n, 32, 32, 3)).astype(np.uint8) for n in (20, 8)]
        return tuple((x, (np.arange(len(x)) % 10).astype(np.uint8)) for x in parts)

    monkeypatch.setattr("striate.datasets.cifar10.load_data", load)
    output = succeed("train", "resnet20", "--epochs", 1, "--runs", tmp_path, "--verbose")
    assert "RandomFlip" in output and "20 training and 8 test images of cifar10" in output
    assert "airplane" in output
    model = load_model(tmp_path / "resnet20-cifar10-0" / "model.safetensors")
    assert model.metadata["classes"][3] == "cat" and "shorter_side" not in model.metadata
    output = succeed("evaluate", tmp_path / "resnet20-cifar10-0", "--top", "1,5")
    assert output.startswith("cifar10: ") and "top-5 error" in output
    assert "--data DIR" in fail(2, "train", "resnet20", "--data", tmp_path, "--runs", tmp_path)
