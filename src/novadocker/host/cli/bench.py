# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker bench`."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from novadocker.errors import NovaDockerError
from novadocker.host.bench import measure, ratios
from novadocker.host.bench.wanted import PARTS, QUICK, Wanted
from novadocker.host.cli import needs, soaked
from novadocker.host.config import HostConfig

_COUNT = click.IntRange(1, 200)
_MANY = click.IntRange(1, 10000)
_QUICK = Wanted(parts=QUICK, servers=5, at_once=5, rounds=1)


@click.command(
    epilog="Example: nova-docker bench --json > before.json; …; nova-docker bench --compare before.json",
    short_help="Measure what servers take.",
)
@click.option(
    "--servers",
    type=_MANY,
    help="How many are booted one after the other; in all, of soak and idle. [20; soak 500, idle 100]",
)
@click.option("--at-once", type=_COUNT, help="How many are booted at once. [10; soak 4]")
@click.option("--rounds", type=_COUNT, help="How often those at once come and go; VMs do once. [3]")
@click.option("--vms", type=_COUNT, help="How many VMs, both ways: they take long. [3]")
@click.option(
    "--only",
    multiple=True,
    metavar="PART",
    type=click.Choice(PARTS),
    help=f"Measure only this; may be given several times. One of {', '.join(PARTS)}.",
)
@click.option(
    "--quick", is_flag=True, help=f"In less than a minute: {' and '.join(QUICK)} alone, five of each."
)
@click.option(
    "--compare",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="OLD.JSON",
    help="Show what an earlier run had beside what this one has.",
)
@click.option(
    "--save", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write JSON there, too."
)
@click.option("--json", "as_json", is_flag=True, help="JSON in place of the table, with every single boot.")
@click.pass_obj
def bench(
    config: HostConfig,
    servers: int | None,
    at_once: int | None,
    rounds: int | None,
    vms: int | None,
    only: tuple[str, ...],
    quick: bool,
    compare: Path | None,
    save: Path | None,
    as_json: bool,
) -> None:
    """Boot containers and VMs, one after the other and at once; tell what each phase took, beside the floors.

    The floors are what Docker, libvirt and Nova take alone, on this machine, in the same run: docker create
    and start, virsh define and start, and a boot on a nova-compute that does nothing. ACTIVE counts of a
    container only if it answers at that moment. All that is made for it is removed again.

    Some parts run only where --only names them: soak (whether many servers that come and go leave anything),
    idle (what many cost that do nothing) and cycle (up and down, of a second cloud).
    """
    known = None if set(only) == {"cycle"} else needs.a_cloud(config)
    needs.root()
    usual = _QUICK if quick else Wanted()
    wanted = Wanted(
        parts=only or usual.parts,
        servers=servers or usual.servers,
        at_once=at_once or usual.at_once,
        rounds=rounds or usual.rounds,
        vms=vms or usual.vms,
        soak_servers=servers or usual.soak_servers,
        soak_at_once=at_once or usual.soak_at_once,
        idle_servers=servers or usual.idle_servers,
    )
    before = _read(compare) if compare else None
    with _cleaning_up_when_told_to_end():
        report = measure.run(config, known, wanted, say=lambda text: click.echo(text, err=True))
    if save:
        save.write_text(json.dumps(report, indent=1) + "\n")
    if as_json:
        click.echo(json.dumps(report, indent=1))
        return
    show(report, before, console=Console(highlight=False))


@contextmanager
def _cleaning_up_when_told_to_end() -> Iterator[None]:
    """Have SIGTERM unwind what runs, as SIGINT does: the servers go."""

    def end(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def show(report: dict[str, Any], before: dict[str, Any] | None, *, console: Console) -> None:
    """Print a report as tables."""
    for kind in ("containers", "vms", "nothing"):
        if kind in report:
            console.print(_phases(kind, report[kind]))
    if "soak" in report:
        soaked.show(report["soak"], console=console)
    console.print(_figures(report, before))
    for line in ratios.unlike(before, report) if before else []:
        console.print(f"The two runs differ in {line}.")
    table = Table("ratio within this run", "", "target", box=None)
    for name, each in report["ratios"].items():
        table.add_row(name, f"{each['ratio']:.2f}", f"≤ {each['target']}" if each["target"] else "")
    if table.row_count:
        console.print(table)


def _phases(kind: str, part: dict[str, Any]) -> Table:
    one, many = part["one"], part["at_once"]
    table = Table(
        kind, f"one of {one['count']}", "least, most", f"{many['count']} at once", "least, most", box=None
    )
    rows = [(name, one["phases"].get(name), many["phases"].get(name)) for name in one["phases"]]
    rows += [
        ("driver, with waiting", one["spawn"], many["spawn"]),
        ("driver's own share", one["own"], many["own"]),
    ]
    rows += [("gone", one["gone"], many["gone"])]
    for name, single, several in rows:
        if single or several:
            table.add_row(name, *_spread(single), *_spread(several))
    return table


def _spread(values: dict[str, float] | None) -> tuple[str, str]:
    if values is None:
        return "", ""
    return f"{values['median']:.2f} s", f"{values['low']:.2f}, {values['high']:.2f}"


def _figures(report: dict[str, Any], before: dict[str, Any] | None) -> Table:
    if before is None:
        table = Table("figure", "", box=None)
        for name, value in ratios.figures(report).items():
            table.add_row(name, f"{value:.2f}")
        return table
    table = Table("figure", "before", "now", "now / before", box=None)
    for each in ratios.compared(before, report):
        table.add_row(
            each.name, f"{each.before:.2f}", f"{each.now:.2f}", f"{each.ratio:.2f}" if each.ratio else ""
        )
    return table


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except ValueError as error:
        raise NovaDockerError(f"{file} is no report of `nova-docker bench`.", facts=str(error)) from error
    if not isinstance(found, dict) or found.get("format") != 1:
        raise NovaDockerError(
            f"{file} is no report of `nova-docker bench`.", hint="Such is written by --save or --json."
        )
    return found
