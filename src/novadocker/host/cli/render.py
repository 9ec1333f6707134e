# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker render`."""

import json
import sys
from pathlib import Path

import click

from novadocker import files
from novadocker.host.overlay import decide, look, papers
from novadocker.host.overlay.model import Overlay, Wanted

_FILE = click.Path(path_type=Path)
_THERE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(
    epilog="Example: nova-docker render --output ./nova-docker && less ./nova-docker/README.txt",
    short_help="Write what makes your own compute host a docker host.",
)
@click.option(
    "-o", "--output", type=_FILE, help="The folder to write to. Without it: show all, write nothing."
)
@click.option(
    "--nova-conf",
    type=_FILE,
    default=Wanted.nova_conf,
    show_default=True,
    help="The nova.conf of this compute host.",
)
@click.option("--scheduler-conf", type=_THERE, help="A nova.conf of nova-scheduler. [the same]")
@click.option("--nova-compute", type=_THERE, help="The program. [the one that runs, or is on the PATH]")
@click.option("--host", default="", help="The docker service's name in Nova. [this host's, and -docker]")
@click.option(
    "--binding-host", default="", help="This host's name in Neutron. [what the chassis or agent says]"
)
@click.option("--backend", type=click.Choice(["ovn", "ovs"]), help="Who makes ports work. [what runs here]")
@click.option("--ovsdb-socket", type=_FILE, help="Open vSwitch's database. [/run/openvswitch/db.sock]")
@click.option("--docker-socket", type=_FILE, help="Use this dockerd. [one of its own is written down]")
@click.option("--cpus", type=click.IntRange(min=1), help="Processors for containers. [half]")
@click.option("--memory", type=click.IntRange(min=64), help="Memory for containers, MiB. [half]")
@click.option("--disk", type=click.IntRange(min=1), help="Disk for containers, GiB. [half of what is free]")
@click.option("--package", default=Wanted.package, show_default=True, help="What pip is told to install.")
@click.option("--controller-python", default="", help="The Python of nova-scheduler and nova-api. [as here]")
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def render(
    output: Path | None,
    memory: int | None,
    disk: int | None,
    as_json: bool,
    ovsdb_socket: Path | None,
    **said: object,
) -> None:
    """Write the files and the steps that make a compute host of a cloud you run a docker host, too.

    Run it on that host, as root. It changes nothing but the folder of --output, and puts there: overlay
    configuration, systemd units, dockerd's settings, the scheduler's lines, and README.txt, which names each
    step with its check and its undo. What it found and what it assumed is told with the source.

    The exit code is 1 if something it found must be solved first.
    """
    given = {name: value for name, value in said.items() if value is not None}
    wanted = Wanted(ovsdb=ovsdb_socket, memory_mb=memory or 0, disk_gb=disk or 0, **given)  # type: ignore[arg-type]
    found = papers.write(decide.decide(wanted, look.look(wanted)))
    if output:
        files.make_directory(output)
        for file in found.files:
            files.write(output / file.name, file.content, mode=file.mode)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=1))
    else:
        _show(found, output=output)
    sys.exit(0 if found.works else 1)


def _show(found: Overlay, *, output: Path | None) -> None:
    for fact in found.facts:
        click.echo(f"{fact.what}: {fact.value}   ({fact.source})", err=True)
    for problem in found.problems:
        click.echo(f"{'✗' if problem.stops else '!'} {problem.what}\n  → {problem.do}", err=True)
    if output:
        click.echo(f"Written; read {output / 'README.txt'}", err=True)
        return
    for file in found.files:
        place = f" -> {file.place} ({file.mode:04o})" if file.place else ""
        click.echo(f"# ==== {file.name}{place}\n{file.content}")
    click.echo("Nothing was written: name a folder with --output.", err=True)
