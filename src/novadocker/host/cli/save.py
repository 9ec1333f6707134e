# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker save`."""

from pathlib import Path

import click

from novadocker.host import lock
from novadocker.host.cli import needs, progress
from novadocker.host.config import HostConfig, check
from novadocker.host.saved.save import Saving


@click.command(
    epilog="Example: nova-docker save cloud.tar.zst", short_help="Store the cloud in a file, for `load`."
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-v", "--verbose", is_flag=True, help="Show every step.")
@click.pass_obj
def save(config: HostConfig, file: Path, verbose: bool) -> None:
    """Store the cloud, stopped or running: users, images, networks, flavors, quotas, keypairs.

    A running one goes on; its databases stand still for about a second. A cloud with servers is refused. The
    file holds passwords: only its owner may read it.
    """
    needs.root()
    check(config)
    known = needs.a_cloud(config)
    shown = progress.Progress(verbose=verbose)
    try:
        with lock.held(config.root):
            saving = Saving(known, file.absolute())
            saving.carry_out(shown)
    finally:
        shown.close()
    images = saving.manifest.images if saving.manifest else 0
    size = file.stat().st_size / (1 << 20)
    paused = f"; its databases stood still for {saving.still:.1f} s" if saving.still is not None else ""
    took = f"{shown.elapsed:.1f} s{paused}"
    click.echo(f"The cloud {config.name} is in {file}: {size:.1f} MiB, {images} images ({took}).", err=True)
