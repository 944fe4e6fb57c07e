"""`striate summary`: a network's layers, parameters and connections."""

from __future__ import annotations

import click

from striate.cli.networks import network_or_model


@click.command()
@click.argument("network", metavar="NETWORK|MODEL")
def summary(network: str) -> None:
    """Show the layers of a network, or of a model file, with parameters and connections."""
    network_or_model(network).summary(print_fn=click.echo, connections=True)
