"""How the networks that `striate train` knows are trained: recipes, as data.

A recipe says everything about training but the network and the images: optimizer, schedule, loss,
augmentation, epochs, batch size, and how pixels become the network's input. `default_recipe` picks
one for a network and a data set; `--recipe NAME` another; the command line overrides single values.

Weight decay here is decoupled (Keras's, Loshchilov and Hutter's): each step takes
learning_rate * weight_decay * w from a weight. Papers and PyTorch's SGD mean a penalty, wd * w in
the gradient, which momentum m sums up to learning_rate * wd / (1 - m) * w in the long run. So their
wd of 5e-4 with a momentum of 0.9 is 5e-3 here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from striate import losses, optimizers
from striate.augment import (
    ElasticDeformation,
    RandomAffine,
    RandomCrop,
    RandomFlip,
    RandomResizedCrop,
    Transform,
)
from striate.errors import ArgumentError
from striate.losses import Loss, MAPLoss, SparseCategoricalCrossentropy
from striate.optimizers import Optimizer
from striate.schedules import (
    Constant,
    CosineDecay,
    LearningRateSchedule,
    OneCycle,
    PiecewiseConstantDecay,
    PiecewiseLinear,
    lenet5_1998,
)

Size = tuple[int, int]  # height and width of the network's input

INPUTS = ("unit", "lenet5-1998", "scaled", "statistics", "imagenet")
"""How pixels, 0 to 255, become what the network sees.

"unit", "lenet5-1998": before the network, as 0 to 1, or as applications.lenet5_1998 has them; the
    saved model takes numbers made so.
"scaled", "statistics", "imagenet": in the network's first layer, a Rescaling by 1/255, or by the
    mean and deviation of each channel in the training images, or in ImageNet's; the saved model
    takes pixels as they are.
