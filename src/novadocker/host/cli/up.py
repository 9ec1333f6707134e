# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker up`."""

import json
from collections.abc import Mapping

import click

from novadocker.host import apply, cgroups, cloud, clouds, lock, plan, state
from novadocker.host.cli import needs, progress
from novadocker.host.config import HostConfig, check
from novadocker.host.state import Layout
from novadocker.host.supervise import units


@click.command(
    epilog="Example: nova-docker up && openstack --os-cloud nova-docker hypervisor list",
    short_help="Bring the cloud up.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show every step, also those that had nothing to do.")
@click.option("--dry-run", is_flag=True, help="Only show which files and services would change, and why.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: the same as JSON.")
@click.pass_obj
def up(config: HostConfig, verbose: bool, dry_run: bool, as_json: bool) -> None:
    """Bring the cloud up, or put right what is not well.

    Run it as often as you like: it looks at every service and changes only what is not as it should be.
    """
    needs.root()
    check(config)
    if dry_run:
        _show(apply.of(cloud.foresee(config)).foresee(), as_json=as_json)
        return
    shown = progress.Progress(verbose=verbose)
    try:
        with lock.held(config.root):
            changed = bring_up(config, shown)
    finally:
        shown.close()
    if changed:
        click.echo(f"The cloud {config.name} is up ({shown.elapsed:.0f} s).", err=True)
    else:
        click.echo(
            f"The cloud {config.name} is up; {shown.checked} things looked at, nothing to do "
            f"({shown.elapsed:.1f} s).",
            err=True,
        )


def bring_up(config: HostConfig, shown: progress.Progress) -> int:
    """Decide, carry out, and say what is not as expected; returns how many steps changed something.

    :raises NovaDockerError: what kept the cloud from coming up.
    """
    mounted = cgroups.hierarchies()
    clouds.refuse_namesake(config, mounted, groups=units.groups(config.name))
    cgroups.claim(mounted, name=f"{config.name}/up")
    before = state.recall(Layout.of(config)).ports
    described = cloud.describe(config)
    for line in _moved({**config.ports, **before}, described.config):
        click.echo(line, err=True)
    changed = apply.of(described).bring_up(shown)
    for line in cloud.promised_twice(described):
        click.echo(f"Promised to servers by more than one cloud: {line}", err=True)
    return changed


def _moved(before: Mapping[str, int], now: HostConfig) -> list[str]:
    """Name the servers that go elsewhere than before, or than usually, since another program was quicker."""
    return [
        f"{name} moves from port {port} to {now.ports[name]}: another program has it."
        for name, port in before.items()
        if now.ports.get(name, port) != port and name not in now.wanted_ports
    ]


def _show(changes: list[plan.Change], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([change.to_dict() for change in changes], indent=1))
        return
    for change in changes:
        click.echo(f"{change.what} {change.kind} {change.name}")
        for line in change.why:
            click.echo(f"    {line}")
    click.echo(f"{len(changes)} changes; nothing was done." if changes else "Nothing would change.", err=True)
