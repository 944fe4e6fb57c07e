"""Networks and model files, as a command line names them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from striate import applications, utils
from striate.applications.cifar_net import whiten
from striate.applications.preprocess import TORCH_DEVIATION, TORCH_MEAN
from striate.errors import ArgumentError, ShapeError
from striate.initializers import LecunUniform
from striate.layers import Rescaling
from striate.models import Model, load_model
from striate.models.serialization import deserialize_model, serialize

Shape = tuple[int, int, int]  # height, width, channels of an image


@dataclass(frozen=True)
class Network:
    """A network of striate.applications.

    Attributes:
        family: what decides its recipe, see recipes.default_recipe.
        side: of an image that it is meant for, in pixels.
        dataset: what it is trained on where nothing is said; None: it has to be said.
        channels: of an image, where files do not decide it.
        options: keywords that `build` takes from the command line.
        fixed: whether it takes images of one shape, and has one number of classes.
        begin: makes of a fresh model and of some training images what training begins with.
    """

    name: str
    build: Callable[..., Model]
    family: str
    side: int
    dataset: str | None = None
    channels: int = 3
    options: tuple[str, ...] = ()
    fixed: bool = False
    begin: Callable[[Model, NDArray[Any]], None] | None = None

    def shorter_side(self, side: int) -> int:
        """What an image's shorter side becomes before its centre is cut out: 256 for 224."""
        return round(side * 256 / 224) if self.side == 224 else side


def lenet5_1998_ready_to_learn() -> Model:
    """LeNet5_1998 with weights that start with standard deviation 1/sqrt(F), not in +-2.4/F.

    That is the same authors' rule for the same squash in "Efficient BackProp" (1998, eq. 16), and
    the one choice here against the paper's letter. From +-2.4/F nearly nothing arrives at f6, so
    the curvature that is measured before the first pass is nearly nothing too; the steps that
    follow from it, 0.025 and more, diverge within ten samples, with each reading of the
    subsampling's start and with curvatures estimated anew as often as every 25 samples (tried at
    one seed). From 1/sqrt(F) the first pass's steps lie
    between 0.00005 and 0.024, where the paper reports 0.00007 to 0.016.
    """
    return applications.LeNet5_1998(initializer=LecunUniform())


def _mlp(**options: Any) -> Model:
    return applications.MLP(300, 100, **options)


def _digits(
    name: str, build: Callable[..., Model], options: tuple[str, ...] = (), fixed: bool = False
) -> Network:
    return Network(name, build, name, 28, "auto", 1, options, fixed)


def _cifar(name: str, build: Callable[..., Model]) -> Network:
    return Network(name, build, "cifar-resnet", 32, "cifar10")


NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        _digits("lenet5", applications.LeNet5, ("activation", "pooling")),
        _digits("lenet5-1998", lenet5_1998_ready_to_learn, fixed=True),
        _digits("mlp", _mlp, ("activation",)),
        Network("alexnet", applications.AlexNet, "plain", 224),
        Network("vgg16", applications.VGG16, "plain", 224),
        Network("vgg19", applications.VGG19, "plain", 224),
        Network("googlenet", applications.GoogLeNet, "plain", 224),
        Network("resnet18", applications.ResNet18, "resnet", 224),
        Network("resnet34", applications.ResNet34, "resnet", 224),
        Network("resnet50", applications.ResNet50, "resnet", 224),
        Network("resnet101", applications.ResNet101, "resnet", 224),
        Network("resnet152", applications.ResNet152, "resnet", 224),
        Network("cifarnet", applications.CifarNet, "cifarnet", 32, "cifar10", begin=whiten),
        _cifar("resnet20", applications.ResNet20),
        _cifar("resnet32", applications.ResNet32),
        _cifar("resnet44", applications.ResNet44),
        _cifar("resnet56", applications.ResNet56),
        _cifar("resnet110", applications.ResNet110),
    )
}  # fmt: skip


def find_network(name: str) -> Network:
    """The network of that name; underscores count as hyphens and case does not count."""
    network = NETWORKS.get(name.lower().replace("_", "-"))
    if network is None:
        raise ArgumentError(f"no network {name!r}; there are {', '.join(NETWORKS)}")
    return network


