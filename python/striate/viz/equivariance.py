"""What a shift of the image does to the feature maps: convolutions follow, pooling forgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from striate.errors import ArgumentError, ShapeError
from striate.layers import Conv2DTranspose, Layer, UpSampling2D
from striate.models import Model
from striate.viz.canvas import GAP, IMAGES, INK, SIGNED, hide_frame, new_figure
from striate.viz.feature_maps import maps_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Maps = NDArray[np.float32]  # [h, w, c]
Stride = tuple[float, float]  # pixels of the image from one row and column of a map to the next
_COLUMNS = ("before", "image shifted", "what changed", "left if the maps move")
_FARTHEST = 6  # pixels, in the curves


class _Row(NamedTuple):
    """A layer (or the input): its maps of the image and of the shifted one."""

    name: str
    stride: Stride
    before: Maps
    after: Maps
    curve: list[float]  # relative change after 0, 1, 2 .. pixels


def plot_equivariance(
    model: Model,
    image: NDArray[np.float32],
    shift: tuple[int, int] = (0, 2),
    layers: Sequence[str] | None = None,
) -> Figure:
    """A row for the image and each layer that has maps: before and after a shift of the image.

    A row shows the map with the most contrast, and the percentages count all maps of the layer:
    the distance between before and after, relative to the length before. In the last column the
    first one is shifted as the image was, by fewer pixels behind strides, and subtracted: a
    convolution leaves nothing (it is equivariant), nor does a pooling whose strides divide the
    shift. Where they do not, no shift of the maps fits; what changed is then to be compared with
    the layer before, of which pooling forgets a part. Pixels that came into the picture are gray.
    The curves are the third column for shifts of 0 to 6 pixels in the same direction.

    Args:
        image: [H, W, C], preprocessed as for training, best with background at its edges; pixels
            that come in have the value of the top left one.
        shift: pixels down and to the right.
        layers: the names of those to show, of a deep network a few; None: all that have maps.

    Raises:
        ShapeError: not an image that the model takes.
        ArgumentError: no shift, one out of the picture, a layer without maps, or a model without.
    """
    image = np.asarray(image, np.float32)
    if image.shape != model.sample_shape:
        raise ShapeError(
            f"plot_equivariance: {model.name} takes an image {model.sample_shape}, "
            f"got {image.shape}"
        )
    if not any(shift) or any(abs(d) >= n for d, n in zip(shift, image.shape, strict=False)):
        raise ArgumentError(f"plot_equivariance: the shift is within the picture, got {shift}")
    rows = _rows(model, image, shift)
    if layers is not None:
        rows = rows[:1] + [_named(rows[1:], name, model) for name in layers]
    if len(rows) == 1:
        raise ArgumentError(f"plot_equivariance: {model.name} has no layer with maps to show")
    figure = new_figure(7.4, 1.75 * len(rows) + 2.4)
    grid = figure.add_gridspec(len(rows) + 1, 4, height_ratios=[1.0] * len(rows) + [1.3])
    for place, row in enumerate(rows):
        axes = [figure.add_subplot(grid[place, column]) for column in range(4)]
        _draw(axes, row, shift, headings=place == 0)
    _draw_curves(figure.add_subplot(grid[len(rows), :]), rows)
    return figure


def shifted(maps: Maps, shift: tuple[int, int], fill: Any) -> Maps:
    """[h, w, c] moved down and to the right; `fill` ([c] or a number) comes in."""
    moved = np.empty_like(maps)
    moved[...] = fill
    (to_rows, from_rows), (to_columns, from_columns) = map(_overlap, shift)
    moved[to_rows, to_columns] = maps[from_rows, from_columns]
    return moved


def _overlap(distance: int) -> tuple[slice, slice]:
    """Where an axis' pixels go and where they come from."""
    if distance < 0:
        return slice(None, distance), slice(-distance, None)
    return slice(distance, None), slice(None, -distance or None)


def _rows(model: Model, image: Maps, shift: tuple[int, int]) -> list[_Row]:
    """The image's own row first."""
    step = np.array(shift) / max(map(abs, shift))
    shifts = [shift] + [tuple(np.rint(step * d).astype(int)) for d in range(_FARTHEST + 1)]
    images = np.stack([image] + [shifted(image, d, image[0, 0]) for d in shifts])
    strides = _strides(model)
    found = {"input": images, **maps_of(model, images)}
    rows = []
    for name, maps in found.items():
        if min(maps.shape[1:3]) < 2:
            continue
        before, after = maps[:2]
        curve = [_change(before, other) for other in maps[2:]]
        rows.append(_Row(name, strides.get(name, (1, 1)), before, after, curve))
    return rows