"""


@dataclass(frozen=True)
class Recipe:
    """All the choices of a training run, but for the network and the data.

    Attributes:
        learning_rate: the schedule's highest, for batches of `batch_size`.
        scales: whether the rate goes with the batch where another size is given (Goyal et al.,
            "Accurate, large minibatch SGD", 2017).
        schedule: "one-cycle", "triangle", "cosine", "steps", "constant" or "lenet5-1998"; see
            `rates`.
        optimizer: the class's name in striate.optimizers.
        ema_momentum: of the weights' average at the end of the run, to which it rises from 0 in a
            line, where the optimizer's options ask for an average; None: what these say.
        no_weight_decay: parts of the names of weights that do not decay.
        multipliers: of the learning rate, see Optimizer.set_learning_rate_multipliers.
        augmentation: the transforms for training images, given the size that they end with.
        inputs: one of INPUTS.
    """

    name: str
    title: str
    epochs: int
    batch_size: int
    learning_rate: float
    schedule: str = "one-cycle"
    schedule_options: Mapping[str, Any] = field(default_factory=dict)
    optimizer: str = "SGD"
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    ema_momentum: float | None = None
    no_weight_decay: tuple[str, ...] = ()
    multipliers: Mapping[str, float] = field(default_factory=dict)
    loss: Loss = field(default_factory=SparseCategoricalCrossentropy)
    augmentation: Callable[[Size], Sequence[Transform]] | None = None
    inputs: str = "scaled"
    scales: bool = False

    def highest_rate(self, batch_size: int) -> float:
        """The schedule's highest rate for batches of this size."""
        return self.learning_rate * (batch_size / self.batch_size if self.scales else 1.0)

    def rates(
        self, learning_rate: float | None, batch_size: int, steps_per_epoch: int, epochs: int
    ) -> LearningRateSchedule:
        """The rate at each step of a run; `learning_rate` takes the place of the recipe's own.

        "one-cycle" is schedules.OneCycle over the run, "triangle" a line from `start` times the
        highest rate up to it at the fraction `peak` of the run, and another down to `end` times it,
        "cosine" half a cosine after `warmup_epochs`, "steps" a tenth after each of `at`, as
        fractions of the run, "lenet5-1998" the paper's, pass by pass (a given rate holds for the
        whole run).
        """
        highest = learning_rate or self.highest_rate(batch_size)
        options, steps = dict(self.schedule_options), steps_per_epoch * epochs
        if self.schedule == "one-cycle":
            return OneCycle(highest, steps=steps, **options)
        if self.schedule == "triangle":
            peak = min(round(options["peak"] * steps), steps - 1)
            at, values = [peak, steps], [highest, options["end"] * highest]
            if peak:
                at, values = [0, *at], [options["start"] * highest, *values]
            return PiecewiseLinear(at, values)
        if self.schedule == "cosine":
            warmup = min(round(options.pop("warmup_epochs", 0) * steps_per_epoch), steps - 1)
            start = highest / 100 if warmup else highest
            return CosineDecay(
                start, max(steps - warmup, 1), warmup_target=highest, warmup_steps=warmup, **options
            )
        if self.schedule == "steps":
            # Of a run of few steps, two of them may be one.
            at = sorted({round(fraction * steps) for fraction in options["at"]})
            return PiecewiseConstantDecay(at, [highest / 10**k for k in range(len(at) + 1)])
        if self.schedule == "lenet5-1998" and learning_rate is None:
            return lenet5_1998(steps_per_epoch)
        if self.schedule in ("constant", "lenet5-1998"):
            return Constant(highest)
        raise ArgumentError(f"recipe {self.name}: no schedule {self.schedule!r}")

    def make_optimizer(
        self, learning_rate: float | None, batch_size: int, steps_per_epoch: int, epochs: int
    ) -> Optimizer:
        """The optimizer for a run of so many steps."""
        make = getattr(optimizers, self.optimizer)
        options = dict(self.optimizer_options)
        if self.ema_momentum is not None:
            steps = steps_per_epoch * epochs
            options["ema_momentum"] = PiecewiseLinear([0, steps], [0.0, self.ema_momentum])
        made: Optimizer = make(
            self.rates(learning_rate, batch_size, steps_per_epoch, epochs), **options
        )
        if self.no_weight_decay:
            made.exclude_from_weight_decay(var_names=self.no_weight_decay)
        if self.multipliers:
            made.set_learning_rate_multipliers(self.multipliers)
        return made

    def transforms(self, size: Size) -> list[Transform]:
        """What training images go through; empty for none."""
        return [] if self.augmentation is None else list(self.augmentation(size))

    def settings(self, size: Size) -> dict[str, Any]:
        """The recipe as JSON-able values; what a resumed run compares."""
        return {
            "name": self.name,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "schedule": {"name": self.schedule, **self.schedule_options},
            "optimizer": {"name": self.optimizer, **self.optimizer_options},
            "ema_momentum": self.ema_momentum,
            "no_weight_decay": list(self.no_weight_decay),
            "multipliers": dict(self.multipliers),
            "loss": losses.serialize(self.loss),
            "augmentation": [repr(transform) for transform in self.transforms(size)],
            "inputs": self.inputs,
            "scales": self.scales,
        }


# LeNet-5 of today and the multilayer perceptron, quickly. Chosen for LeNet-5 by 65 random trials on
# 10,000 held-out training images: rates from 0.0025 to 0.012, batches of 32 to 128, beta_2 and the
# cycle's shape make no difference beyond the seed's 0.08 %; a weight decay of 0.1 is worth 0.08 %
# over none.
LENET5 = Recipe(
    name="lenet5",
    title="LeNet-5 as it is taught today, five passes",
    epochs=5,
    batch_size=128,
    learning_rate=0.008,
    schedule_options={"pct_start": 0.2},
    optimizer="AdamW",
    optimizer_options={"weight_decay": 0.1, "beta_2": 0.95},
    inputs="unit",
)
MLP = replace(
    LENET5,
    name="mlp",
    title="784-300-100-10, fully connected: what a network without convolutions reaches",
    learning_rate=0.003,
)

