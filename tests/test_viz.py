"""The pictures: drawn, not empty, and showing what they say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure
from striate import layers, viz
from striate.applications import MLP, LeNet5, LeNet5_1998
from striate.errors import ArgumentError, MissingExtraError, ShapeError
from striate.models import Model, Sequential

RNG = np.random.default_rng(0)
HISTORY = {
    "loss": [0.5, 0.2, 0.1],
    "accuracy": [0.8, 0.9, 0.95],
    "val_loss": [0.4, 0.25, 0.2],
    "val_accuracy": [0.85, 0.92, 0.94],
}


def pixels(figure: Figure, folder: Path) -> np.ndarray[Any, Any]:
    """The picture [H, W, 4] as it reads back from its PNG file."""
    from matplotlib.image import imread

    path = folder / "picture.png"
    figure.savefig(path)
    assert path.stat().st_size > 1000
    return np.asarray(imread(path))


def assert_drawn(figure: Figure, folder: Path) -> None:
    """More than a few values in every quarter of the picture."""
    image = pixels(figure, folder)
    height, width = image.shape[0] // 2, image.shape[1] // 2
    for rows in (slice(0, height), slice(height, None)):
        for columns in (slice(0, width), slice(width, None)):
            assert image[rows, columns, :3].std() > 0.005


def test_history(tmp_path: Path) -> None:
    figure = viz.plot_history(HISTORY, title="a run", held_out="test")
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy (%)"]
    for axes in figure.axes:
        legend = axes.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == ["training", "test"]
    assert_drawn(figure, tmp_path)


def test_history_of_nothing() -> None:
    with pytest.raises(ArgumentError, match="empty"):
        viz.plot_history({})


def test_kernels_of_first_layer(tmp_path: Path) -> None:
    figure = viz.plot_kernels(LeNet5())
    assert figure.axes[0].get_title() == "c1: 6 kernels 5x5"
    assert_drawn(figure, tmp_path)


def test_kernels_leave_out_what_a_table_does_not_connect(tmp_path: Path) -> None:
    model = LeNet5_1998()
    figure = viz.plot_kernels(model, "c3")
    shown = figure.axes[0].images[0].get_array()
    sheet: np.ndarray[Any, Any] = np.ma.asarray(shown).filled(np.nan)
    assert sheet.shape == (6 * 6 - 1, 16 * 6 - 1)
    assert (~np.isnan(sheet[2::6, 2::6])).sum() == 60  # the middle of each kernel
    assert_drawn(figure, tmp_path)


def test_kernels_need_a_convolution() -> None:
    with pytest.raises(ArgumentError, match="c1, c3"):
        viz.plot_kernels(LeNet5(), "c9")
    with pytest.raises(ArgumentError, match="no convolution"):
        viz.plot_kernels(MLP(4))


def test_feature_maps_are_the_layers_outputs() -> None:
    model = Sequential(
        [
            layers.Input(shape=(6, 6, 1)),
            layers.Conv2D(2, 3, name="a"),
            layers.MaxPooling2D(2, name="b"),
            layers.Flatten(name="c"),
        ]
    )
    image = RNG.normal(size=(6, 6, 1)).astype(np.float32)
    before = model.get_weights()
    maps = viz.feature_maps(model, image)
    assert {name: m.shape for name, m in maps.items()} == {"a": (4, 4, 2), "b": (2, 2, 2)}
    np.testing.assert_allclose(maps["b"], maps["a"].reshape(2, 2, 2, 2, 2).max(axis=(1, 3)))
    np.testing.assert_allclose(maps["b"].ravel(), model.predict(image[None])[0])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_feature_maps_of_a_graph() -> None:
    inputs = layers.Input((6, 6, 2))
    stem = layers.Conv2D(3, 3, padding="same", name="stem")(inputs)
    total = layers.Add(name="sum")([stem, layers.Conv2D(3, 1, name="side")(inputs)])
    output = layers.Dense(2)(layers.GlobalAveragePooling2D()(total))
    model = Model(inputs, output)
    image = RNG.normal(size=(6, 6, 2)).astype(np.float32)
    maps = viz.feature_maps(model, image)
    assert list(maps) == ["stem", "side", "sum"]
    np.testing.assert_allclose(maps["sum"], maps["stem"] + maps["side"], rtol=1e-5)


@pytest.mark.parametrize("build, side", [(LeNet5, 28), (LeNet5_1998, 32)])
def test_feature_maps_are_drawn(build: Any, side: int, tmp_path: Path) -> None:
    image = np.zeros((side, side, 1), np.float32)
    image[8:20, 12:16] = 1
    figure = viz.plot_feature_maps(build(), image)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title.split(":")[0] for title in titles] == ["input", "c1", "s2", "c3", "s4"]
    assert_drawn(figure, tmp_path)


def test_feature_maps_check_the_image() -> None:
    with pytest.raises(ShapeError, match=r"\(28, 28, 1\)"):
        viz.plot_feature_maps(LeNet5(), np.zeros((28, 28), np.float32))
    with pytest.raises(ArgumentError, match="no layer with maps"):
        viz.plot_feature_maps(MLP(4), np.zeros((28, 28, 1), np.float32))


def test_misclassified(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (50, 28, 28)).astype(np.uint8)
    true = np.arange(50) % 10
    predicted = np.where(np.arange(50) < 20, (true + 1) % 10, true)
    figure = viz.plot_misclassified(images, true, predicted, limit=16)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["0 > 1", "1 > 2"]
    assert len(figure.axes) == 16
    assert_drawn(figure, tmp_path)


def test_misclassified_when_all_is_right(tmp_path: Path) -> None:
    labels = np.arange(10)
    figure = viz.plot_misclassified(np.zeros((10, 28, 28), np.uint8), labels, labels)
    assert pixels(figure, tmp_path).std() > 0
    with pytest.raises(ShapeError, match="as many"):
        viz.plot_misclassified(np.zeros((9, 28, 28), np.uint8), labels, labels)


def test_confusion_matrix(tmp_path: Path) -> None:
    matrix = np.diag(np.full(10, 90)) + np.eye(10, k=1, dtype=int) * 3
    figure = viz.plot_confusion_matrix(matrix)
    assert figure.axes[0].get_title() == "900 of 927 right"
    assert_drawn(figure, tmp_path)
    with pytest.raises(ShapeError, match="square"):
        viz.plot_confusion_matrix(np.zeros((2, 3), int))


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"striate\[plot\]"):
        viz.plot_history(HISTORY)


def test_augmented(tmp_path: Path) -> None:
    from striate.augment import Cutout, Normalize, Pipeline, RandomAffine, RandomFlip

    photos = RNG.integers(0, 256, (5, 12, 12, 3)).astype(np.uint8)
    steps = [RandomFlip(), Normalize(0.5, 0.5), Cutout(5)]
    figure = viz.plot_augmented(photos, steps, epochs=3, limit=4, seed=2)
    assert len(figure.axes) == 4 * 4
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    np.testing.assert_array_equal(shown[0], photos[0])
    trained_on = Pipeline(steps)(photos[:4], seed=2, epoch=1)[3]  # its numbers, not Normalize's
    covered = (trained_on == 0).all(axis=2)
    np.testing.assert_array_equal((shown[3 * 4 + 2] == 0).all(axis=2), covered)
    np.testing.assert_allclose(
        shown[3 * 4 + 2][~covered] / 127.5 - 1, trained_on[~covered], atol=1e-3
    )
    assert_drawn(figure, tmp_path)
    digits = viz.plot_augmented(photos[..., 0], RandomAffine(20), epochs=2, limit=2)
    assert len(digits.axes) == 6
    with pytest.raises(ArgumentError, match="needs an image"):
        viz.plot_augmented(photos[:0], RandomFlip())
    with pytest.raises(ShapeError, match="1 or 3 channels"):
        viz.plot_augmented(photos[..., :2], RandomFlip())
