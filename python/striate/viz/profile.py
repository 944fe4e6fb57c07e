"""Where a batch's time goes: a bar a layer, forward and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from striate.errors import ArgumentError
from striate.profiling import Profile
from striate.viz.canvas import HELD_OUT, INK, TRAINING, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 60  # bars that a page holds; the longest are drawn


def plot_profile(profile: Profile, *, title: str | None = None) -> Figure:
    """A horizontal bar a layer, in milliseconds, with its share of the multiply-add limit.

    profile: of `Model.profile`. Of more than 60 layers those that take longest are drawn, in order.
    """
    if not profile.layers:
        raise ArgumentError("plot_profile: the profile has no layers")
    longest = sorted(profile.layers, key=lambda layer: -layer.milliseconds)[:MOST]
    layers = [layer for layer in profile.layers if layer in longest]
    figure = new_figure(8.0, 1.2 + 0.2 * len(layers))
    axes = figure.subplots()
    places = range(len(layers))
    forward = [layer.forward for layer in layers]
    axes.barh(places, forward, color=TRAINING, label="forward")
    if profile.training:
        backward = [layer.backward for layer in layers]
        axes.barh(places, backward, left=forward, color=HELD_OUT, label="backward")
    for place, layer in zip(places, layers, strict=True):
        if layer.forward_macs:
            share = f" {layer.gflops / profile.fma_peak:.0%}"
            axes.text(layer.milliseconds, place, share, va="center", fontsize=6, color=INK)
    axes.set_yticks(places, [layer.name.split(" + ")[0] for layer in layers], fontsize=6)
    axes.invert_yaxis()
    axes.margins(x=0.08, y=0.01)
    axes.set_xlabel("milliseconds a batch; percent: of the multiply-add limit")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)
    axes.legend(frameon=False)
    axes.set_title(
        title or f"batch {profile.batch}: {profile.milliseconds:.1f} ms", fontsize=11, color=INK
    )
    return figure