# Eq. 9's j, the penalty of the "rubbish class", which the paper does not give. Chosen on 10,000
# held-out training images, 20 passes over the other 50,000: errors of 1.25 % at j = 0.1, 0.88 and
# 0.96 % (two seeds) at 10, 1.04 % at 20, 1.20 % at 50. Penalties of wrong classes are 48 and more
# at the codes themselves, so a j of 0.1 pushes against nearly none of them.
RUBBISH_CLASS = 10.0

LENET5_1998 = Recipe(
    name="lenet5-1998",
    title="LeNet-5 to the letter of the paper, trained as in the paper",
    epochs=20,
    batch_size=1,
    learning_rate=0.0005,
    schedule="lenet5-1998",
    optimizer="SDLM",
    optimizer_options={"mu": 0.02},
    loss=MAPLoss(j=RUBBISH_CLASS),
    inputs="lenet5-1998",
)


def _digits(size: Size) -> list[Transform]:
    """The distortions of LeCun et al. 1998, III-C, and Simard's elastic ones."""
    return [
        RandomAffine(
            degrees=7.5, translate=0.055, scale=(0.93, 1.07), squeeze=(0.97, 1.03), shear=6
        ),
        ElasticDeformation(alpha=18, sigma=5),
    ]  # fmt: skip


LENET5_BEST = Recipe(
    name="lenet5-best",
    title="LeNet-5 on distorted digits, until it learns no more",
    epochs=50,
    batch_size=128,
    learning_rate=0.006,
    schedule_options={"pct_start": 0.15},
    optimizer="AdamW",
    optimizer_options={
        "weight_decay": 0.05,
    },
    augmentation=_digits,
    inputs="scaled",
)


