"""Where a batch's time goes, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from striate import _core


@dataclass(frozen=True)
class LayerTime:
    """One layer's share of a batch.

    Attributes:
        name: with what was fused into it: "conv1 + bn1 + relu1".
        method: how it computes: "Winograd F(4x4,3x3)"; empty where there is no choice.
        forward, backward: milliseconds on all threads together: thread time over their number.
            Packing of weights is in them; backward is both gradients.
        forward_macs, backward_macs: multiply-accumulates of the batch, by definition: an algorithm
            that multiplies less counts the same.
        forward_bytes, backward_bytes: activations that are read and written, and weights once.
    """

    name: str
    method: str
    forward: float
    backward: float
    forward_macs: int
    backward_macs: int
    forward_bytes: int
    backward_bytes: int

    @property
    def milliseconds(self) -> float:
        """Forward and backward."""
        return self.forward + self.backward

    @property
    def gflops(self) -> float:
        """10^9 floating-point operations a second, two a multiply-accumulate."""
        macs = self.forward_macs + self.backward_macs
        return 2 * macs / self.milliseconds / 1e6 if self.milliseconds > 0 else 0.0


@dataclass(frozen=True)
class Profile:
    """What `Model.profile` found. str() is a table.

    Attributes:
        batch: samples.
        training: whether a training step was run, without its update; else a prediction.
        milliseconds: of a batch from start to end.
        threads: that shared the work.
        fma_peak: the machine's limit of multiply-adds on so many threads, in GFLOP/s, measured just
            before.
        other: milliseconds that belong to no layer: loading, losses, changes of layout.
        layers: in the order in which they run.
    """

    batch: int
    training: bool
    milliseconds: float
    threads: int
    fma_peak: float
    other: float
    layers: Sequence[LayerTime]

    @property
    def waiting(self) -> float:
        """Milliseconds in which threads had nothing to do."""
        return max(self.milliseconds - self.other - sum(x.milliseconds for x in self.layers), 0.0)

    @property
    def gflops(self) -> float:
        """Of the whole batch."""
        macs = sum(x.forward_macs + x.backward_macs for x in self.layers)
        return 2 * macs / self.milliseconds / 1e6

    def __str__(self) -> str:
        what = "a training step without its update" if self.training else "a prediction"
        lines = [_table(self), ""]
        lines.append(
            f"{what}, batch {self.batch}: {self.milliseconds:.2f} ms on {self.threads} threads, "
            f"{1e3 * self.batch / self.milliseconds:.1f} images/s"
        )
        lines.append(
            f"{self.gflops:.0f} GFLOP/s, {self.gflops / self.fma_peak:.0%} of the multiply-add "
            f"limit of {self.fma_peak:.0f}"
        )
        lines.append(f"loading, losses, layouts {self.other:.2f} ms; waiting {self.waiting:.2f} ms")
        return "\n".join(lines)


def _table(profile: Profile) -> str:
    header = ["layer", "forward ms", "backward ms", "GFLOP/s", "of limit", "MB", "method"]
    rows = [header]
    for layer in profile.layers:
        computes = layer.forward_macs > 0
        rows.append(
            [
                layer.name,
                f"{layer.forward:.3f}",
                f"{layer.backward:.3f}" if profile.training else "-",
                f"{layer.gflops:.1f}" if computes else "-",
                f"{layer.gflops / profile.fma_peak:.0%}" if computes else "-",
                f"{(layer.forward_bytes + layer.backward_bytes) / 1e6:.2f}",
                layer.method,
            ]
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = []
    for row in rows:
        middle = [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *middle, row[-1]]).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def profile_network(network: _core.Network, x: Any, y: Any, batch: int, repeats: int) -> Profile:
    """See `Model.profile`."""
    found = network.profile(x, y, repeats)
    threads = found["threads"]
    scale = 1e3 / threads
    layers = [
        LayerTime(
            name=layer["name"],
            method=layer["method"],
            forward=layer["forward"] * scale,
            backward=layer["backward"] * scale,
            forward_macs=layer["macs"],
            backward_macs=layer["macs"] * layer["backward_products"],
            forward_bytes=layer["forward_bytes"],
            backward_bytes=layer["backward_bytes"],
        )
        for layer in found["layers"]
    ]
    return Profile(
        batch=batch,
        training=y is not None,
        milliseconds=found["seconds"] * 1e3,
        threads=threads,
        fma_peak=_core.measure_fma_peak(threads),
        other=found["other"] * scale,
        layers=layers,
    )
