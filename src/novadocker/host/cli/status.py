# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker status`."""

import json
import sys

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from novadocker.host import observe
from novadocker.host.cli import needs
from novadocker.host.config import HostConfig


@click.command(
    epilog="Example: nova-docker status --json | jq .problems",
    short_help="Show how the cloud is.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@click.pass_obj
def status(config: HostConfig, as_json: bool) -> None:
    """Show services, agents, both hypervisors and their shares, servers and the last faults.

    The exit code is 0 if all is well, 1 if something is not.
    """
    seen = observe.observe(needs.a_cloud(config))
    if as_json:
        click.echo(json.dumps(seen.to_dict(), indent=1))
    else:
        _show(seen)
    sys.exit(1 if seen.problems else 0)


def _show(seen: observe.Observed) -> None:
    console = Console(highlight=False)
    services = Table(
        "service", "state", "pid", "MiB", title=f"{seen.name}: services", title_justify="left", box=None
    )
    for each in seen.services:
        mark = "[green]●[/green]" if each.well else "[red]●[/red]"
        services.add_row(
            f"{mark} {each.name}", each.state.lower(), str(each.pid or ""), str(each.memory_mb or "")
        )
    services.add_row("[bold]together", "", "", str(sum(each.memory_mb for each in seen.services)))
    console.print(services)
    if seen.hypervisors:
        shares = Table(
            "hypervisor",
            "type",
            "state",
            "VCPU",
            "MEMORY_MB",
            "DISK_GB",
            title="\nhypervisors and their shares",
            title_justify="left",
            box=None,
        )
        for hypervisor in seen.hypervisors:
            share = seen.capacity.get(hypervisor["name"], {})
            cells = [str(share.get(kind, "")) for kind in ("VCPU", "MEMORY_MB", "DISK_GB")]
            shares.add_row(hypervisor["name"], hypervisor["type"], hypervisor["state"], *cells)
        shares.add_row(
            "[dim]this machine",
            "",
            "",
            *(str(seen.machine[kind]) for kind in ("VCPU", "MEMORY_MB", "DISK_GB")),
        )
        console.print(shares)
    if seen.agents:
        agents = Table("agent", "host", "alive", title="\nnetwork agents", title_justify="left", box=None)
        for agent in seen.agents:
            agents.add_row(agent["type"], agent["host"], "yes" if agent["alive"] else "[red]no[/red]")
        console.print(agents)
    if seen.servers:
        servers = Table("kind", "status", "servers", title="\nservers", title_justify="left", box=None)
        for group in seen.servers:
            servers.add_row(group["kind"], group["status"], group["count"])
        console.print(servers)
    for fault in seen.faults:
        text = f"{fault['server']} ({fault['id']}): {fault['fault']}"
        console.print(f"[red]fault[/red] {escape(text)}", soft_wrap=True)
    console.print()
    for problem in seen.problems:
        console.print(f"[red]✗[/red] {escape(problem)}", soft_wrap=True)
    if not seen.problems:
        console.print("[green]✓[/green] All is well.")
