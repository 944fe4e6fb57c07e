"""`striate train`: a network, a data set, a recipe; leaves runs/<name>/ behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from striate.cli.data import NAMED, is_folder
from striate.cli.networks import NETWORKS, Network, network_argument
from striate.cli.options import threads_option
from striate.cli.run_folder import RunFolder
from striate.cli.settings import Begun, Where, check_unchanged, new_settings
from striate.cli.training import Job
from striate.errors import ArgumentError

_NEWEST = "\0"  # --resume without a run; no path has this character
_ABOUT_WHERE = ("data", "on_error", "workers")
_NO_SETTINGS = (*_ABOUT_WHERE, "runs", "name", "resume", "verbose", "threads")


@click.command(epilog=f"Networks: {', '.join(NETWORKS)}.")
@click.argument("network", required=False, callback=network_argument)
@click.option(
    "--dataset",
    metavar="NAME|DIR",
    help=f"{', '.join(NAMED)}; auto, which is MNIST, or the built-in digits where it cannot be "
    "had; or a folder of images.  [default: what the network was published for]",
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder that holds the data set.")
@click.option("--recipe", metavar="NAME", help="How to train, see striate.recipes; lenet5-best.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training images.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images a step.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="The schedule's highest rate; for lenet5-1998 the rate of the whole run.",
)
@click.option(
    "--image-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Images become N x N pixels.  [default: the data set's; the network's for a folder]",
)
@click.option(
    "--color",
    type=click.Choice(["rgb", "grayscale"]),
    help="What a folder's images are read as.  [default: rgb; grayscale for lenet5 and mlp]",
)
@click.option(
    "--validation-split",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="X",
    help="Of a folder without val/: the share of each class to test on.  [default: 0.1]",
)
@click.option(
    "--on-error",
    type=click.Choice(["raise", "skip"]),
    default="raise",
    show_default=True,
    help="What an image file that cannot be read leads to.",
)
@click.option("--name", help="The run's folder.  [default: network-dataset-seed, numbered]")
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where the run's folder is made.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value=_NEWEST,
    metavar="[RUN]",
    help="Go on with a run that was stopped: its folder or name, or the newest one.",
)
@click.option("--workers", type=click.IntRange(min=0), help="Threads that prepare batches.")
@threads_option
@click.option("--limit", type=click.IntRange(min=1), help="Use only N training and N test images.")
@click.option("--activation", help="For lenet5 and mlp: relu, tanh, sigmoid, ...")
@click.option("--pooling", type=click.Choice(["max", "average"]), help="For lenet5.")
@click.option("--verbose", "-v", is_flag=True, help="Also say how the run is set up.")
@click.pass_context
def train(ctx: click.Context, /, network: Network | None, **options: Any) -> None:
    """Train NETWORK and keep what comes of it in a folder.

    Leaves the model, its history, result.json and, with matplotlib, pictures in RUNS/NAME.

    A folder of images has them as DIR/train/CLASS/FILE and DIR/val/CLASS/FILE (or test/), or all
    as DIR/CLASS/FILE; then a tenth of each class is kept to test on.

    After each epoch the state of training is saved. After Ctrl-C, a crash or kill -9, --resume goes
    on from there and ends with the same network, to the bit, as if nothing had happened.

    \b
      striate train lenet5
      striate train resnet20 --dataset cifar10 --data DIR
      striate train resnet18 --dataset flowers --image-size 160 --epochs 30 --on-error skip
      striate train --resume runs/resnet20-cifar10-0
    """
    runs = options["runs"]
    if options["resume"] is not None:
        job = _resumed(network, options, _given(ctx), runs)
        if job is None:
            return
    else:
        if network is None:
            raise click.UsageError("Missing argument 'NETWORK', or --resume.", ctx)
        settings = new_settings(
            network, {k: v for k, v in options.items() if k not in _NO_SETTINGS}
        )
        where = Where(**{name: options[name] for name in _ABOUT_WHERE})
        job = Job(settings, where)
    job.prepare()
    job.begin(runs, options["name"])
    job.run(verbose=options["verbose"])


def _given(ctx: click.Context) -> dict[str, Any]:
    """The options that stand on the command line."""
    return {
        name: value
        for name, value in ctx.params.items()
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE and value is not None
    }


def _resumed(
    network: Network | None, options: dict[str, Any], given: dict[str, Any], runs: Path
) -> Job | None:
    """The run to go on with; None if it has come to its end."""
    if "name" in given:
        raise ArgumentError("--name: a resumed run has its name: --resume NAME")
    run = options["resume"]
    if run == _NEWEST:
        folder = RunFolder.newest(runs, lambda said: _is_meant(said, network, given))
    else:
        folder = RunFolder.find(runs, run)
    begun = Begun.read(folder)
    check_unchanged(begun, given)
    if folder.ended:
        result = folder.read_result()
        click.echo(
            f"{folder.path} has ended: {result['epochs']} epochs, test accuracy "
            f"{100 * result['accuracy']:.2f} %"
        )
        return None
    where = replace(begun.where, **{n: v for n, v in given.items() if n in _ABOUT_WHERE})
    settings = begun.settings
    if is_folder(given.get("dataset", "auto")):
        settings = replace(settings, dataset=str(Path(given["dataset"]).absolute()))
    return Job(settings, where, folder, begun)


def _is_meant(said: Any, network: Network | None, given: dict[str, Any]) -> bool:
    """Whether a run.json is of the network and the data set on the command line."""
    settings = said.get("settings", {})
    return all(
        wanted in (None, "auto") or settings.get(name) == wanted
        for name, wanted in (
            ("network", None if network is None else network.name),
            ("dataset", given.get("dataset")),
            ("seed", given.get("seed")),
        )
    )
