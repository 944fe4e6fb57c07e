"""Fashion-MNIST: 70,000 pictures of clothes (Xiao, Rasul and Vollgraf, 2017)."""

from __future__ import annotations

import os

from ._idx_set import IdxFile, IdxSet, Split, load_idx_set

__all__ = ["CLASSES", "load_data"]

CLASSES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
    "ankle boot",
)  # fmt: skip

_SET = IdxSet(
    name="fashion_mnist",
    files=(
        IdxFile(
            "train-images-idx3-ubyte",
            (60000, 28, 28),
            sha256="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            (60000,),
            sha256="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10000, 28, 28),
            sha256="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            (10000,),
            sha256="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
)


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[Split, Split]:
    """Fashion-MNIST, from this machine or from the network.

    The labels are: 0 T-shirt, 1 trousers, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt,
    7 sneaker, 8 bag, 9 ankle boot.

    Args:
        path: a folder that holds the four IDX files (plain or .gz), itself or in a subfolder
            "fashion_mnist". Nothing else is then looked at. Without it: the folder in
            STRIATE_DATA, the cache (STRIATE_HOME, or the user's cache folder), the mirrors.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: uint8 images (60000, 28, 28) and (10000, 28, 28),
        0 the background; uint8 labels (60000,) and (10000,), 0 to 9.

    Raises:
        DatasetNotFound: it is in no folder and on no mirror; the message says what to do.
        FormatError: a file that was found is damaged, or its SHA-256 is not Fashion-MNIST's.
    """
    return load_idx_set(_SET, path)
