# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker down`."""

import click

from novadocker.host import lock, teardown
from novadocker.host.cli import needs, progress
from novadocker.host.config import HostConfig, check


@click.command(epilog="Example: nova-docker down --keep-data", short_help="Take the cloud away.")
@click.option(
    "--keep-data", is_flag=True, help="Keep databases, images and disks: `up` brings the servers back."
)
@click.option("-v", "--verbose", is_flag=True, help="Show every step, also those that had nothing to do.")
@click.pass_obj
def down(config: HostConfig, keep_data: bool, verbose: bool) -> None:
    """Stop everything of the cloud and remove it from this machine; nothing of it is left."""
    needs.root()
    check(config)
    shown = progress.Progress(verbose=verbose)
    try:
        with lock.held(config.root):
            teardown.take_down(config, keep_data=keep_data, listener=shown)
    finally:
        shown.close()
    what = "stopped, its data kept" if keep_data else "gone"
    click.echo(f"The cloud {config.name} is {what} ({shown.elapsed:.1f} s).", err=True)