def _named(rows: list[_Row], name: str, model: Model) -> _Row:
    for row in rows:
        if row.name == name:
            return row
    names = ", ".join(row.name for row in rows) or "none"
    raise ArgumentError(f'plot_equivariance: {model.name} has no maps "{name}"; it has {names}')


def _strides(model: Layer) -> dict[str, Stride]:
    """By layer name, of its maps (the last call's), through models within models."""
    topology = model.inner_topology()
    strides: dict[Any, Stride] = dict.fromkeys(topology.inputs, (1, 1))
    by_layer = {}
    for node in topology.nodes:
        down, right = strides[node.inputs[0]]
        own = _own_stride(node.layer)
        by_layer[node.layer.name] = down * own[0], right * own[1]
        strides.update(dict.fromkeys(node.outputs, by_layer[node.layer.name]))
    return by_layer


def _own_stride(layer: Layer) -> Stride:
    inner = layer.inner_topology()
    if inner is not None:
        return _strides(layer)[inner.outputs[0].layer.name]
    if isinstance(layer, UpSampling2D):
        return 1 / layer.size[0], 1 / layer.size[1]
    down, right = getattr(layer, "strides", (1, 1))
    return (1 / down, 1 / right) if isinstance(layer, Conv2DTranspose) else (down, right)


def _change(before: Maps, after: Maps) -> float:
    """The distance between the two, relative to the first one's length."""
    return float(np.linalg.norm(after - before) / (np.linalg.norm(before) or 1.0))


def _draw(axes: list[Axes], row: _Row, shift: tuple[int, int], headings: bool) -> None:
    chosen = int(row.before.std(axis=(0, 1)).argmax())
    before, after = row.before[..., chosen], row.after[..., chosen]
    reach = float(max(np.abs(before).max(), np.abs(after).max())) or 1.0
    low = min(float(before.min()), float(after.min()))
    signed: dict[str, Any] = {"cmap": SIGNED, "vmin": -reach, "vmax": reach}
    own: dict[str, Any] = {"cmap": IMAGES, "vmin": low, "vmax": reach}
    if low < 0 and row.name != "input":
        own = signed
    axes[0].imshow(before, **own)
    axes[1].imshow(after, **own)
    axes[2].imshow(after - before, **signed)
    axes[2].set_xlabel(f"{_change(row.before, row.after):.0%}", color=INK)
    moves = [d / s for d, s in zip(shift, row.stride, strict=True)]
    left = np.full_like(row.after, np.nan)
    if all(float(move).is_integer() for move in moves):
        left = row.after - shifted(row.before, (int(moves[0]), int(moves[1])), np.nan)
        change = np.linalg.norm(left[~np.isnan(left)]) / (np.linalg.norm(row.before) or 1.0)
        axes[3].set_xlabel(f"by {_steps(moves)}: {change:.0%}", color=INK)
    else:
        axes[3].set_xlabel(f"by {_steps(moves)}: none fits", color=INK)
    axes[3].imshow(left[..., chosen], **signed)
    for column, place in enumerate(axes):
        hide_frame(place)
        place.set_facecolor(GAP)
        if headings:
            place.set_title(_COLUMNS[column], fontsize=9, color=INK)
    height, width, count = row.before.shape
    axes[0].set_ylabel(f"{row.name}\n{count} @ {height}x{width}", color=INK)


def _steps(moves: list[float]) -> str:
    """The parts of a shift that are not 0, in pixels."""
    named = zip(moves, (("up", "down"), ("left", "right")), strict=True)
    return ", ".join(f"{abs(move):g} {names[move > 0]}" for move, names in named if move)


def _draw_curves(axes: Axes, rows: list[_Row]) -> None:
    from matplotlib import colormaps

    for number, row in enumerate(rows):
        depth = (number - 1) / max(len(rows) - 2, 1)
        color = INK if number == 0 else colormaps["plasma"](0.85 * depth)
        values = [100 * value for value in row.curve]
        axes.plot(values, "o--" if number == 0 else "o-", ms=3, color=color, label=row.name)
    axes.axhline(100 * 2**0.5, color=INK, lw=0.8, ls=":")  # of maps that nowhere overlap
    axes.text(0, 100 * 2**0.5, "nothing in common", va="bottom", fontsize=8, color=INK)
    axes.set_xlabel("shift of the image, pixels")
    axes.set_ylabel("change, %")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
