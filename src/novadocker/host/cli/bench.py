# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker bench`."""

import json

import click
from rich.console import Console
from rich.table import Table

from novadocker.host import bench as instrument
from novadocker.host.cli import needs
from novadocker.host.config import HostConfig


@click.command(epilog="Example: nova-docker bench --servers 5", short_help="Measure what servers take.")
@click.option(
    "--servers", default=5, show_default=True, type=click.IntRange(1, 100), help="How many of each kind."
)
@click.option("--json", "as_json", is_flag=True, help="The same as JSON, with every single figure.")
@click.pass_obj
def bench(config: HostConfig, servers: int, as_json: bool) -> None:
    """Boot containers and VMs one at a time, delete them, and tell medians and the control plane's memory."""
    known = needs.a_cloud(config)
    figures = instrument.measure(known, servers=servers, say=lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(json.dumps(figures, indent=1))
        return
    table = Table("server", "accepted", "ACTIVE", "gone", title=f"median of {servers}, seconds", box=None)
    for each in figures["boots"]:
        middle = each["median"]
        table.add_row(each["kind"], *(f"{middle[phase]:.2f}" for phase in ("accepted", "active", "gone")))
    console = Console(highlight=False)
    console.print(table)
    console.print(f"control plane: {figures['control_plane_mb']} MiB (PSS)")
