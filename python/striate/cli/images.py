"""Which images a command works on: MNIST where it can be had, the built-in digits where not."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.errors import DatasetNotFound

DATASETS = ("auto", "mnist", "fashion_mnist", "kmnist", "digits")

_GET_MNIST = (
    "put its four files (train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
    "t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz) into a folder DIR and add --data DIR; "
    "with a network connection they are downloaded"
)


@dataclass(frozen=True)
class Images:
    """Images [N, 28, 28] and labels [N], uint8; `note` is set when they stand in for MNIST."""

    name: str
    x_train: NDArray[np.uint8]
    y_train: NDArray[np.uint8]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.uint8]
    note: str = ""


def load_images(dataset: str, data: Path | None, limit: int | None = None) -> Images:
    """The data set named, from the folder `data` if given, cut to the first `limit` of each part.

    "auto" is MNIST if it is on this machine or can be downloaded, else the built-in digits. A
    folder that was named must hold it: DatasetNotFound if it does not.
    """
    note = ""
    if dataset == "auto":
        try:
            parts, dataset = _load("mnist", data, limit), "mnist"
        except DatasetNotFound:
            if data is not None:
                raise
            parts, dataset = _load("digits", None, limit), "digits"
            note = f"MNIST was not found: these are the built-in digits. For MNIST, {_GET_MNIST}."
    else:
        parts = _load(dataset, data, limit)
    (x_train, y_train), (x_test, y_test) = parts
    cut = slice(limit)
    return Images(dataset, x_train[cut], y_train[cut], x_test[cut], y_test[cut], note)


def _load(name: str, data: Path | None, limit: int | None) -> Any:
    """striate.datasets.<name>.load_data; the built-in digits have no folder, and are drawn anew."""
    module = importlib.import_module(f"striate.datasets.{name}")
    if name != "digits":
        return module.load_data(path=data)
    if limit is None:
        return module.load_data()
    return module.load_data(train=limit, test=limit)
