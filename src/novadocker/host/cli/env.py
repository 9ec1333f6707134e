# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker env`."""

import click

from novadocker.host import access, clients
from novadocker.host.cli import needs
from novadocker.host.config import HostConfig


@click.command(
    epilog='Example: eval "$(nova-docker env)" && openstack server list', short_help="Exports for a shell."
)
@click.option("--member", is_flag=True, help="As the plain member instead of the administrator.")
@click.option("--shell", type=click.Choice(["posix", "fish"]), default="posix", show_default=True)
@click.option(
    "--tunnel",
    metavar="USER@HOST",
    help="Instead, the ssh command by which another machine reaches the APIs.",
)
@click.pass_obj
def env(config: HostConfig, member: bool, shell: str, tunnel: str | None) -> None:
    """Print the commands that make this cloud the one a shell's OpenStack clients use.

    The APIs listen on this machine alone. With --tunnel: what to run elsewhere, USER@HOST being this machine,
    so that the same addresses lead here.
    """
    known = needs.a_cloud(config)
    if tunnel:
        click.echo(access.tunnel(known, to=tunnel))
        return
    administrator, plain = access.accesses(known)
    click.echo(
        clients.exports(plain if member else administrator, syntax="fish" if shell == "fish" else "posix"),
        nl=False,
    )
