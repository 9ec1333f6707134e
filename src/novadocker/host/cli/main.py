# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""nova-docker: one machine, a cloud with two hypervisors."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import click

from novadocker import __version__
from novadocker.errors import NovaDockerError
from novadocker.host import config, config_file
from novadocker.host.cli import (
    bench,
    bundle,
    completion,
    doctor,
    down,
    env,
    image,
    load,
    logs,
    progress,
    render,
    save,
    status,
    up,
    why,
)
from novadocker.host.config import DEFAULT_NAME

_EPILOG = "Exit codes: 0 all is well, 1 something is not, 2 the command was not understood."


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nova-docker")
@click.option(
    "--name", default=DEFAULT_NAME, envvar="NOVA_DOCKER_NAME", show_default=True, help="The cloud's name."
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    envvar="NOVA_DOCKER_ROOT",
    help="What lasts. [/var/lib/NAME]",
)
@click.option(
    "--run-dir",
    type=click.Path(path_type=Path),
    envvar="NOVA_DOCKER_RUN_DIR",
    help="What a reboot may lose. [/run/NAME]",
)
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="NOVA_DOCKER_CONFIG",
    help="A TOML file that changes defaults. [/etc/nova-docker/NAME.toml if there is one]",
)
@click.pass_context
def cli(
    context: click.Context, name: str, root: Path | None, run_dir: Path | None, file: Path | None
) -> None:
    """Turn this machine into an OpenStack cloud that runs containers and VMs side by side."""
    usual = config.usual(name, root=root, run_dir=run_dir)
    file = file or next((place for place in [config_file.place(name)] if place.is_file()), None)
    context.obj = config_file.read(file, onto=replace(usual, file=file)) if file else usual


cli.add_command(up.up)
cli.add_command(status.status)
cli.add_command(doctor.doctor)
cli.add_command(bundle.bundle)
cli.add_command(why.why)
cli.add_command(env.env)
cli.add_command(logs.logs)
cli.add_command(render.render)
cli.add_command(image.image)
cli.add_command(bench.bench)
cli.add_command(save.save)
cli.add_command(load.load)
cli.add_command(down.down)
cli.add_command(completion.completion)


def main() -> None:
    """Run the command line; errors of ours are told as text, without a traceback."""
    os.umask(0o022)
    try:
        cli.main(standalone_mode=False)
    except NovaDockerError as error:
        progress.explain(error)
        sys.exit(1)
    except OSError as error:
        denied = isinstance(error, PermissionError) and os.geteuid() != 0
        progress.explain(
            NovaDockerError(
                "The machine refused.", facts=str(error), hint="Run it with sudo." if denied else ""
            )
        )
        sys.exit(1)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
