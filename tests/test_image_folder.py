"""Folders of images: what is found, arrays and batches of it, and files that cannot be read."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from image_files import cut, photo, save  # noqa: E402
from striate import Input, Sequential, layers, set_random_seed  # noqa: E402
from striate.augment import CenterCrop, Normalize, RandomFlip, RandomResizedCrop, Resize  # noqa: E402
from striate.datasets import ImageFolder, image_dataset_from_directory  # noqa: E402
from striate.errors import (  # noqa: E402
    ArgumentError,
    CorruptImageError,
    FormatError,
    MissingExtraError,
    ShapeError,
    StriateWarning,
)

RNG = np.random.default_rng(8)
COLOURS = RNG.integers(0, 256, (6, 5, 3)).astype(np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve images of three classes, 8 x 8: PNG, so that they read back as they were."""
    for k, name in enumerate(("dog", "cat", "eel")):
        for i in range(4):
            save(photo(4 * k + i), tmp_path / "set" / name / f"{i}.png")
    return tmp_path / "set"


def test_classes_paths_and_labels(root: Path) -> None:
    (root / "cat" / "notes.txt").write_text("no image")
    (root / "cat" / ".hidden.png").write_bytes(b"")
    (root / ".cache").mkdir()
    (root / "readme.md").write_text("no class")
    save(photo(99), root / "cat" / "more" / "deep.PNG")
    folder = ImageFolder(root)
    assert folder.classes == ["cat", "dog", "eel"] and len(folder) == 13
    names = [str(path.relative_to(root)) for path in folder.paths[:6]]
    assert names == ["cat/0.png", "cat/1.png", "cat/2.png", "cat/3.png", "cat/more/deep.PNG",
                     "dog/0.png"]  # fmt: skip
    assert folder.labels.tolist() == [0] * 5 + [1] * 4 + [2] * 4
    np.testing.assert_array_equal(folder.image(4), photo(99))
    assert "13 images of 3 classes" in repr(folder)


def test_class_names_choose_and_order(root: Path) -> None:
    (root / "empty").mkdir()
    folder = ImageFolder(root, class_names=["eel", "cat"])
    assert folder.classes == ["eel", "cat"] and folder.labels.tolist() == [0] * 4 + [1] * 4
    with pytest.raises(ArgumentError, match="but not ray"):
        ImageFolder(root, class_names=["eel", "ray"])
    with pytest.raises(ArgumentError, match="each once"):
        ImageFolder(root, class_names=["eel", "eel"])


def test_a_folder_without_a_class(tmp_path: Path) -> None:
    save(COLOURS, tmp_path / "loose.png")
    with pytest.raises(FormatError, match=r"no class: images are expected in .*/CLASS"):
        ImageFolder(tmp_path)
    with pytest.raises(FormatError, match="No such file"):
        ImageFolder(tmp_path / "missing")


def test_an_empty_class_is_named(root: Path) -> None:
    (root / "fox").mkdir()
    with pytest.raises(FormatError, match="no image in fox: .*class_names="):
        ImageFolder(root)


def test_links_are_followed_if_asked(root: Path, tmp_path: Path) -> None:
    save(photo(50), tmp_path / "elsewhere" / "x.png")
    (root / "cat" / "link").symlink_to(tmp_path / "elsewhere")
    (root / "cat" / "loop").symlink_to(root / "cat")
    assert len(ImageFolder(root)) == 12
    assert len(ImageFolder(root, follow_links=True)) == 13


def test_subset(root: Path) -> None:
    part = ImageFolder(root).subset([11, 0])
    assert part.classes == ["cat", "dog", "eel"] and part.labels.tolist() == [2, 0]
    np.testing.assert_array_equal(part.image(0), photo(11))


def test_max_pixels(root: Path) -> None:
    with pytest.raises(CorruptImageError, match="8 x 8 is more than 63 pixels"):
        ImageFolder(root, max_pixels=63).image(0)
    assert ImageFolder(root, max_pixels=64).image(0).shape == (8, 8, 3)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_a_file_that_may_not_be_read(root: Path) -> None:
    (root / "cat" / "0.png").chmod(0)
    with pytest.raises(CorruptImageError, match="0.png: cannot be read: Permission denied"):
        ImageFolder(root).load()


