"""What a shift of the image does to feature maps: convolution is equivariant, pooling forgets.

T moves an image by whole pixels. A convolution at stride 1 has conv(T x) = T conv(x), to the bit,
wherever its windows see the same pixels; at stride s that holds for shifts by multiples of s, and
for others conv(T x) is another phase of the stride-1 output. So with pooling. A max pool in windows
of w is unchanged by a shift d < w where the largest pixel stays in its window and no larger one
comes in, which of random pixels (w - d) / (w + d) of the windows do. Global pooling sees no shift.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from striate import Input, Model, Sequential, applications, layers, set_random_seed, viz
from striate.datasets import digits
from striate.errors import ArgumentError, ShapeError
from striate.layers import Layer

Images = NDArray[np.float32]
Shift = tuple[int, int]  # down and to the right
SHIFTS: list[Shift] = [(1, 0), (0, 1), (3, 2), (0, -4), (-2, 5)]
# Alone, channels are in lanes; sixteen at once, samples are.
BATCHES = [1, 16]


def model_of(shape: tuple[int, int, int], *stack: Layer) -> Model:
    """With random biases, too."""
    set_random_seed(5)
    model = Sequential([Input(shape), *stack])
    random = np.random.default_rng(6)
    for layer in model.layers:
        weights = layer.get_weights()
        if len(weights) > 1:
            weights[1] = random.normal(size=weights[1].shape).astype(np.float32)
            layer.set_weights(weights)
    return model


def two_views(
    batch: int, size: tuple[int, int, int], shift: Shift, seed: int = 0
) -> tuple[Images, Images]:
    """(x, T x), cut from one larger random image, so that T x has no invented pixels."""
    height, width, channels = size
    down, right = shift
    shape = (batch, height + abs(down), width + abs(right), channels)
    field = np.random.default_rng(seed).normal(size=shape).astype(np.float32)

    def view(top: int, left: int) -> Images:
        return np.ascontiguousarray(field[:, top : top + height, left : left + width])

    x = view(max(down, 0), max(right, 0))
    return x, view(max(-down, 0), max(-right, 0))


def seen_by_both(y: Images, shifted: Images, shift: Shift) -> tuple[Images, Images]:
    """The parts of T y and of `shifted` that show the same pixels."""
    rows, columns = map(part, shift)
    return y[:, rows[0], columns[0]], shifted[:, rows[1], columns[1]]


def part(d: int) -> tuple[slice, slice]:
    """Of an axis: where the pixels are in y, and where in the shifted output."""
    if d < 0:
        return slice(-d, None), slice(None, d)
    return slice(None, -d or None), slice(d, None)


def assert_moved(y: Images, shifted: Images, shift: Shift) -> None:
    """shifted = T y to the bit, on at least half of the map."""
    expected, found = seen_by_both(y, shifted, shift)
    assert expected.size > y.size / 2
    assert np.ptp(expected) > 0
    np.testing.assert_array_equal(found, expected)


CONVOLUTIONS: dict[str, tuple[int, Callable[[], Layer]]] = {
    "5x5 on 1 map": (1, lambda: layers.Conv2D(6, 5)),
    "5x5 on 6 maps": (6, lambda: layers.Conv2D(16, 5, activation="tanh")),
    "3x3 on 3 maps": (3, lambda: layers.Conv2D(8, 3, activation="relu")),
    "3x3 dilated": (4, lambda: layers.Conv2D(20, 3, dilation_rate=2)),
    "3x3 in groups": (8, lambda: layers.Conv2D(24, 3, groups=2)),
    "1x1": (40, lambda: layers.Conv2D(33, 1)),
    "depthwise 3x3": (20, lambda: layers.DepthwiseConv2D(3)),
}


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_follows_the_image_to_the_bit(name: str, batch: int) -> None:
    channels, layer = CONVOLUTIONS[name]
    size = (22, 27, channels)
    model = model_of(size, layer())
    for shift in SHIFTS:
        x, moved = two_views(batch, size, shift)
        assert_moved(model.predict(x), model.predict(moved), shift)


@pytest.mark.parametrize("batch", BATCHES)
def test_so_does_a_wide_3x3_convolution(batch: int) -> None:
    """To the rounding of its sums: an algorithm that works by tiles rounds by a pixel's place."""
    size = (22, 27, 64)
    model = model_of(size, layers.Conv2D(96, 3))
    for shift in SHIFTS:
        x, moved = two_views(batch, size, shift)
        expected, found = seen_by_both(model.predict(x), model.predict(moved), shift)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_padding_is_what_breaks_it_at_the_border() -> None:
    """Zeros around the image do not move with it: up to half a kernel from the border differs."""
    size, shift = (20, 20, 2), (0, 3)
    model = model_of(size, layers.Conv2D(8, 5, padding="same"))
    x, moved = two_views(1, size, shift)
    expected, found = seen_by_both(model.predict(x), model.predict(moved), shift)
    np.testing.assert_array_equal(found[:, :, 2:-2], expected[:, :, 2:-2])
    for border in (slice(0, 2), slice(-2, None)):
        assert (found[:, 2:-2, border] != expected[:, 2:-2, border]).all()


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("stride", [2, 3, 4])
def test_a_strided_convolution_follows_multiples_of_its_stride(stride: int, batch: int) -> None:
    size = (31, 33, 5)
    model = model_of(size, layers.Conv2D(12, 5, strides=stride))
    for down, right in [(1, 0), (0, 1), (1, -1), (-1, 2)]:
        shift = (down * stride, right * stride)
        x, moved = two_views(batch, size, shift)
        assert_moved(model.predict(x), model.predict(moved), (down, right))


