"""Random distortions of images, the same at any number of workers.

A `Pipeline` of transforms works on NHWC batches with values from 0 to 255; `AugmentedArrays` gives
`fit` batches of arrays that went through one, prepared by threads ahead of the training step.
"""

from striate.augment.affine import RandomAffine
from striate.augment.arrays import AugmentedArrays
from striate.augment.color import ColorJitter, PCAColor
from striate.augment.crop import CenterCrop, RandomCrop
from striate.augment.cutout import Cutout
from striate.augment.elastic import ElasticDeformation
from striate.augment.flip import RandomFlip
from striate.augment.loader import Loader
from striate.augment.mixup import MixUp
from striate.augment.normalize import Normalize
from striate.augment.pipeline import Pipeline
from striate.augment.resize import RandomResizedCrop, Resize
from striate.augment.transform import Draw, Transform

__all__ = [
    "AugmentedArrays",
    "CenterCrop",
    "ColorJitter",
    "Cutout",
    "Draw",
    "ElasticDeformation",
    "Loader",
    "MixUp",
    "Normalize",
    "PCAColor",
    "Pipeline",
    "RandomAffine",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
    "Resize",
    "Transform",
]
