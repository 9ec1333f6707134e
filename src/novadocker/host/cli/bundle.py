# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker bundle`."""

from pathlib import Path

import click

from novadocker.host.bundle import archive
from novadocker.host.checks.model import moment
from novadocker.host.cli import doctor
from novadocker.host.config import HostConfig


@click.command(
    epilog="Example: nova-docker bundle -o /tmp/cloud.tar.gz && nova-docker doctor --from /tmp/cloud.tar.gz",
    short_help="Pack what others need to see what is wrong, without its secrets.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The archive. [nova-docker-bundle-TIME.tar.gz]",
)
@click.option(
    "--log-mb",
    default=2,
    show_default=True,
    type=click.IntRange(0, 100),
    help="MiB of each log's end.",
)
@click.pass_obj
def bundle(config: HostConfig, output: Path | None, log_mb: int) -> None:
    """Pack what doctor sees and finds, status, versions, configuration, logs and what programs show.

    Passwords, keys and tokens are taken out. It works where the cloud is down or broken, and beside another
    OpenStack; what cannot be had is named in README.txt. `nova-docker doctor --from` judges it elsewhere.
    """
    known, seen = doctor.looked_at(config)
    contents = archive.gathered(known, seen, log_bytes=log_mb << 20)
    path = output or Path(f"nova-docker-bundle-{moment(seen['now']):%Y%m%dT%H%M%SZ}.tar.gz")
    archive.write(path, contents, now=seen["now"])
    click.echo(path)