@pytest.mark.parametrize("stride", [2, 3])
def test_other_shifts_show_another_phase_of_the_dense_output(stride: int) -> None:
    size = (24, 25, 4)
    model = model_of(size, layers.Conv2D(9, 3, strides=stride))
    dense = model_of(size, layers.Conv2D(9, 3))
    dense.set_weights(model.get_weights())
    x, moved = two_views(1, size, (0, 1))
    whole, found = dense.predict(x), model.predict(moved)
    phase = whole[:, ::stride, stride - 1 :: stride]
    np.testing.assert_array_equal(
        found[:, :, 1 : 1 + phase.shape[2]], phase[:, :, : found.shape[2] - 1]
    )
    for places in range(3):  # and it is no shift of its own output
        expected, shown = seen_by_both(model.predict(x), found, (0, places))
        assert (shown != expected).mean() > 0.99


POOLS: dict[str, tuple[int, int, Callable[[int, int], Layer]]] = {
    "max 2x2": (2, 2, layers.MaxPooling2D),
    "max 3x3 in steps of 2": (3, 2, layers.MaxPooling2D),
    "average 3x3": (3, 3, layers.AveragePooling2D),
}


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", POOLS)
def test_pooling_follows_multiples_of_its_stride(name: str, batch: int) -> None:
    window, stride, layer = POOLS[name]
    size = (31, 33, 7)
    model = model_of(size, layer(window, stride))
    for down, right in [(1, 0), (0, 1), (2, -1), (-1, 2)]:
        shift = (down * stride, right * stride)
        x, moved = two_views(batch, size, shift)
        assert_moved(model.predict(x), model.predict(moved), (down, right))


def dots(places: list[tuple[int, int]], side: int = 16) -> Images:
    x = np.zeros((1, side, side, 1), np.float32)
    for row, column in places:
        x[0, row, column] = 1
    return x


def test_a_max_pool_does_not_see_shifts_within_its_windows() -> None:
    """Dots at the left of their 4x4 windows may move by up to 3 pixels; the next one shows."""
    pool = model_of((16, 16, 1), layers.MaxPooling2D(4))
    places = [(1, 0), (6, 4), (9, 8), (14, 4)]
    still = pool.predict(dots(places))
    assert still.sum() == len(places)
    for right in range(1, 4):
        moved = pool.predict(dots([(row, column + right) for row, column in places]))
        np.testing.assert_array_equal(moved, still)
    moved = pool.predict(dots([(row, column + 4) for row, column in places]))
    np.testing.assert_array_equal(moved[:, :, 1:], still[:, :, :-1])
    assert not np.array_equal(moved, still)


