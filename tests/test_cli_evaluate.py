"""`striate evaluate` and `striate predict` on folders of images that the tests make.

The network says by colour: class 0 is red, 1 green, 2 blue, so what it must answer is known.
"""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import fail, succeed
from image_files import Image, cut, save
from striate import Input, Model, Sequential, layers
from striate.augment import Draw
from striate.cli.crops import SmallViews, TenCrops, views
from striate.cli.inputs import prepare
from striate.cli.scores import Scores, class_report, score, write_report
from striate.datasets import ImageFolder
from striate.errors import ArgumentError, ShapeError

COLOURS = np.array([[200, 60, 30], [60, 200, 30], [30, 60, 200]], np.uint8)
SIDE = 8


def painted(colour: int, height: int = 10, width: int = 12) -> np.ndarray[Any, Any]:
    return np.broadcast_to(COLOURS[colour], (height, width, 3)).copy()


def by_colour(classes: int = 3, rescaling: bool = True, name: str = "by_colour") -> Sequential:
    first = [layers.Rescaling(1 / 255, name="normalize")] if rescaling else []
    model = Sequential(
        [Input((SIDE, SIDE, 3)), *first, layers.GlobalAveragePooling2D(name="mean"),
         layers.Dense(classes, "softmax", name="out")],
        name=name,
    )  # fmt: skip
    kernel = np.zeros((3, classes), np.float32)
    kernel[:, :3] = 10 * np.eye(3)
    bias = np.zeros(classes, np.float32)
    bias[3:] = np.linspace(-1, -2, classes - 3)
    model.get_layer("out").set_weights([kernel, bias])
    return model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    network = by_colour()
    network.metadata = {"classes": ["red", "green", "blue"], "inputs": "none", "dataset": "none"}
    network.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images: of four red ones one looks blue, of three green ones one red, three blue ones."""
    root = tmp_path / "images"
    looks = {"red": [0, 0, 0, 2], "green": [1, 1, 0], "blue": [2, 2, 2]}
    for name, colours in looks.items():
        for number, colour in enumerate(colours):
            save(painted(colour, 9 + number, 12), root / name / f"{number}.png")
    return root


def test_errors_and_classes(model: Path, folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    output = succeed("evaluate", model, folder, "--top", "2,1", "--report", report)
    assert "80.00 % of 10 test images right, 2 wrong; top-1 error 20.00 %, top-2 error 10.00 %" in (
        output
    )
    assert "8x8, of images with a shorter side of 8; preprocess none" in output
    assert "0 red  1 green  2 blue" in output
    with open(report, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["class", "name", "images", "top_1_accuracy", "top_2_accuracy",
                       "most_often_taken_for"]  # fmt: skip
    # Blue's second colour is green, so the red one that looks blue is not among the first two.
    assert rows[1:] == [
        ["1", "green", "3", "0.666667", "1.000000", "red (1)"],
        ["0", "red", "4", "0.750000", "0.750000", "blue (1)"],
        ["2", "blue", "3", "1.000000", "1.000000", ""],
    ]


def test_validation_images_beside_training_ones(model: Path, folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    for part in ("train", "val"):
        for name in ("red", "green", "blue"):
            save(painted(0 if part == "train" else 1), root / part / name / "1.png")
    output = succeed("evaluate", model, root)
    assert f"{root / 'val'}: 33.33 % of 3" in output
    assert f"{root / 'val'}: 33.33 % of 3" in succeed("evaluate", model, "--dataset", root)
    message = fail(2, "evaluate", model, root, "--dataset", root)
    assert "give a folder or --dataset, not both" in message


def test_ten_crops_are_averaged(folder: Path, tmp_path: Path) -> None:
    """Against the same by hand, with a network to which places matter."""
    network = Sequential(
        [Input((SIDE, SIDE, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3)]
    )
    network.save(tmp_path / "places.safetensors")
    rng = np.random.default_rng(0)
    for name in ("red", "green", "blue"):
        for number in range(2):
            noise = rng.integers(0, 256, (13, 11, 3)).astype(np.uint8)
            save(noise, folder / name / f"noise{number}.png")
    images = ImageFolder(folder, image_size=10)
    right = 0
    for number, label in enumerate(images.with_classes(["blue", "green", "red"]).labels):
        image = images.image(number)
        height, width, _ = image.shape
        corners = [(0, 0), (0, width - 8), (height - 8, 0), (height - 8, width - 8),
                   ((height - 8) // 2, (width - 8) // 2)]  # fmt: skip
        crops = [image[i : i + 8, j : j + 8] for i, j in corners]
        crops += [crop[:, ::-1] for crop in crops]
        logits = network.predict(np.stack(crops)).astype(np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        right += int((odds / odds.sum(axis=1, keepdims=True)).mean(axis=0).argmax() == label)
    output = succeed(
        "evaluate", tmp_path / "places.safetensors", folder, "--crops", 10, "--resize", 10,
        "--batch-size", 3, "--workers", 2,
    )  # fmt: skip
    assert f"{100 * right / 16:.2f} % of 16 test images" in output
    assert "ten crops" in output


def test_small_views() -> None:
    x = np.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3).astype(np.uint8)
    two = SmallViews((4, 4), False).images(x, Draw(0, 0, np.arange(2)))
    np.testing.assert_array_equal(two, np.stack([x, x[:, :, ::-1]], axis=1))
    six = SmallViews((4, 4), True).images(x, Draw(0, 0, np.arange(2)))
    assert six.shape == (2, 6, 4, 4, 3)
    np.testing.assert_array_equal(six[:, 0], x)
    np.testing.assert_array_equal(six[:, 1, 1:, 1:], x[:, :-1, :-1])  # down and right
    np.testing.assert_array_equal(six[:, 1, 0, 0], x[:, 1, 1])
    np.testing.assert_array_equal(six[:, 2, :-1, :-1], x[:, 1:, 1:])
    np.testing.assert_array_equal(six[:, 2, 3, 3], x[:, 2, 2])
    np.testing.assert_array_equal(six[:, 3:], six[:, :3, :, ::-1])


def test_ten_crops() -> None:
    x = np.arange(2 * 5 * 7 * 3).reshape(2, 5, 7, 3).astype(np.uint8)
    crops = TenCrops((4, 4)).images(x, Draw(0, 0, np.arange(2)))
    assert crops.shape == (2, 10, 4, 4, 3)
    np.testing.assert_array_equal(crops[1, 0], x[1, :4, :4])
    np.testing.assert_array_equal(crops[1, 3], x[1, 1:, 3:])
    np.testing.assert_array_equal(crops[1, 4], x[1, :4, 1:5])
    np.testing.assert_array_equal(crops[0, 7], x[0, 1:, :4][:, ::-1])
    with pytest.raises(ShapeError, match="5 x 7 are smaller than 6 x 4"):
        TenCrops((6, 4)).images(x, Draw(0, 0, np.arange(2)))


def test_the_views_of_the_1998_network_come_before_its_border() -> None:
    x = np.zeros((2, 28, 28, 1), np.uint8)
    draw = Draw(0, 0, np.arange(2))
    for step in views((28, 28), 28, 1, "lenet5-1998"):
        x = step.images(x, draw)
    assert x.shape == (2, 32, 32, 1)


def test_images_that_cannot_be_read(model: Path, folder: Path) -> None:
    cut(folder / "red" / "0.png", 0.5)
    message = fail(1, "evaluate", model, folder)
    assert str(folder / "red" / "0.png") in message
    output = succeed("evaluate", model, folder, "--on-error", "skip")
    assert "of 9 test images" in output
    assert "Warning: " in output and "skipped 1 of 10 images" in output and "0.png" in output
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    assert "no image could be read" in fail(2, "evaluate", model, folder, "--on-error", "skip")


def test_folders_that_are_none(model: Path, folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no class" in fail(1, "evaluate", model, empty)
    (folder / "none").mkdir()
    assert "no image in none" in fail(1, "evaluate", model, folder)
    assert "no folder" in fail(2, "evaluate", model, tmp_path / "nowhere")
    message = fail(2, "evaluate", model, "--dataset", tmp_path / "nowhere")
    assert "no data set has that name, and no folder either" in message


def test_classes_go_by_name(model: Path, folder: Path, tmp_path: Path) -> None:
    """Of some of the network's classes; of others, by their order, or not at all."""
    for path in (folder / "green").iterdir():
        path.unlink()
    (folder / "green").rmdir()
    assert "85.71 % of 7" in succeed("evaluate", model, folder)
    save(painted(0), folder / "alien" / "0.png")
    output = succeed("evaluate", model, folder)
    assert "not called as the classes, and are taken in order" in output
    save(painted(0), folder / "other" / "0.png")
    message = fail(2, "evaluate", model, folder)
    assert "4 classes, by_colour has 3: and alien is none of those" in message