def _small_photographs(size: Size) -> list[Transform]:
    """What networks for CIFAR are trained with; the border is an eighth of the image's size."""
    border = (max(1, size[0] // 8), max(1, size[1] // 8))
    return [RandomFlip(), RandomCrop(size, padding=border)]


def _shifted(size: Size) -> list[Transform]:
    """Without mirror images, for characters."""
    border = (max(1, size[0] // 16), max(1, size[1] // 16))
    return [RandomCrop(size, padding=border, fill_mode="constant")]


CIFAR_RESNET = Recipe(
    name="cifar-resnet",
    title="residual networks on small photographs: one cycle, mirror images and shifts",
    epochs=26,
    batch_size=128,
    learning_rate=0.3,
    schedule_options={"pct_start": 0.25},
    optimizer="SGD",
    # 5e-3 is PyTorch's and the papers' 5e-4 at this momentum.
    optimizer_options={"momentum": 0.9, "nesterov": True, "weight_decay": 5e-3},
    no_weight_decay=("bias", "gamma", "beta"),
    loss=SparseCategoricalCrossentropy(label_smoothing=0.1),
    augmentation=_small_photographs,
    inputs="statistics",
    scales=True,
)


def _small_photographs_in_turn(size: Size) -> list[Transform]:
    """Each image and its mirror image in turn; the border is a sixteenth of the image's size."""
    border = (max(1, size[0] // 16), max(1, size[1] // 16))
    return [RandomFlip(alternate=True), RandomCrop(size, padding=border)]


# Jordan's airbench94_muon, 2024, with batches of 1024 instead of 2000. The rate is the share of a
# kernel that a step replaces. What SGD trains has the rate of airbench94, 1.5 at the mean loss, 64
# times as much for the shifts of normalisations, times (1 - 0.6) / (1 - 0.85) for its momentum; of
# the last layer's kernel a step takes 1.35 % at most.
_SGD_RATE = 1.5 * 0.4 / 0.15
_MUON_RATE = 0.24
CIFAR_NET = Recipe(
    name="cifarnet",
    title="the fast network for small photographs: few passes at a high rate",
    epochs=10,
    batch_size=1024,
    learning_rate=_MUON_RATE,
    schedule="triangle",
    schedule_options={"start": 1.0, "peak": 0.0, "end": 0.0},
    optimizer="Muon",
    optimizer_options={
        "momentum": 0.6, "ns_steps": 3, "exclude_layers": ["predictions"], "normalize": True,
        "weight_decay": 0.0135 / _MUON_RATE,
    },
    no_weight_decay=("bias", "beta"),
    multipliers={"/beta$": 64 * _SGD_RATE / _MUON_RATE, "^predictions/": _SGD_RATE / _MUON_RATE},
    loss=SparseCategoricalCrossentropy(label_smoothing=0.2),
    augmentation=_small_photographs_in_turn,
    inputs="statistics",
)  # fmt: skip
CHARACTERS = replace(
    CIFAR_RESNET,
    name="characters",
    title="residual networks on characters: one cycle, small shifts",
    epochs=10,
    learning_rate=0.2,
    augmentation=_shifted,
)


def _photographs(size: Size) -> list[Transform]:
    """What networks for ImageNet are trained with since GoogLeNet."""
    return [RandomResizedCrop(size), RandomFlip()]


# He et al., 2016: rate 0.1 for batches of 256, here 64; 1e-4 as a penalty. The cosine, the warm-up
# and the smoothed labels came later, and are in every recipe of today.
IMAGENET_RESNET = Recipe(
    name="imagenet-resnet",
    title="networks with batch normalisation on photographs: cosine after a warm-up",
    epochs=90,
    batch_size=64,
    learning_rate=0.05,
    schedule="cosine",
    schedule_options={"warmup_epochs": 5},
    optimizer="SGD",
    optimizer_options={"momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
    no_weight_decay=("bias", "gamma", "beta"),
    loss=SparseCategoricalCrossentropy(label_smoothing=0.1),
    augmentation=_photographs,
    inputs="imagenet",
    scales=True,
)
# Krizhevsky et al., 2012, and Simonyan and Zisserman, 2015: 0.01, divided by ten three times, 5e-4
# as a penalty.
IMAGENET_PLAIN = Recipe(
    name="imagenet-plain",
    title="networks without batch normalisation on photographs: as AlexNet and VGG were trained",
    epochs=74,
    batch_size=128,
    learning_rate=0.01,
    schedule="steps",
    schedule_options={"at": (0.4, 0.65, 0.85)},
    optimizer="SGD",
    optimizer_options={"momentum": 0.9, "weight_decay": 5e-3},
    no_weight_decay=("bias",),
    augmentation=_photographs,
    inputs="imagenet",
    scales=True,
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        LENET5, LENET5_BEST, LENET5_1998, MLP, CIFAR_RESNET, CIFAR_NET, CHARACTERS, IMAGENET_RESNET,
        IMAGENET_PLAIN,
    )
}  # fmt: skip

# Where mirror images mean something else; "auto" is one of them.
_CHARACTERS = ("auto", "mnist", "fashion_mnist", "kmnist", "digits")

# Of families of networks, on photographs.
_OF_FAMILY = {
    "lenet5": LENET5,
    "lenet5-1998": LENET5_1998,
    "mlp": MLP,
    "cifar-resnet": CIFAR_RESNET,
    "cifarnet": CIFAR_NET,
    "resnet": IMAGENET_RESNET,
    "plain": IMAGENET_PLAIN,
}


def default_recipe(family: str, dataset: str) -> Recipe:
    """The recipe for a family of networks (see cli.networks) on a data set, by its name."""
    recipe = _OF_FAMILY[family]
    if dataset in _CHARACTERS and recipe in (CIFAR_RESNET, CIFAR_NET, IMAGENET_RESNET):
        return CHARACTERS
    if dataset in ("cifar10", "cifar100") and recipe is IMAGENET_RESNET:
        return CIFAR_RESNET
    return recipe


def find(name: str, network: str = "") -> Recipe:
    """The recipe of that name; "best" with network "lenet5" is "lenet5-best".

    Underscores count as hyphens, and case does not count.

    Raises:
        ArgumentError: there is none.
    """
    key = name.lower().replace("_", "-")
    recipe = RECIPES.get(key) or RECIPES.get(f"{network}-{key}")
    if recipe is None:
        raise ArgumentError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return recipe