@pytest.mark.parametrize("window, distance", [(2, 1), (3, 1), (3, 2), (4, 1), (4, 3)])
def test_how_much_of_a_max_pool_survives_a_shift(window: int, distance: int) -> None:
    """A window and the shifted one show w (w + d) pixels, and the same largest one if that is among
    the w (w - d) that both see: with chance (w - d) / (w + d), for random pixels."""
    size = (60 * window, 60 * window, 2)
    pool = model_of(size, layers.MaxPooling2D(window))
    x, moved = two_views(1, size, (0, distance))
    before, after = pool.predict(x), pool.predict(moved)
    chance = (window - distance) / (window + distance)
    deviation = (chance * (1 - chance) / before.size) ** 0.5
    # Neighbouring windows share pixels, so the shares are not quite independent.
    assert abs((before == after).mean() - chance) < 6 * deviation
    windows = x.reshape(60, window, 60, window, 2)
    seen_by_both_windows = windows[:, :, :, : window - distance].max(axis=(1, 3))
    stays = (before[0] == seen_by_both_windows) & (after[0] == seen_by_both_windows)
    np.testing.assert_array_equal(before[0] == after[0], stays)


def test_pooled_maps_of_a_digit_change_less_than_the_maps() -> None:
    (_, _), (images, _) = digits.load_data(10, 40)
    x = (images[..., np.newaxis] / 255).astype(np.float32)
    moved = np.zeros_like(x)
    moved[:, :, 1:] = x[:, :, :-1]
    set_random_seed(4)
    model = applications.LeNet5()
    before, after = (
        [viz.feature_maps(model, image) for image in batch[:8]] for batch in (x, moved)
    )

    def change(layer: str) -> float:
        distance = sum(
            np.square(b[layer] - a[layer]).sum() for a, b in zip(before, after, strict=True)
        )
        return float((distance / sum(np.square(a[layer]).sum() for a in before)) ** 0.5)

    assert change("s2") < 0.9 * change("c1")
    assert change("s4") < 0.9 * change("c3")


def placed(stamp: Images, row: int, column: int, side: int) -> Images:
    """On zeros [N, side, side, C]."""
    x = np.zeros((len(stamp), side, side, stamp.shape[-1]), np.float32)
    x[:, row : row + stamp.shape[1], column : column + stamp.shape[2]] = stamp
    return x


def test_global_pooling_sees_no_shift() -> None:
    """Around the frame, too. The largest value to the bit; a mean, where its sum is exact."""
    size = (12, 15, 5)
    random = np.random.default_rng(2)
    x = random.integers(-50, 50, (4, *size)).astype(np.float32)
    largest = model_of(size, layers.GlobalMaxPooling2D())
    mean = model_of(size, layers.GlobalAveragePooling2D())
    for shift in [(1, 0), (0, 7), (5, 11)]:
        turned = np.roll(x, shift, axis=(1, 2))
        np.testing.assert_array_equal(mean.predict(turned), mean.predict(x))
        noisy = random.normal(size=x.shape).astype(np.float32)
        turned = np.roll(noisy, shift, axis=(1, 2))
        np.testing.assert_array_equal(largest.predict(turned), largest.predict(noisy))
        np.testing.assert_allclose(mean.predict(turned), mean.predict(noisy), atol=1e-6)


@pytest.mark.parametrize("batch", BATCHES)
def test_convolutions_and_a_global_pool_do_not_care_where_a_thing_is(batch: int) -> None:
    """To the bit, while what it does to the maps (2 + 1 pixels around it) stays out of the border's
    pixels, where the second kernel sees padding instead of the first one's biases."""
    side = 20
    model = model_of(
        (side, side, 2),
        layers.Conv2D(8, 5, padding="same", activation="relu"),
        layers.Conv2D(12, 3, padding="same", activation="tanh"),
        layers.GlobalMaxPooling2D(),
        layers.Dense(4, activation="softmax"),
    )
    stamp = np.random.default_rng(3).normal(size=(batch, 6, 6, 2)).astype(np.float32)
    here = model.predict(placed(stamp, 4, 4, side))
    for row, column in [(4, 5), (7, 9), (10, 10)]:
        np.testing.assert_array_equal(model.predict(placed(stamp, row, column, side)), here)
    assert not np.array_equal(model.predict(placed(stamp, 0, 0, side)), here)


def test_a_dense_layer_does_care() -> None:
    model = model_of((12, 12, 1), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3))
    stamp = np.ones((1, 3, 3, 1), np.float32)
    here, there = (model.predict(placed(stamp, 4, column, 12)) for column in (4, 5))
    assert (here != there).all()


# The picture


def left_over(axes: Any) -> NDArray[np.float32]:
    shown = np.ma.asarray(axes.images[0].get_array()).filled(np.nan)
    return np.asarray(shown, np.float32)