def test_names_from_a_file(folder: Path, tmp_path: Path) -> None:
    """A model that says nothing of its classes."""
    by_colour(5).save(tmp_path / "five.safetensors")
    path = tmp_path / "five.safetensors"
    message = fail(2, "evaluate", path, folder)
    assert "3 classes, by_colour has 5: give their names" in message
    names = tmp_path / "names.txt"
    names.write_text("\ufeffred\ngreen\nblue\ngrey\nbrown\n\n", encoding="utf-8")
    assert "80.00 % of 10" in succeed("evaluate", path, folder, "--labels", names)
    names.write_text("red\ngreen\n")
    for command in ("evaluate", "predict"):
        message = fail(2, command, path, folder / "red" / "0.png", "--labels", names) if (
            command == "predict"
        ) else fail(2, command, path, folder, "--labels", names)  # fmt: skip
        assert "has 2 names, by_colour has 5 classes" in message
    names.write_bytes(b"\xff\xfe\x00")
    assert "no text in UTF-8" in fail(1, "evaluate", path, folder, "--labels", names)


def test_top(model: Path, folder: Path) -> None:
    message = fail(2, "evaluate", model, folder, "--top", "1,3")
    assert "by_colour has 3 classes, so top-3 is always right" in message
    for wrong in ("0", "x", "1,,2", "-1"):
        assert "whole numbers from 1 on" in fail(2, "evaluate", model, folder, "--top", wrong)


