"""MNIST: 70,000 handwritten digits (LeCun, Cortes and Burges, 1998)."""

from __future__ import annotations

import os

from ._idx_set import IdxFile, IdxSet, Split, load_idx_set

__all__ = ["load_data"]

_SET = IdxSet(
    name="mnist",
    files=(
        IdxFile(
            "train-images-idx3-ubyte",
            (60000, 28, 28),
            sha256="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            (60000,),
            sha256="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10000, 28, 28),
            sha256="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            (10000,),
            sha256="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    # Not yann.lecun.com, the original: it has refused downloads for years.
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    ),
)


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[Split, Split]:
    """MNIST, from this machine or from the network.

    Args:
        path: a folder that holds the four IDX files (plain or .gz), itself or in a subfolder
            "mnist"; or Keras's `mnist.npz`. Nothing else is then looked at. Without it: the folder
            in STRIATE_DATA, the cache (STRIATE_HOME, or the user's cache folder), the mirrors.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: uint8 images (60000, 28, 28) and (10000, 28, 28),
        0 the paper and 255 the ink; uint8 labels (60000,) and (10000,), 0 to 9.

    Raises:
        DatasetNotFound: it is in no folder and on no mirror; the message says what to do.
        FormatError: a file that was found is damaged, or its SHA-256 is not MNIST's.
    """
    return load_idx_set(_SET, path)
