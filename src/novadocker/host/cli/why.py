# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker why`."""

import json
import sys

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from novadocker.host.cli import needs
from novadocker.host.config import HostConfig
from novadocker.host.why import gather, verdict


@click.command(
    epilog="Example: nova-docker why web   # or its id: a deleted one's, or where two have the name",
    short_help="Tell why a server failed, or how it booted.",
)
@click.argument("server")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@click.pass_obj
def why(config: HostConfig, server: str, as_json: bool) -> None:
    """Tell why SERVER (a name or an id) failed: the cause, what shows it, and what puts it right.

    For one that is well: how its boot went, phase by phase. It looks at what all services wrote, at Nova's
    record and actions, at ports, and at Docker, libvirt, Open vSwitch and OVN; it changes nothing. Where it
    does not know, it says so, and what it looked at.

    The exit code is 0 if nothing is wrong with the server, 1 if something is.
    """
    found = verdict.judge(gather.gather(needs.a_cloud(config), server))
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=1))
    else:
        _show(found)
    sys.exit(1 if found.wrong else 0)


def _show(found: verdict.Verdict) -> None:
    console = Console(highlight=False)
    console.print(
        f"{escape(found.name)} ({found.id}), {found.kind}, {found.status}", style="bold", soft_wrap=True
    )
    mark = (
        "[yellow]?[/yellow]"
        if found.rule == "unknown"
        else "[red]✗[/red]"
        if found.wrong
        else "[green]✓[/green]"
    )
    console.print(f"{mark} {escape(found.sentence)}", soft_wrap=True)
    for line in found.evidence:
        console.print(f"    {escape(line)}", style="dim", soft_wrap=True)
    if found.fix:
        console.print(f"    → {escape(found.fix)}", soft_wrap=True)
    for note in found.notes:
        console.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
    if found.timeline:
        table = Table(
            "after", "", "by", "", box=None, show_header=False, title="\nits boot", title_justify="left"
        )
        for phase in found.timeline:
            table.add_row(f"{phase.at:6.2f} s", phase.name, f"[dim]{phase.who}", f"[dim]{escape(phase.note)}")
        console.print(table)
    if found.rule == "unknown":
        console.print("Looked at: " + escape("; ".join(found.looked)), style="dim", soft_wrap=True)
