# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker load`."""

from contextlib import suppress
from pathlib import Path

import click

from novadocker.host import lock, teardown
from novadocker.host.cli import needs, progress, up
from novadocker.host.config import HostConfig, check
from novadocker.host.saved import load as saved
from novadocker.host.saved.manifest import Manifest
from novadocker.host.state import Layout
from novadocker.host.steps import Step, carry_out


@click.command(
    epilog="Example: nova-docker load cloud.tar.zst && openstack --os-cloud nova-docker image list",
    short_help="Bring a cloud up from a file that `save` made.",
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--keep-secrets", is_flag=True, help="Keep passwords, token keys and the cloud's own keypair.")
@click.option("-v", "--verbose", is_flag=True, help="Show every step, also those that had nothing to do.")
@click.pass_obj
def load(config: HostConfig, file: Path, keep_secrets: bool, verbose: bool) -> None:
    """Bring a saved cloud up on this machine, where there is none of that name.

    It gets passwords and keys of its own, unless it is to keep its secrets. Its hosts keep their names, also
    on a machine with another one. After an interruption the same command begins anew.
    """
    needs.root()
    check(config)
    shown = progress.Progress(verbose=verbose)
    try:
        if saved.interrupted(Layout.of(config)):
            with lock.held(config.root):
                teardown.take_down(config, keep_data=False, listener=shown)
        loading = saved.Loading(chosen=config, file=file, keep_secrets=keep_secrets)
        try:
            with lock.held(config.root):
                manifest = _unpacked(loading, shown)
                up.bring_up(config, shown)
        finally:
            with suppress(OSError):  # it holds something: a cloud
                config.root.rmdir()
    finally:
        shown.close()
    click.echo(
        f"The cloud {config.name}, saved {manifest.made} with {manifest.images} images, is up "
        f"({shown.elapsed:.1f} s).",
        err=True,
    )


def _unpacked(loading: saved.Loading, shown: progress.Progress) -> Manifest:
    found: list[Manifest] = []

    def unpack() -> bool:
        found.append(loading.unpack())
        return True

    carry_out([Step(name="file", act=unpack)], listener=shown)
    return found[0]