def test_skipping(root: Path) -> None:
    (root / "cat" / "2.png").write_bytes(b"no image")
    cut(root / "eel" / "0.png", 0.5)
    folder = ImageFolder(root, on_error="skip")
    with pytest.warns(StriateWarning, match="skipped 2 of 12 images") as caught:
        x, y = folder.load()
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "cat/2.png: is no image" in text and "eel/0.png: damaged or cut short" in text
    assert len(x) == 10 and y.tolist() == [0] * 3 + [1] * 4 + [2] * 3
    assert sorted(path.name for path in folder.skipped) == ["0.png", "2.png"]
    # The same files are warned of once in a process, also by batches.
    batches = list(folder.loader(batch_size=5, shuffle=False, workers=2))
    assert [len(batch[0]) for batch in batches] == [4, 4, 2]
    for strict in (ImageFolder(root), ImageFolder(root, on_error="raise")):
        with pytest.raises(CorruptImageError, match="cat/2.png"):
            strict.load()
        with pytest.raises(CorruptImageError, match="^sample 2: .*cat/2.png"):
            list(strict.loader(shuffle=False))


def test_nothing_but_bad_files(tmp_path: Path) -> None:
    for k in range(3):
        (tmp_path / "set" / "class").mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / "class" / f"{k}.png").write_bytes(b"no image")
    folder = ImageFolder(tmp_path / "set", on_error="skip")
    with pytest.warns(StriateWarning), pytest.raises(CorruptImageError, match="none of 3 images"):
        folder.load()
    assert list(folder.loader(batch_size=2)) == []


def test_without_pillow(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r'pip install "striate\[images\]"'):
        ImageFolder(root).image(0)


# Arrays and batches


@pytest.mark.parametrize("workers", [1, 3])
def test_load(root: Path, workers: int) -> None:
    x, y = ImageFolder(root).load(workers=workers)
    order = [4, 5, 6, 7, 0, 1, 2, 3, 8, 9, 10, 11]  # cat, dog, eel
    np.testing.assert_array_equal(x, [photo(k) for k in order])
    assert x.dtype == np.uint8 and y.dtype == np.int64 and y.tolist() == sorted([0, 1, 2] * 4)
    small, _ = ImageFolder(root, image_size=(4, 6), color_mode="grayscale").load()
    assert small.shape == (12, 4, 6, 1)


def test_images_of_different_sizes(root: Path) -> None:
    save(photo(1, 9, 12), root / "dog" / "1.png")
    with pytest.raises(ShapeError, match=r"0.png is \(8, 8, 3\), .*dog/1.png is .*image_size="):
        ImageFolder(root).load()
    with pytest.raises(ShapeError, match="let the pipeline begin with"):
        list(ImageFolder(root).loader(RandomFlip(), shuffle=False))
    for fit in ("stretch", "crop", "pad"):
        assert ImageFolder(root, image_size=(6, 6), fit=fit).load()[0].shape == (12, 6, 6, 3)
    # As networks for ImageNet are tested: the shorter side, then the centre.
    batch = next(iter(ImageFolder(root).loader([Resize(7), CenterCrop(6)], 12, shuffle=False)))[0]
    expected = np.asarray(
        Image.fromarray(photo(1, 9, 12)).resize((9, 7), Image.Resampling.BILINEAR)
    )[:6, 1:7]
    np.testing.assert_array_equal(batch[5], expected)


def test_batches_are_the_same_at_any_number_of_workers(root: Path) -> None:
    save(photo(1, 9, 12), root / "dog" / "1.png")
    steps = [RandomResizedCrop(6), RandomFlip(), Normalize()]
    reference = list(ImageFolder(root).loader(steps, 5, seed=1, workers=0))
    for workers in (1, 2, 4):
        batches = list(ImageFolder(root).loader(steps, 5, seed=1, workers=workers))
        for got, expected in zip(batches, reference, strict=True):
            np.testing.assert_array_equal(got[0], expected[0])
            np.testing.assert_array_equal(got[1], expected[1])


