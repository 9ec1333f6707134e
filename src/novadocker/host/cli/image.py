# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker image`."""

import click

from novadocker.host import offer
from novadocker.host.cli import needs
from novadocker.host.config import HostConfig


@click.command(
    epilog="Example: nova-docker image system", short_help="Build an image that boots as a VM does."
)
@click.argument("kind", type=click.Choice(["system"]))
@click.pass_obj
def image(config: HostConfig, kind: str) -> None:
    """Build a system container's image, Debian with cloud-init, sshd and sudo, and offer it to every project.

    It takes about a minute and needs this machine's Debian mirror, so that `up` leaves it out. The flavor for
    it is `system`.
    """
    needs.root()
    known = needs.a_cloud(config)
    archive, image_id, changed = offer.system(known, say=lambda text: click.echo(text, err=True))
    click.echo(f"{offer.NAME} {'is there' if changed else 'was there already'}: {image_id} ({archive})")
