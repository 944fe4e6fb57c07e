"""Training curves: loss and every metric, an epoch a point, training beside held-out data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from striate.errors import ArgumentError
from striate.viz.canvas import HELD_OUT, INK, TRAINING, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_history(
    history: Mapping[str, Sequence[float]], *, title: str | None = None, held_out: str = "held out"
) -> Figure:
    """The curves in `history`, a History's `.history`: {"loss": [..], "val_loss": [..], ...}.

    One panel a quantity; "val_x" is drawn beside "x", labelled `held_out`. The learning rate has
    no panel.
    """
    names = [n for n in history if not n.startswith("val_") and n not in ("learning_rate", "lr")]
    names = [name for name in names if len(history[name])]
    if not names:
        raise ArgumentError("plot_history: the history is empty; has the model been fitted?")
    figure = new_figure(4.6 * len(names), 3.4)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        _draw(axes, name, history[name], history.get(f"val_{name}"), held_out)
    if title:
        figure.suptitle(title, color=INK)
    return figure


def _draw(
    axes: Axes, name: str, training: Sequence[float], held: Sequence[float] | None, label: str
) -> None:
    """One panel; accuracies in percent."""
    from matplotlib.ticker import MaxNLocator

    scale, unit = (100, " (%)") if "accuracy" in name else (1, "")
    epochs = range(1, len(training) + 1)
    axes.plot(epochs, [scale * v for v in training], "o-", color=TRAINING, ms=4, label="training")
    if held:
        axes.plot(epochs, [scale * v for v in held], "s-", color=HELD_OUT, ms=4, label=label)
    axes.set_xlabel("epoch")
    axes.set_title(name.replace("_", " ") + unit, fontsize=11, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