def test_label_modes(root: Path) -> None:
    folder = ImageFolder(root)

    def labels(mode: str | None, of: ImageFolder = folder) -> Any:
        return next(iter(of.loader(batch_size=12, shuffle=False, label_mode=mode)))[1:]

    assert labels("int")[0].tolist() == folder.labels.tolist()
    np.testing.assert_array_equal(
        labels("categorical")[0], np.eye(3, dtype=np.float32)[folder.labels]
    )
    assert labels(None) == ()
    two = ImageFolder(root, class_names=["cat", "eel"])
    assert labels("binary", two)[0].shape == (8, 1)
    with pytest.raises(ArgumentError, match="2 classes, there are 3"):
        folder.loader(label_mode="binary")
    with pytest.raises(ArgumentError, match="label_mode is"):
        folder.loader(label_mode="one")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color_mode": "cmyk"}, "color_mode is one of"),
        ({"on_error": "ignore"}, "on_error is one of"),
        ({"fit": "bend", "image_size": 8}, "fit is one of"),
        ({"image_size": (0, 8)}, "each at least 1"),
    ],
)
def test_bad_arguments(root: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        ImageFolder(root, **options)


def test_training_from_a_folder(root: Path) -> None:
    def trained(data: Any, **options: Any) -> list[Any]:
        set_random_seed(2)
        model = Sequential(
            [Input((8, 8, 3)), layers.Flatten(), layers.Dense(3, activation="softmax")]
        )
        model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        model.fit(*data, epochs=3, verbose=0, **options)
        assert set(model.evaluate(*data, verbose=0, return_dict=True)) == {"loss", "accuracy"}
        return model.get_weights()

    x, y = ImageFolder(root).load()
    by_arrays = trained((x.astype(np.float32), y), batch_size=4)
    by_folder = trained((ImageFolder(root).loader(batch_size=4),))
    for a, b in zip(by_arrays, by_folder, strict=True):
        np.testing.assert_array_equal(a, b)


# image_dataset_from_directory


def test_from_directory(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = image_dataset_from_directory(root, image_size=(8, 8), batch_size=5, shuffle=False)
    assert capsys.readouterr().out == "Found 12 files belonging to 3 classes.\n"
    assert data.class_names == ["cat", "dog", "eel"] and len(data) == 3
    assert [Path(path).name for path in data.file_paths[:2]] == ["0.png", "1.png"]
    x, y = next(iter(data))
    assert x.dtype == np.float32 and y.tolist() == [0, 0, 0, 0, 1]
    np.testing.assert_array_equal(x[0], photo(4))


def test_from_directory_validation_split(root: Path) -> None:
    options: dict[str, Any] = {
        "image_size": (8, 8), "seed": 3, "validation_split": 0.25, "verbose": False
    }  # fmt: skip
    train, held_out = image_dataset_from_directory(root, subset="both", **options)
    assert (train.samples, held_out.samples) == (9, 3)
    assert set(train.file_paths) | set(held_out.file_paths) == {
        str(path) for path in ImageFolder(root).paths
    }
    for subset, whole in (("training", train), ("validation", held_out)):
        part = image_dataset_from_directory(root, subset=subset, **options)
        assert part.file_paths == whole.file_paths
    unshuffled = image_dataset_from_directory(root, subset="validation", shuffle=False, **options)
    assert [Path(p).parent.name for p in unshuffled.file_paths] == ["eel"] * 3


def test_from_directory_labels(root: Path) -> None:
    options: dict[str, Any] = {"image_size": (8, 8), "shuffle": False, "verbose": False}
    given = image_dataset_from_directory(root, labels=[5] + [1] * 11, **options)
    assert next(iter(given))[1].tolist() == [5] + [1] * 11 and len(given.class_names) == 6
    none = image_dataset_from_directory(root, labels=None, **options)
    assert len(next(iter(none))) == 1
    one_hot = image_dataset_from_directory(root, label_mode="categorical", **options)
    assert next(iter(one_hot))[1].shape == (12, 3)


def test_from_directory_proportions(tmp_path: Path) -> None:
    save(np.repeat(COLOURS[:1], 3, axis=0), tmp_path / "set" / "class" / "wide.png")  # 3 x 5
    options: dict[str, Any] = {"image_size": (3, 3), "verbose": False, "interpolation": "nearest"}

    def image(**more: Any) -> Any:
        data = image_dataset_from_directory(tmp_path / "set", **options, **more)
        return next(iter(data))[0][0]

    np.testing.assert_array_equal(image(crop_to_aspect_ratio=True)[0], COLOURS[0, 1:4])
    padded = image(pad_to_aspect_ratio=True)
    assert (padded[2] == 0).all() and (padded[0] != 0).any()
    assert image(color_mode="grayscale").shape == (3, 3, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interpolation": "gaussian"}, "interpolation is one of"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "either"),
        ({"data_format": "channels_first"}, "channels_last"),
        ({"image_size": 8}, "image_size is"),
        ({"batch_size": None}, "batch_size"),
        ({"subset": "training"}, "go together"),
        ({"validation_split": 0.2}, "go together"),
        ({"validation_split": 2, "subset": "both", "seed": 1}, "between 0 and 1"),
        ({"validation_split": 0.2, "subset": "test", "seed": 1}, 'subset is "training"'),
        ({"validation_split": 0.2, "subset": "both"}, "needs a seed"),
        ({"validation_split": 0.01, "subset": "both", "seed": 1}, "one part empty"),
        ({"labels": "guessed"}, "labels is"),
        ({"labels": [0, 1]}, "labels are 12 class numbers"),
        ({"labels": None, "class_names": ["cat"]}, "class_names goes with"),
        ({"label_mode": "multi"}, "label_mode is"),
    ],
)
def test_from_directory_bad_arguments(root: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        image_dataset_from_directory(root, **({"verbose": False} | options))