def network_argument(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """The callback of an argument that names a network."""
    if value is None:
        return None
    try:
        return find_network(value)
    except ArgumentError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def build_network(
    network: Network,
    shape: Shape,
    classes: int,
    options: Mapping[str, str],
    first: Rescaling | None = None,
) -> Model:
    """A fresh network for images of this shape; `first` comes before its first layer.

    Raises:
        ArgumentError: it lacks an option, or takes other images or another number of classes.
        ShapeError: the images are too small for it.
    """
    for option in options:
        if option not in network.options:
            raise ArgumentError(f"--{option}: {network.name} has no such choice")
    if network.fixed:
        wanted = (network.side, network.side, network.channels)
        if shape != wanted or classes != 10:
            raise ArgumentError(
                f"{network.name} takes gray images of {network.side}x{network.side} and 10 "
                f"classes, these are {shape[0]}x{shape[1]} with {shape[2]} channels and {classes} "
                "classes"
            )
        return network.build()
    if first is None:
        return network.build(input_shape=shape, classes=classes, **options)
    with utils.seeds_kept():  # the model that is kept has the first seed
        plain = network.build(input_shape=shape, classes=classes, **options)
    return with_first_layer(plain, first)


def with_first_layer(model: Model, layer: Rescaling) -> Model:
    """A fresh model of the same layers, with `layer` between the input and the first of them."""
    entry = serialize(model)
    config, added = dict(entry["config"]), serialize(layer)
    if entry["class"] == "Sequential":
        config["layers"] = [added, *config["layers"]]
        return deserialize_model({**entry, "config": config})
    # Node 0 is the input; the new one comes second, and whatever took the input takes that.
    config["nodes"] = [
        config["nodes"][0],
        {"layer": len(config["layers"]), "inputs": [[0, 0]]},
        *(
            {**node, "inputs": [[place + 1, output] for place, output in node["inputs"]]}
            for node in config["nodes"][1:]
        ),
    ]
    config["layers"] = [*config["layers"], added]
    outputs = config["outputs"]
    moved = [[place + 1, output] for place, output in outputs["tensors"]]
    config["outputs"] = {**outputs, "tensors": moved}
    return deserialize_model({**entry, "config": config})


def first_layer(
    inputs: str, mean: NDArray[np.float64] | None, deviation: NDArray[np.float64] | None
) -> Rescaling | None:
    """The Rescaling that a recipe's `inputs` asks for, of pixels 0 to 255; None for none.

    Args:
        inputs: one of recipes.INPUTS.
        mean, deviation: of each channel of the training images, of pixels 0 to 1; for "statistics".
    """
    if inputs == "scaled":
        return Rescaling(1 / 255, name="normalize")
    if inputs == "imagenet":
        mean, deviation = TORCH_MEAN.astype(np.float64), TORCH_DEVIATION.astype(np.float64)
    elif inputs != "statistics":
        return None
    assert mean is not None and deviation is not None
    scale = 1 / (255 * deviation)
    return Rescaling(scale.tolist(), (-mean / deviation).tolist(), name="normalize")


def open_model(path: str | Path) -> Model:
    """The model in a file; a folder that a run left stands for its model.safetensors."""
    path = Path(path)
    if path.is_dir():
        folder, path = path, path / "model.safetensors"
        if not path.is_file() and (folder / "run.json").is_file():
            raise ArgumentError(
                f"no model file {path}: the run has not ended; "
                f"`striate train --resume {folder}` goes on with it"
            )
    if not path.is_file():
        raise ArgumentError(f"no model file {path}")
    return load_model(path)


def network_or_model(name: str) -> Model:
    """A fresh network by its name, as it was published, or the model in the file of that name."""
    try:
        return find_network(name).build()
    except ArgumentError as error:
        if Path(name).exists():
            return open_model(name)
        raise ArgumentError(f"{error}, and no model file has that name") from None


def class_scores(model: Model, outputs: Any) -> NDArray[np.float32]:
    """A model's outputs as scores of classes, (N, classes), the likeliest class's the largest.

    Probabilities where the last layer is a softmax, or has none and gives logits; the negative
    distances of RBF units. Of several outputs the first one counts.

    Raises:
        ShapeError: the first output is no vector of at least two numbers.
    """
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    first = outputs[0] if isinstance(outputs, list) else outputs
    scores: NDArray[np.float32] = np.asarray(first)
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ShapeError(
            f"{model.name}: its output {scores.shape[1:]} is no score of two or more classes"
        )
    if model.outputs_are_distances:
        return -scores
    if model.last_activation == "linear":
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
    return scores
