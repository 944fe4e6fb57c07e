"""AlexNet's normalisation across neighbouring channels."""

from __future__ import annotations

from typing import Any

from striate import _core
from striate.errors import ArgumentError
from striate.layers.arguments import integer, number
from striate.layers.layer import Layer

_CONVENTIONS = ("sum", "mean")


class LocalResponseNormalization(Layer):
    """x / (k + a * (sum of x**2 over `size` neighbouring channels))**beta, pixel by pixel.

    Input and output (N, H, W, C). The window of channel c begins size // 2 channels before c and is
    cut at the first and the last channel.

    Two conventions of alpha are about, and a network taken from elsewhere needs its own: a is alpha
    with "sum" (the paper; TensorFlow, whose depth_radius r is a size of 2r + 1, and whose bias is
    k), and alpha / size with "mean" (Caffe and PyTorch). The defaults are AlexNet's, as the paper
    has them. In PyTorch's terms they are size=5, alpha=5e-4, beta=0.75, k=2; in Caffe's GoogLeNet
    stands size=5, alpha=1e-4, beta=0.75, k=1, alpha_convention="mean".

    Args:
        size: channels in a window.
        alpha: factor of the squares, at least 0.
        beta: the power, from -1000 to 1000.
        k: what is added to the sum, above 0.
        alpha_convention: "sum" or "mean".

    Source: Krizhevsky, Sutskever and Hinton 2012, section 3.3.
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
        *,
        alpha_convention: str = "sum",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = f"{type(self).__name__} {self.name}"
        self.size = integer(owner, "size", size)
        self.alpha = number(owner, "alpha", alpha)
        self.beta = number(owner, "beta", beta)
        self.k = number(owner, "k", k)
        if alpha_convention not in _CONVENTIONS:
            raise ArgumentError(
                f'{owner}: alpha_convention must be "sum" (alpha times the sum of squares) or '
                f'"mean" (alpha / size times it), got {alpha_convention!r}'
            )
        self.alpha_convention = alpha_convention

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.local_response_normalization(
            x,
            name=self.name,
            size=self.size,
            alpha=self.alpha,
            beta=self.beta,
            k=self.k,
            alpha_over_size=self.alpha_convention == "mean",
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "k": self.k,
            "alpha_convention": self.alpha_convention,
        }
