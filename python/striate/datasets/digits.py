"""Handwritten-like digits that the package draws itself: a data set that needs no network.

Every sample is written with a pen: the strokes of one of the styles in `_digit_strokes`, their
points moved by a shaky hand, slanted, turned, stretched and bent; then ink of some width and
pressure on paper with a few specks. Labels are balanced: each ten samples hold each digit once.

Sample i of a seed is the same however many are asked for: it has its own stretch of a Philox
stream. And it is the same on every machine, to the bit: the drawing uses +, -, *, /, sqrt and
comparisons of single elements, which IEEE 754 defines exactly, and no BLAS, exp, sin or reduction.

The amounts below are chosen so that an architecture shows: shapes vary little enough for LeNet-5 to
learn nearly all of them in five epochs, places and specks enough to cost a plain network 1 % more
(Adam at 2e-3, batches of 64, on the default 20,000 and 4,000: LeNet-5 of 1998 with tanh 98.6 %,
784-300-100-10 with ReLU 97.5 %).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ._digit_strokes import STYLES, Point, Style

__all__ = ["draw", "load_data"]

Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]

SIDE = 28  # of an image, in pixels
_HALF_HEIGHT = 8.2  # of a digit before it is scaled, in pixels: 20 of 28 is MNIST's, ink included
_NODES = 112  # where a digit's pen path is sampled: about half a pixel apart
_POINTS = 13  # the most control points that a style has
_LATTICE = 5  # of the bending, control points a side

# The uniform numbers of a sample, and where each kind lies among them.
_LABEL, _STYLE, _FRAME, _PEN = 0, 1, slice(2, 16), slice(20, 27)
_HAND = slice(28, 28 + 2 * _POINTS)
_BEND = slice(_HAND.stop, _HAND.stop + 2 * _LATTICE**2)
_UNIFORMS = 104  # a multiple of 4, as Philox makes 4 numbers a step
_WORDS = _UNIFORMS + SIDE * SIDE // 4  # the rest: 16 bits for the paper of each pixel

_SHAKE = 0.045  # how far a point of a style moves, of half a height

_BATCH = 500  # samples; a multiple of 10, small enough for its arrays to stay in cache


def load_data(
    train: int = 20000, test: int = 4000, seed: int = 0
) -> tuple[tuple[Bytes, Bytes], tuple[Bytes, Bytes]]:
    """Draws `train` and `test` digits, which never share a sample. 24,000 take about 2 s.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: uint8 images (train, 28, 28) and (test, 28, 28),
        0 the paper and 255 the ink; uint8 labels (train,) and (test,), 0 to 9.

    Raises:
        ArgumentError: `train` or `test` is negative, or `seed` is not in 0 .. 2**64 - 1.
    """
    return draw(train, seed=seed, split=0), draw(test, seed=seed, split=1)


def draw(count: int, seed: int = 0, split: int = 0, first: int = 0) -> tuple[Bytes, Bytes]:
    """Samples `first` to `first + count - 1` of a seed: images (count, 28, 28), labels (count,).

    `split` chooses one of 2**64 independent sequences of a seed; load_data's training samples are
    split 0, its test samples split 1. Raises ArgumentError as load_data does.
    """
    if count < 0 or first < 0:
        raise ArgumentError(f"digits: cannot draw {count} samples from sample {first} on")
    if not (0 <= seed < 1 << 64 and 0 <= split < 1 << 64):
        raise ArgumentError(
            f"digits: seed and split must be in 0 .. 2**64 - 1, got {seed} and {split}"
        )
    images = np.empty((count, SIDE, SIDE), np.uint8)
    labels = np.empty(count, np.uint8)
    begin = first - first % 10  # labels are dealt by tens
    while begin < first + count:
        batch = min(_BATCH, first + count - begin)
        x, y = _draw_batch(begin, -(-batch // 10) * 10, seed, split)
        skip = max(0, first - begin)
        to = begin + skip - first
        images[to : to + batch - skip] = x[skip:batch]
        labels[to : to + batch - skip] = y[skip:batch]
        begin += batch
    return images, labels


def _draw_batch(begin: int, count: int, seed: int, split: int) -> tuple[Bytes, Bytes]:
    """Samples `begin` to `begin + count - 1`, both multiples of 10."""
    words = _words(begin, count, seed, split)
    # The 24 high bits of a word: exact in float32, in [0, 1).
    u = (words[:, :_UNIFORMS] >> np.uint64(40)).astype(np.float32) * 2.0**-24
    order = np.argsort(u[:, _LABEL].reshape(-1, 10), axis=1, kind="stable")
    labels = order.reshape(-1).astype(np.uint8)
    styles = _styles()
    which = (u[:, _STYLE] * styles.of_digit.shape[1]).astype(np.intp)
    style = styles.of_digit[labels, which]
    x, y = _pen_path(u[:, _HAND], styles.weights[style], styles.points[style])
    x, y = _bend(u[:, _BEND], *_frame(u[:, _FRAME], x, y))
    images = _ink(u[:, _PEN], x, y, styles.pen_down[style])
    return _paper(words[:, _UNIFORMS:], images), labels


def _words(begin: int, count: int, seed: int, split: int) -> NDArray[np.uint64]:
    """The random words of the samples, (count, _WORDS): each sample's are its own."""
    key = np.array([seed, split], np.uint64)
    philox = np.random.Philox(key=key, counter=begin * (_WORDS // 4))
    return np.asarray(philox.random_raw(count * _WORDS), np.uint64).reshape(count, _WORDS)


class _Styles(NamedTuple):
    """Every style as numbers."""

    of_digit: NDArray[np.intp]  # [digit, which]: the style
    weights: Floats  # [style, point, node]: what each point adds to each node of the path
    points: Floats  # [style, 2, point]: x and y, of which a style may use fewer
    pen_down: Floats  # [style, node]: 1 where the line from this node to the next is drawn


@lru_cache(maxsize=1)
def _styles() -> _Styles:
    of_digit = np.arange(sum(map(len, STYLES)), dtype=np.intp).reshape(10, -1)
    weights = np.zeros((of_digit.size, _POINTS, _NODES), np.float32)
    points = np.zeros((of_digit.size, 2, _POINTS), np.float32)
    pen_down = np.zeros((of_digit.size, _NODES - 1), np.float32)
    for i, style in enumerate(style for digit in STYLES for style in digit):
        own = list(dict.fromkeys(point for stroke in style for point in stroke))
        points[i, :, : len(own)] = np.array(own, np.float32).T
        _weigh(style, own, weights[i], pen_down[i])
    return _Styles(of_digit, weights, points, pen_down)


def _weigh(style: Style, points: list[Point], weights: Floats, pen_down: Floats) -> None:
    """Fills a style's weights of points in nodes (Catmull-Rom), and where its pen is down."""
    lengths = [
        sum(((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5 for a, b in _pairs(stroke))
        for stroke in style
    ]
    node, behind = 0, 0.0
    for stroke, length in zip(style, lengths, strict=True):
        behind += length
        end = round(_NODES * behind / sum(lengths))
        count = end - node
        for j in range(count):
            at = j * (len(stroke) - 1) / (count - 1)
            k = min(int(at), len(stroke) - 2)
            t = at - k
            # Beyond an end, the line goes straight on: 2 p0 - p1.
            near = {
                k - 1: ((2.0 - t) * t - 1.0) * t / 2.0,
                k: ((3.0 * t - 5.0) * t * t + 2.0) / 2.0,
                k + 1: ((4.0 - 3.0 * t) * t + 1.0) * t / 2.0,
                k + 2: (t - 1.0) * t * t / 2.0,
            }
            for p, weight in near.items():
                for q, part in _within(p, len(stroke), weight):
                    weights[points.index(stroke[q]), node + j] += part
        pen_down[node : end - 1] = 1.0
        node = end


def _pairs(stroke: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    return list(zip(stroke[:-1], stroke[1:], strict=True))


def _within(p: int, count: int, weight: float) -> list[tuple[int, float]]:
    """The weight of point p as weights of points that exist."""
    if p < 0:
        return [(0, 2.0 * weight), (1, -weight)]
    if p >= count:
        return [(count - 1, 2.0 * weight), (count - 2, -weight)]
    return [(p, weight)]


def _signed(u: Floats, scale: float) -> Floats:
    """Uniform numbers in [0, 1) as uniform numbers in [-scale, scale)."""
    numbers: Floats = (u - 0.5) * (2.0 * scale)
    return numbers


def _bell(u: Floats, scale: float) -> Floats:
    """Three uniform numbers (last axis) as about a normal one of deviation `scale`."""
    numbers: Floats = (u[..., 0] + u[..., 1] + u[..., 2] - 1.5) * (2.0 * scale)
    return numbers


def _pen_path(u: Floats, weights: Floats, points: Floats) -> tuple[Floats, Floats]:
    """The nodes (count, _NODES) of the pen's path, in units of half a digit's height."""
    points = points + _signed(u, _SHAKE).reshape(points.shape)
    x = np.zeros((len(u), _NODES), np.float32)
    y = np.zeros_like(x)
    for k in range(_POINTS):
        x += weights[:, k] * points[:, 0, k, None]
        y += weights[:, k] * points[:, 1, k, None]
    return x, y


def _frame(u: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Sizes, slants, turns and moves the path; the result is in pixels."""
    high = _HALF_HEIGHT * (0.98 + _bell(u[:, 0:3], 0.09))
    wide = high * (1.02 + _bell(u[:, 3:6], 0.11))
    slant = -0.12 + _bell(u[:, 6:9], 0.09)
    half = _bell(u[:, 9:12], 0.045)  # the tangent of half the angle: no sine is needed
    norm = 1.0 / (1.0 + half * half)
    cos, sin = (1.0 - half * half) * norm, 2.0 * half * norm
    right, down = _signed(u[:, 12], 4.2), _signed(u[:, 13], 3.6)
    x = (x + slant[:, None] * y) * wide[:, None]
    y = y * high[:, None]
    middle = (SIDE - 1) / 2
    return (
        cos[:, None] * x - sin[:, None] * y + (middle + right)[:, None],
        sin[:, None] * x + cos[:, None] * y + (middle + down)[:, None],
    )


def _bend(u: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Bends the path by a smooth random field: a quadratic B-spline over a lattice."""
    field = _signed(u, 1.0).reshape(-1, 2, _LATTICE, _LATTICE)
    wx, wy = _spline(x), _spline(y)
    dx, dy = np.zeros_like(x), np.zeros_like(y)
    for row in range(_LATTICE):
        for column in range(_LATTICE):
            weight = wy[row] * wx[column]
            dx += weight * field[:, 0, row, column, None]
            dy += weight * field[:, 1, row, column, None]
    low, high = 1.0, SIDE - 2.01  # so that drops and their spreading stay on the page
    return np.clip(x + dx, low, high), np.clip(y + dy, low, high)


def _spline(x: Floats) -> list[Floats]:
    """The weights of the lattice's points, in one direction, at x pixels."""
    weights = []
    for node in range(_LATTICE):
        centre = SIDE * (node - 0.5) / (_LATTICE - 2)
        d = np.abs(x - centre) * ((_LATTICE - 2) / SIDE)
        outer = np.maximum(1.5 - d, 0.0)
        inner = np.maximum(0.5 - d, 0.0)
        weights.append(0.5 * outer * outer - 1.5 * inner * inner)
    return weights


def _ink(u: Floats, x: Floats, y: Floats, pen_down: Floats) -> Floats:
    """Ink (count, 28, 28) in [0, 1] along a path.

    Each piece of line drops ink by its length and pressure into the four pixels around its
    middle; the drops spread (three passes of an [a, 1 - 2a, a] blur are near a Gaussian of
    variance 6a); what is above a level is ink, with soft edges.
    """
    count = len(u)
    dx, dy = x[:, 1:] - x[:, :-1], y[:, 1:] - y[:, :-1]
    mx, my = (x[:, 1:] + x[:, :-1]) * 0.5, (y[:, 1:] + y[:, :-1]) * 0.5
    drop = np.sqrt(dx * dx + dy * dy) * pen_down * _pressure(u[:, 2:5])
    left, top = mx.astype(np.intp), my.astype(np.intp)
    fx, fy = mx - left.astype(np.float32), my - top.astype(np.float32)
    at = (np.arange(count)[:, None] * SIDE + top) * SIDE + left
    page = np.zeros(count * SIDE * SIDE)
    for below in (0, 1):
        across = drop * (fy if below else 1.0 - fy)
        for beside in (0, 1):
            part = across * (fx if beside else 1.0 - fx)
            to = (at + (below * SIDE + beside)).reshape(-1)
            page += np.bincount(to, part.reshape(-1), page.size)
    ink = page.astype(np.float32).reshape(count, SIDE, SIDE)
    spread = 0.07 + 0.18 * u[:, 0]
    for _ in range(3):
        ink = _blur(ink, spread[:, None, None])
    # A line's ridge is 1 / (2.5 sigma) high; the drops' four pixels add 1/6 to the variance.
    ridge = 2.5 * np.sqrt(6.0 * spread + (1.0 / 6.0))
    level = 0.18 + 0.10 * u[:, 1]
    contrast = 1.6 + 1.2 * u[:, 5]
    ink = (ink * ridge[:, None, None] - level[:, None, None]) * contrast[:, None, None]
    strength = 0.80 + 0.20 * u[:, 6]
    inked: Floats = np.clip(ink, 0.0, 1.0) * strength[:, None, None]
    return inked


def _pressure(u: Floats) -> Floats:
    """The pen's pressure along its path, about 1: its beginning, middle and end vary."""
    t = np.linspace(0.0, 1.0, _NODES - 1, dtype=np.float32)
    start, middle, end = _signed(u[:, 0:1], 0.35), _signed(u[:, 1:2], 0.5), _signed(u[:, 2:3], 0.35)
    pressure: Floats = 1.0 + start * (1.0 - t) * (1.0 - t)
    pressure += middle * t * (1.0 - t) + end * t * t
    return pressure


def _blur(image: Floats, a: Floats) -> Floats:
    """One pass of [a, 1 - 2a, a] down and across; nothing comes in from beyond the edges."""
    centre = 1.0 - 2.0 * a
    out: Floats = image * centre
    out[:, 1:] += a * image[:, :-1]
    out[:, :-1] += a * image[:, 1:]
    image = out
    out = image * centre
    out[:, :, 1:] += a * image[:, :, :-1]
    out[:, :, :-1] += a * image[:, :, 1:]
    return out


def _paper(words: NDArray[np.uint64], ink: Floats) -> Bytes:
    """Gives the ink a grain, adds specks, and makes bytes of it."""
    # Two bytes a pixel, in the same order on every machine.
    noise = words.astype("<u8").view(np.uint8).reshape(*ink.shape, 2)
    grain = noise[..., 0].astype(np.float32) * (1.0 / 256.0)
    value = ink * (1.0 - 0.18 * grain)
    speck = np.where(noise[..., 1] < 14, grain * 0.6, 0.0)
    value = np.maximum(value, speck.astype(np.float32))
    page: Bytes = (value * 255.0 + 0.5).astype(np.uint8)
    return page
