"""Draws docs/equivariance.png: what a shift of a digit does to the maps of a trained LeNet-5.

    python docs/make_equivariance.py

Trains on digits that striate draws itself, for a few seconds; the picture is the same every time on
one ISA.
"""

from pathlib import Path

import numpy as np
import striate
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from striate import applications, viz
from striate.datasets import digits

SHOWN = 7  # of the test digits: a 3 with room around it


def as_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return (images[..., np.newaxis] / 255).astype(np.float32)


def without_specks(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keeps the pixels of [H, W, 1] in whose 5x5 neighbourhood more than six are inked."""
    inked = np.pad(image[..., 0] > 0.2, 2)
    neighbours = sliding_window_view(inked, (5, 5)).sum(axis=(2, 3))
    return image * (neighbours > 6)[..., np.newaxis]


def main() -> None:
    (x_train, y_train), (x_test, _) = digits.load_data(6000, 100)
    striate.set_random_seed(1)
    model = applications.LeNet5()
    model.compile(striate.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    model.fit(as_input(x_train), y_train, batch_size=64, epochs=3, verbose=0)
    figure = viz.plot_equivariance(model, without_specks(as_input(x_test)[SHOWN]), (0, 2))
    figure.savefig(Path(__file__).with_name("equivariance.png"))


if __name__ == "__main__":
    main()
