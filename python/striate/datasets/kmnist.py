"""Kuzushiji-MNIST: 70,000 characters of old Japanese cursive (Clanuwat et al., 2018)."""

from __future__ import annotations

import os

from ._idx_set import IdxFile, IdxSet, Split, load_idx_set

__all__ = ["CLASSES", "load_data"]

CLASSES = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

# The checksums are of the .gz files: for this set no others are published. Every mirror serves
# those very files. A plain file is therefore checked for its type and shape only.
_SET = IdxSet(
    name="kmnist",
    files=(
        IdxFile(
            "train-images-idx3-ubyte",
            (60000, 28, 28),
            sha256_gz="51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            (60000,),
            sha256_gz="e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        ),
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10000, 28, 28),
            sha256_gz="edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            (10000,),
            sha256_gz="20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
    ),
    # The authors' server is often out of reach (rois-codh/kmnist#29); the other two are copies
    # made by people who met that.
    mirrors=(
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "https://huggingface.co/datasets/tanganke/kmnist/resolve/main/raw/",
        "https://media.githubusercontent.com/media/namanlab/CVCNN_Paper/"
        "0f30b9c852904dc63a7902c1d2a2f5c61d0547e4/data/KMNIST/raw/",
    ),
)


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[Split, Split]:
    """Kuzushiji-MNIST, from this machine or from the network.

    The labels are: 0 o, 1 ki, 2 su, 3 tsu, 4 na, 5 ha, 6 ma, 7 ya, 8 re, 9 wo.

    Args:
        path: a folder that holds the four IDX files (plain or .gz), itself or in a subfolder
            "kmnist". Nothing else is then looked at. Without it: the folder in STRIATE_DATA, the
            cache (STRIATE_HOME, or the user's cache folder), the mirrors.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: uint8 images (60000, 28, 28) and (10000, 28, 28),
        0 the paper and 255 the ink; uint8 labels (60000,) and (10000,), 0 to 9.

    Raises:
        DatasetNotFound: it is in no folder and on no mirror; the message says what to do.
        FormatError: a file that was found is damaged, or its SHA-256 is not Kuzushiji-MNIST's.
    """
    return load_idx_set(_SET, path)
