"""What a training run is: the settings that the command line and the recipe give it together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from striate import _core, recipes
from striate.cli.data import is_folder
from striate.cli.networks import Network, find_network
from striate.cli.run_folder import RunFolder
from striate.errors import ArgumentError, FormatError
from striate.models.signature import differences

_STAY = (
    "a resumed run goes on as it was begun: leave the option out, or begin another run without "
    "--resume"
)


@dataclass(frozen=True)
class Settings:
    """All that the trained network depends on, but for the images themselves.

    Attributes:
        dataset: a name, or a folder's absolute path.
        learning_rate: None: the recipe's.
        image_size: None: the data set's, or the network's for files.
        color: "rgb" or "grayscale", of files; None: as the network is meant for.
        validation_split: of a folder of classes; None: the usual, where there is need.
        limit: images of each part; None: all.
        activation, pooling: for networks that take them.
    """

    network: str
    dataset: str
    recipe: str
    epochs: int
    batch_size: int
    seed: int = 0
    learning_rate: float | None = None
    image_size: int | None = None
    color: str | None = None
    validation_split: float | None = None
    limit: int | None = None
    activation: str | None = None
    pooling: str | None = None

    @property
    def options(self) -> dict[str, str]:
        """The network's own, those that were given."""
        given = {"activation": self.activation, "pooling": self.pooling}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Where:
    """Where the images lie and how they are read; a resumed run may be given other values.

    Attributes:
        data: the folder that holds the data set.
        on_error: what an image file that cannot be read leads to: "raise" or "skip".
        workers: threads that prepare batches.
    """

    data: Path | None = None
    on_error: str = "raise"
    workers: int | None = None


@dataclass(frozen=True)
class Begun:
    """What run.json says of a run."""

    settings: Settings
    where: Where
    recipe: dict[str, Any]
    data: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """run.json's contents."""
        return {
            "settings": asdict(self.settings),
            "where": {**asdict(self.where), "data": None if self.where.data is None else
                      str(self.where.data.absolute())},
            "recipe": self.recipe,
            "data": self.data,
            "version": _core.__version__,
            "isa": _core.isa(),
        }  # fmt: skip

    @classmethod
    def read(cls, folder: RunFolder) -> Begun:
        """What the folder's run.json says.

        Raises:
            FormatError: it is damaged, or of another version.
        """
        run = folder.read_run()
        try:
            where = dict(run["where"])
            where["data"] = None if where["data"] is None else Path(where["data"])
            return cls(Settings(**run["settings"]), Where(**where), run["recipe"], run["data"])
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{folder.run}: is not what this version writes: {error}") from None


def new_settings(network: Network, given: Mapping[str, Any]) -> Settings:
    """The settings of a new run: what was given, else the recipe's.

    given: by option; those that are None were not given.
    """
    options = {name: value for name, value in given.items() if value is not None}
    dataset = options.pop("dataset", None) or network.dataset
    if dataset is None:
        raise ArgumentError(
            f"{network.name}: --dataset is missing: a folder with images as DIR/train/CLASS/FILE "
            "and DIR/val/CLASS/FILE, or a data set's name"
        )
    if is_folder(dataset):
        dataset = str(Path(dataset).absolute())  # so that a resumed run finds it from anywhere
    name = options.pop("recipe", None)
    recipe = (
        recipes.default_recipe(network.family, dataset)
        if name is None
        else recipes.find(name, network.name)
    )
    defaults = {"epochs": recipe.epochs, "batch_size": recipe.batch_size}
    return Settings(
        network=network.name, dataset=dataset, recipe=recipe.name, **(defaults | options)
    )


def check_unchanged(begun: Begun, given: Mapping[str, Any]) -> None:
    """Refuses options of `striate train --resume` that are not what the run was begun with.

    given: by option, those that were given.

    Raises:
        ArgumentError: names all that differ.
    """
    was = asdict(begun.settings)
    changed = []
    for name in (field.name for field in fields(Settings)):
        if name not in given:
            continue
        now = given[name]
        if name == "network":
            now = find_network(str(getattr(now, "name", now))).name
        elif name == "recipe":
            now = recipes.find(str(now), begun.settings.network).name
        elif name == "dataset" and (now == "auto" or _moved(was[name], now)):
            continue
        if now != was[name]:
            option = name if name == "network" else f"--{name.replace('_', '-')}"
            changed.append(f"{option} was {was[name]}, is now {now}")
    if changed:
        raise ArgumentError(f"{'; '.join(changed)}: {_STAY}")


def check_recipe(begun: Begun, now: Mapping[str, Any], folder: RunFolder) -> None:
    """Refuses to go on with a recipe that this version has changed.

    Raises:
        ArgumentError: names the first difference.
    """
    _check(begun.recipe, now, f"recipe {begun.settings.recipe}", folder)


def check_data(begun: Begun, now: Mapping[str, Any], folder: RunFolder) -> None:
    """Refuses to go on with other images.

    Raises:
        ArgumentError: names the first difference.
    """
    unnamed = [{k: v for k, v in one.items() if k != "name"} for one in (begun.data, now)]
    _check(unnamed[0], unnamed[1], "data", folder)


def _check(was: Any, now: Any, what: str, folder: RunFolder) -> None:
    found = next(differences(what, was, now), None)
    if found is not None:
        raise ArgumentError(
            f"{folder.path}: cannot be resumed: {found}. A resumed run goes on with the network, "
            "the data and the settings that it began with"
        )


def _moved(was: str, now: str) -> bool:
    """Whether both are folders: what is in them decides."""
    return Path(now).is_dir() and was not in ("auto", "") and ("/" in was or Path(was).is_dir())
