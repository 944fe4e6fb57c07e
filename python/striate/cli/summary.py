"""`striate summary`: a network's layers, parameters and connections."""

from __future__ import annotations

import click

from striate.cli.networks import NETWORKS, network_or_model


@click.command(
    epilog=f"Networks: {', '.join(NETWORKS)}.",
)
@click.argument("network", metavar="NETWORK|MODEL")
def summary(network: str) -> None:
    """Show the layers of a network, as it was published, or of a model file.

    Names, shapes, parameters, multiply-accumulates and memory; nothing is computed for it.

    \b
      striate summary resnet50
      striate summary runs/resnet20-cifar10-0
    """
    network_or_model(network).summary(print_fn=click.echo, connections=True)