@pytest.fixture(scope="module")
def digit() -> Images:
    """A bar with a hook, five pixels from the border."""
    image = np.zeros((28, 28, 1), np.float32)
    image[6:22, 12:15] = 1
    image[6:9, 9:12] = 0.5
    return image


def test_the_picture_shows_what_these_tests_say(digit: Images) -> None:
    pytest.importorskip("matplotlib")
    set_random_seed(4)
    figure = viz.plot_equivariance(applications.LeNet5(), digit, (0, 2))
    assert len(figure.axes) == 5 * 4 + 1
    rows = [figure.axes[4 * row : 4 * row + 4] for row in range(5)]
    names = [row[0].get_ylabel().split("\n")[0] for row in rows]
    assert names == ["input", "c1", "s2", "c3", "s4"]
    for row, moved in zip(rows[:4], ("2", "2", "1", "1"), strict=True):
        before, after, change, left = (left_over(axes) for axes in row)
        np.testing.assert_allclose(change, after - before)
        assert row[3].get_xlabel() == f"by {moved} right: 0%"
        assert np.isnan(left[:, : int(moved)]).all()
        np.testing.assert_array_equal(left[:, int(moved) :], 0)
    assert rows[4][3].get_xlabel() == "by 0.5 right: none fits"
    assert np.isnan(left_over(rows[4][3])).all()
    curves = figure.axes[-1].lines
    assert [line.get_label() for line in curves[:5]] == names
    for line, row in zip(curves, rows, strict=False):
        values = np.asarray(line.get_ydata(), float)
        assert values[0] == 0 < values[1] < values[-1]
        assert row[2].get_xlabel() == f"{values[2] / 100:.0%}"


def test_the_picture_of_a_shift_up_and_to_the_left(digit: Images) -> None:
    pytest.importorskip("matplotlib")
    figure = viz.plot_equivariance(applications.LeNet5(), digit, (-4, -4))
    assert figure.axes[4 * 4 + 3].get_xlabel() == "by 1 up, 1 left: 0%"
    assert np.isnan(left_over(figure.axes[3])[-4:]).all()


def test_the_picture_of_a_graph_follows_strides_along_its_branches() -> None:
    pytest.importorskip("matplotlib")
    set_random_seed(4)
    image = np.zeros((40, 40, 1), np.float32)
    image[16:22, 14:24] = np.random.default_rng(1).normal(size=(6, 10, 1))
    inputs = Input((40, 40, 1))
    half = layers.Conv2D(4, 3, strides=2, padding="same", name="half")(inputs)
    inner_in = Input((20, 20, 4))
    inner = Model(inner_in, layers.MaxPooling2D(2, name="pool")(inner_in), name="inner")
    quarter = inner(half)
    again = layers.UpSampling2D(2, name="up")(quarter)
    both = layers.Concatenate(name="both")([half, again])
    skip = layers.Conv2D(3, 1, name="skip")(inputs)
    model = Model(inputs, [both, skip, layers.GlobalMaxPooling2D(keepdims=True)(skip)])
    figure = viz.plot_equivariance(model, image, (0, 4), ["skip", "both", "inner"])
    labels = {
        figure.axes[4 * row].get_ylabel().split("\n")[0]: figure.axes[4 * row + 3].get_xlabel()
        for row in range(4)
    }
    assert labels == {
        "input": "by 4 right: 0%",
        "skip": "by 4 right: 0%",
        "both": "by 2 right: 0%",
        "inner": "by 1 right: 0%",
    }
    with pytest.raises(ArgumentError, match='no maps "pool"; it has half, inner, up, both, skip'):
        viz.plot_equivariance(model, image, (0, 4), ["pool"])


def test_the_picture_refuses_what_it_cannot_show(digit: Images) -> None:
    pytest.importorskip("matplotlib")
    model = applications.LeNet5()
    with pytest.raises(ShapeError, match=r"\(28, 28, 1\)"):
        viz.plot_equivariance(model, digit[..., 0])
    for shift in [(0, 0), (28, 0), (0, -28)]:
        with pytest.raises(ArgumentError, match="within the picture"):
            viz.plot_equivariance(model, digit, shift)
    with pytest.raises(ArgumentError, match="no layer with maps"):
        viz.plot_equivariance(applications.MLP(4), digit)
