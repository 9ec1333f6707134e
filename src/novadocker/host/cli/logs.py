# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker logs`."""

import json
import os
import re
from pathlib import Path

import click

from novadocker.errors import NovaDockerError
from novadocker.host import cloud, journal
from novadocker.host import config as defaults
from novadocker.host.cli import needs
from novadocker.host.config import HostConfig
from novadocker.host.services import registry
from novadocker.host.services.model import Cloud

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _services(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names a shell may complete; where the cloud cannot be read, as for a plain user, none."""
    chosen = context.find_root().params
    try:
        known = cloud.recall(
            defaults.usual(
                chosen.get("name") or defaults.DEFAULT_NAME,
                root=chosen.get("root"),
                run_dir=chosen.get("run_dir"),
            )
        )
    except (NovaDockerError, OSError):
        return []
    return [name for name in registry.services(known) if name.startswith(incomplete)] if known else []


@click.command(
    epilog="Example: nova-docker logs $(openstack server show -f value -c id web)",
    short_help="Show what services wrote.",
)
@click.argument("what", required=False, shell_complete=_services)
@click.option(
    "-n", "--lines", default=50, show_default=True, type=click.IntRange(0), help="Entries; 0 for all."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option("--level", type=click.Choice(["info", "warning", "error"]), default="info", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def logs(config: HostConfig, what: str | None, lines: int, follow: bool, level: str, as_json: bool) -> None:
    """Show what the services wrote, joined by time: all, one service, or all about one server.

    WHAT is the name of a service or the id of a server (or of a request, a port, an image: any id). For a
    server, what was written for the requests about it is shown too. Without WHAT: all services.
    """
    known = needs.a_cloud(config)
    services = [*registry.services(known), "supervisor"]
    by_id = what is not None and (_UUID.fullmatch(what) or what.startswith("req-"))
    if what is not None and not by_id and what not in services:
        raise NovaDockerError(
            f"There is no service {what}.",
            facts="There are " + ", ".join(services) + ".",
            hint="For a server give its id: openstack server list",
        )
    if follow:
        _follow(
            known, services=services if by_id or what is None else [what or ""], words=what if by_id else None
        )
    chosen = services if by_id or what is None else [what]
    found = journal.joined([journal.read(_file(known, name), service=name) for name in chosen])
    shown = journal.of_server(found, words=[what]) if by_id and what else list(found)
    ranks = ("info", "warning", "error")
    shown = [entry for entry in shown if ranks.index(entry.level) >= ranks.index(level)]
    for entry in shown[-lines:] if lines else shown:
        if as_json:
            click.echo(json.dumps({"time": entry.time.isoformat(), "service": entry.service,
                                   "level": entry.level, "text": entry.text}))  # fmt: skip
        else:
            click.echo(f"{entry.service}: {entry.text}" if len(chosen) > 1 else entry.text)


def _file(known: Cloud, service: str) -> Path:
    return known.layout.logs / f"{service}.log"


def _follow(known: Cloud, *, services: list[str], words: str | None) -> None:
    """Become tail(1), which waits for the kernel's word on a file and knows of rotation."""
    files = [str(_file(known, name)) for name in services if _file(known, name).is_file()]
    if not files:
        raise NovaDockerError("Nothing was written yet.", facts=f"{known.layout.logs} holds no such log")
    tail = ["tail", "-n", "20", "-F", "--", *files]
    if words is None:
        os.execvp(tail[0], tail)
    os.execvp(
        "sh", ["sh", "-c", 'exec tail -q -n 2000 -F -- "$@" | grep --line-buffered -F "$0"', words, *files]
    )
