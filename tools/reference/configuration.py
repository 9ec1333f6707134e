# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""docs/reference/configuration.md: the keys of the composer's configuration file."""

from tools.reference import markdown

from novadocker.host import cloud, config_file
from novadocker.host.config import USUAL_PORTS, HostConfig

_INTRODUCTION = """\
`nova-docker` needs no configuration. What is to differ from the defaults stands in one TOML file,
`/etc/nova-docker/NAME.toml` (`/etc/nova-docker/nova-docker.toml` for a cloud with the usual name), or
where `--config` or `NOVA_DOCKER_CONFIG` says. Every problem in it is told at once, with its path.

`nova-docker up --dry-run` shows which files and services a changed file would change, and why;
`nova-docker up` applies it, and restarts only the services whose files differ."""

_EXAMPLE = """\
```toml
[network]
external_cidr = "192.0.2.0/24"

[ports]
keystone = 5001

[options."nova/nova.conf".DEFAULT]
reclaim_instance_interval = 3600
```"""

_PORTS = """\
A port that is named here is taken or, if another program holds it, refused. One that is not named is moved
to the next free one if another program holds it at an `up`, and stays there; `up` says so, and the catalogue
and `clouds.yaml` follow."""

_OPTIONS = """\
`[options."FILE".SECTION]` adds options to a file that is rendered below `etc/` in the cloud's root,
after those of the composer, so that they win: text, numbers, booleans, or lists, which become
comma-separated. `FILE` is its path there, as `nova/nova.conf`, `nova-docker/nova-docker.conf` or
`mariadb/my.cnf`. A cloud can be broken with this; `nova-docker up` without the option puts it right."""


def page() -> str:
    """The page as it should be."""
    usual = HostConfig()
    fixed = set(cloud.FIXED)
    rows = [
        (
            f"`{name}`",
            f"`{getattr(usual, key.field)}`",
            key.help + (" Holds from the first `up` on." if key.field in fixed else ""),
        )
        for name, key in config_file.KEYS.items()
    ]
    ports = [(f"`ports.{name}`", f"`{port}`") for name, port in USUAL_PORTS.items()]
    return markdown.page(
        "# The configuration file",
        markdown.written_from("novadocker.host.config_file"),
        _INTRODUCTION,
        _EXAMPLE,
        markdown.table(("key", "default", "what"), rows),
        "## Ports",
        _PORTS,
        markdown.table(("key", "usually"), ports),
        "## Options of the programs",
        _OPTIONS,
    )
