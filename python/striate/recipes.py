"""How each network that `striate train` knows is trained, and what its input looks like.

A recipe is the smallest set of choices that makes a run: network, preprocessing, loss, optimizer
with its schedule, epochs and batch size. The command line only overrides them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from striate.applications import MLP, LeNet5, LeNet5_1998
from striate.applications.lenet5_1998 import preprocess as preprocess_1998
from striate.errors import ArgumentError, ShapeError
from striate.initializers import LecunUniform
from striate.losses import Loss, MAPLoss, SparseCategoricalCrossentropy
from striate.models import Model, Sequential
from striate.optimizers import SDLM, AdamW, Optimizer
from striate.schedules import OneCycle, lenet5_1998

Images = NDArray[np.uint8]
Preprocess = Callable[[Images], NDArray[np.float32]]
# (learning rate or None for the recipe's own, steps an epoch, epochs) -> optimizer
MakeOptimizer = Callable[[float | None, int, int], Optimizer]


@dataclass(frozen=True)
class Recipe:
    """A network and how to train it; `build` takes the keywords named in `options`."""

    name: str
    title: str
    build: Callable[..., Sequential]
    preprocess: Preprocess
    loss: Callable[[], Loss]
    optimizer: MakeOptimizer
    epochs: int
    batch_size: int
    options: tuple[str, ...] = ()
    shuffle: bool = True


def scaled(images: Images) -> NDArray[np.float32]:
    """Pixels 0-255, [N, 28, 28] or [N, 28, 28, 1], as float32 0-1, [N, 28, 28, 1]."""
    images = np.asarray(images)
    if images.shape[1:] not in ((28, 28), (28, 28, 1)):
        raise ShapeError(
            f"recipes.scaled: takes images [N, 28, 28] or [N, 28, 28, 1], got {images.shape}"
        )
    pixels: NDArray[np.float32] = images.reshape(-1, 28, 28, 1).astype(np.float32)
    pixels /= 255
    return pixels


def adamw_one_cycle(maximum: float) -> MakeOptimizer:
    """AdamW under a one-cycle schedule that ends with the run; a given rate is its maximum.

    Chosen for LeNet-5 by 65 random trials on 10,000 held-out training images: rates from 0.0025 to
    0.012, batches of 32 to 128, beta_2 and the cycle's shape make no difference beyond the seed's
    0.08 %; a weight decay of 0.1 is worth 0.08 % over none.
    """

    def make(learning_rate: float | None, steps_per_epoch: int, epochs: int) -> Optimizer:
        rate = learning_rate or maximum
        cycle = OneCycle(rate, steps=steps_per_epoch * epochs, pct_start=0.2)
        return AdamW(cycle, weight_decay=0.1, beta_2=0.95)

    return make


def lenet5_1998_ready_to_learn() -> Sequential:
    """LeNet5_1998 with weights that start with standard deviation 1/sqrt(F), not in +-2.4/F.

    That is the same authors' rule for the same squash in "Efficient BackProp" (1998, eq. 16), and
    the one choice here against the paper's letter. From +-2.4/F nearly nothing arrives at f6, so
    the curvature that is measured before the first pass is nearly nothing too; the steps that
    follow from it, 0.025 and more, diverge within ten samples, with each reading of the
    subsampling's start and with curvatures estimated anew as often as every 25 samples (tried at
    one seed). From 1/sqrt(F) the first pass's steps lie
    between 0.00005 and 0.024, where the paper reports 0.00007 to 0.016.
    """
    return LeNet5_1998(initializer=LecunUniform())


def sdlm_1998(learning_rate: float | None, steps_per_epoch: int, epochs: int) -> Optimizer:
    """The paper's rates, pass by pass (appendix C); a given rate holds for the whole run."""
    return SDLM(learning_rate or lenet5_1998(steps_per_epoch), mu=0.02)


# Eq. 9's j, the penalty of the "rubbish class", which the paper does not give. Chosen on 10,000
# held-out training images, 20 passes over the other 50,000: errors of 1.25 % at j = 0.1, 0.88 and
# 0.96 % (two seeds) at 10, 1.04 % at 20, 1.20 % at 50. Penalties of wrong classes are 48 and more
# at the codes themselves, so a j of 0.1 pushes against nearly none of them.
RUBBISH_CLASS = 10.0

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="lenet5",
            title="LeNet-5 as it is taught today: ReLU, max pooling, softmax",
            build=LeNet5,
            options=("activation", "pooling"),
            preprocess=scaled,
            loss=SparseCategoricalCrossentropy,
            optimizer=adamw_one_cycle(0.008),
            epochs=5,
            batch_size=128,
        ),
        Recipe(
            name="lenet5-1998",
            title="LeNet-5 to the letter of the paper, trained as in the paper",
            build=lenet5_1998_ready_to_learn,
            preprocess=preprocess_1998,
            loss=lambda: MAPLoss(j=RUBBISH_CLASS),
            optimizer=sdlm_1998,
            epochs=20,
            batch_size=1,
        ),
        Recipe(
            name="mlp",
            title="784-300-100-10, fully connected: what a network without convolutions reaches",
            build=lambda **options: MLP(300, 100, **options),
            options=("activation",),
            preprocess=scaled,
            loss=SparseCategoricalCrossentropy,
            optimizer=adamw_one_cycle(0.003),
            epochs=5,
            batch_size=128,
        ),
    )
}


def find(name: str) -> Recipe:
    """The recipe of that name; underscores count as hyphens and case does not count."""
    recipe = RECIPES.get(name.lower().replace("_", "-"))
    if recipe is None:
        raise ArgumentError(f"no network {name!r}; there are {', '.join(RECIPES)}")
    return recipe


def preprocess_for(model: Model) -> Preprocess:
    """How images [N, 28, 28] become this model's input, told by the shape that it takes."""
    shape = model.sample_shape
    if shape == (32, 32, 1):
        return preprocess_1998
    if shape == (28, 28, 1):
        return scaled
    raise ShapeError(
        f"{model.name} takes input {shape}; images of digits fit networks that take "
        "(28, 28, 1), or (32, 32, 1) as LeNet5_1998 does"
    )