def test_how_pixels_become_the_input(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "plain.safetensors"
    by_colour(rescaling=False).save(path)  # says nothing, and begins with no Rescaling
    assert "--preprocess: none" in fail(2, "evaluate", path, folder)
    for mode in ("none", "unit", "torch", "caffe", "tf"):
        output = succeed("evaluate", path, folder, "--preprocess", mode)
        assert f"preprocess {mode}" in output
        # The folders' order is blue, green, red, as Caffe's networks take the colours.
        assert ("80.00 % of 10" in output) == (mode == "caffe")
    assert "Invalid value for '--preprocess'" in fail(2, "evaluate", path, "--preprocess", "x")
    assert "at least 8" in fail(2, "evaluate", path, folder, "--preprocess", "unit", "--resize", 5)


def test_prepare() -> None:
    x = np.full((2, 28, 28, 1), 255, np.uint8)
    assert prepare("none", x) is x
    assert prepare("unit", x).max() == 1 and prepare("unit", x).dtype == np.float32
    assert prepare("lenet5-1998", x).shape == (2, 32, 32, 1)


def test_a_network_of_no_images(tmp_path: Path) -> None:
    path = tmp_path / "dense.safetensors"
    Sequential([Input((4,)), layers.Dense(3, "softmax")], name="dense").save(path)
    message = fail(1, "evaluate", path, "--preprocess", "unit")
    assert "dense takes inputs (4,), which are no images" in message


def test_named_sets_that_do_not_suit(model: Path, tmp_path: Path) -> None:
    message = fail(2, "evaluate", model, "--dataset", "digits", "--limit", 10)
    assert "digits has 10 classes, by_colour has 3" in message
    by_colour(10).save(tmp_path / "ten.safetensors")
    message = fail(2, "evaluate", tmp_path / "ten.safetensors", "--dataset", "digits", "--limit", 9)
    assert "digits: images of 1 channel, by_colour takes 3" in message


def many(count: int = 30) -> Scores:
    rng = np.random.default_rng(0)
    true = np.repeat(np.arange(count), 4)
    ranks = rng.integers(0, count, len(true))
    predicted = np.where(ranks == 0, true, (true + 1) % count)
    return Scores(true, predicted, ranks, count)


def test_a_report_of_many_classes(tmp_path: Path) -> None:
    scores = many()
    text = class_report(scores, [f"name{i}" for i in range(30)], [1, 5])
    lines = text.splitlines()
    assert lines[0].split() == "class images top-1 top-5 most often taken for".split()
    assert len(lines) == 12 and lines[-1] == "and 20 classes with a higher accuracy"
    shares = [float(line.split()[2]) for line in lines[1:-1]]
    assert shares == sorted(shares)
    assert "name1 (" in text or "name2 (" in text
    write_report(tmp_path / "r.csv", scores, None, [1])
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 31


def test_scores_count_as_ilsvrc_does() -> None:
    """Ties are for the image; a NaN is never right; distances are the smaller the better."""
    outputs = np.array([[0.2, 0.2, 0.6], [0.5, 0.5, 0.0], [np.nan, 0.5, 0.5]], np.float32)
    identity = Sequential([Input((3,)), layers.Activation("softmax")])
    logged = np.log(np.maximum(outputs, 1e-9))
    scores = score(identity, [(logged[:2], np.array([1, 1])), (logged[2:], np.array([1]))])
    assert scores.ranks.tolist() == [1, 0, 3]
    assert [scores.right(k) for k in (1, 2)] == [1, 2]
    assert scores.error(2) == pytest.approx(1 / 3)
    told: list[int] = []
    score(identity, [(logged[:2], np.array([1, 1]))], done=told.append)
    assert told == [2]
    with pytest.raises(ArgumentError, match="an image is of class 3"):
        score(identity, [(logged[:2], np.array([1, 3]))])
    with pytest.raises(ArgumentError, match="no image"):
        score(identity, [])


def test_predict_names_classes(model: Path, tmp_path: Path) -> None:
    for name, options in (
        ("a.png", {}), ("b.jpg", {"quality": 95}), ("c.bmp", {}), ("d.gif", {}), ("e.webp", {}),
        ("f.tiff", {}), ("g.ppm", {}), ("h.tga", {}),
    ):  # fmt: skip
        save(painted(1), tmp_path / name, **options)
    paths = sorted(path for path in tmp_path.iterdir() if path.stem in "abcdefgh")
    output = succeed("predict", model, *paths, "--top", 2)
    lines = output.splitlines()
    assert lines[::3] == list(map(str, paths)) and len(paths) == 8
    assert all(line.endswith("%  green") for line in lines[1::3])
    assert all(line.endswith("%  red") for line in lines[2::3])
    whole = succeed("predict", model, paths[0]).splitlines()
    assert len(whole) == 4  # three classes, though five would be named
    shares = [float(line.split()[0]) for line in whole[1:]]
    assert sum(shares) == pytest.approx(100, abs=0.02) and shares == sorted(shares, reverse=True)
    assert succeed("predict", model, paths[0], "--crops", 10, "--resize", 9).splitlines() == whole
    assert "by_colour has 3 classes" in fail(2, "predict", model, paths[0], "--top", 4)


def test_predict_other_kinds_of_pixels(model: Path, tmp_path: Path) -> None:
    gray = np.full((9, 9), 40000, np.uint16)
    save(gray, tmp_path / "deep.png")
    transparent = np.dstack([painted(2), np.full((10, 12), 128, np.uint8)])
    save(transparent, tmp_path / "clear.png")
    palette = Image.fromarray(painted(2)).quantize(4)
    save(palette, tmp_path / "palette.png")
    output = succeed("predict", model, *(tmp_path / f"{n}.png" for n in ("clear", "palette")))
    assert [line.split()[-1] for line in output.splitlines()[1::4]] == ["blue", "blue"]
    assert "33.33 %" in succeed("predict", model, tmp_path / "deep.png")


def test_predict_turns_photographs(tmp_path: Path) -> None:
    """A camera on its side: the upper half, not the left one, is what counts here."""
    network = Sequential(
        [Input((4, 4, 1)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2, "softmax")]
    )
    kernel = np.zeros((4, 4, 2), np.float32)
    kernel[:2, :, 0], kernel[2:, :, 1] = 1, 1
    network.layers[-1].set_weights([kernel.reshape(16, 2), np.zeros(2, np.float32)])
    network.metadata = {"classes": ["up", "down"], "inputs": "none"}
    network.save(tmp_path / "half.safetensors")
    left_is_bright = np.zeros((8, 8), np.uint8)
    left_is_bright[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise: the left side becomes the upper one
    save(left_is_bright, tmp_path / "side.png", exif=exif)
    output = succeed("predict", tmp_path / "half.safetensors", tmp_path / "side.png")
    assert output.splitlines()[1].endswith("up") and "99.9" in output


def test_predict_what_is_no_image(model: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("no picture")
    assert "text.png: not an image" in fail(1, "predict", model, text)
    save(painted(0, 40, 40), tmp_path / "cut.png")
    cut(tmp_path / "cut.png", 0.5)
    assert "cut.png: damaged image" in fail(1, "predict", model, tmp_path / "cut.png")
    assert "nowhere.png" in fail(1, "predict", model, tmp_path / "nowhere.png")
    assert "directory" in fail(1, "predict", model, tmp_path)


def test_several_outputs_answer_by_the_first(folder: Path, tmp_path: Path) -> None:
    image = Input((SIDE, SIDE, 3))
    mean = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(image))
    heads = [layers.Dense(3, "softmax", name=name)(mean) for name in ("out", "aux")]
    network = Model(image, heads, name="heads")
    network.get_layer("out").set_weights([10 * np.eye(3), np.zeros(3)])
    network.metadata = {"classes": ["red", "green", "blue"]}
    network.save(tmp_path / "heads.safetensors")
    assert "80.00 % of 10" in succeed("evaluate", tmp_path / "heads.safetensors", folder)
    output = succeed("predict", tmp_path / "heads.safetensors", folder / "blue" / "0.png")
    assert output.splitlines()[1].endswith("blue")
