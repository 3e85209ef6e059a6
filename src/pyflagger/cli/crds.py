"""`flagger crds`: the three CustomResourceDefinitions as YAML, generated from the models."""

from __future__ import annotations

import click
import yaml

from pyflagger.api.crds import crds
from pyflagger.cli.people import Words


@click.command(cls=Words)
def command() -> None:
    """Print the CustomResourceDefinitions as YAML, for `kubectl apply -f -`."""
    click.echo(yaml.safe_dump_all(crds(), sort_keys=False), nl=False)
