# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker doctor`."""

import json
import os
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from novadocker import run
from novadocker.errors import NovaDockerError
from novadocker.host import cloud
from novadocker.host.bundle import archive
from novadocker.host.checks import registry
from novadocker.host.checks.model import Finding
from novadocker.host.cli import progress
from novadocker.host.config import HostConfig
from novadocker.host.evidence import gather
from novadocker.host.evidence.model import Evidence
from novadocker.host.services.model import Cloud

_MARKS = {
    "ok": "[green]✓[/green]",
    "warn": "[yellow]![/yellow]",
    "fail": "[red]✗[/red]",
    "skip": "[dim]-[/dim]",
}


@click.command(epilog="Example: nova-docker doctor --json | jq '.[] | select(.status == \"fail\")'",
               short_help="Name what is wrong, and how to put it right.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON.")
@click.option("--fix", is_flag=True, help="Run the fixes that disturb nothing that works.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Judge a bundle that was packed elsewhere.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show the checks that found nothing, too.")
@click.pass_obj
def doctor(config: HostConfig, as_json: bool, fix: bool, source: Path | None, verbose: bool) -> None:
    """Look for what commonly goes wrong, and tell cause, evidence and fix.

    It needs nothing installed or running, and looks at our cloud, at another OpenStack on this machine (its
    APIs too, where OS_CLOUD or OS_AUTH_URL names it), or at a bare machine. It changes nothing without --fix.

    The exit code is 0 if nothing is wrong, 1 if something is.
    """
    evidence = _read(source) if source else looked_at(config)[1]
    findings = registry.examine(evidence)
    if fix and not source:
        _put_right(findings, config)
        findings = registry.examine(looked_at(config)[1])
    if as_json:
        click.echo(json.dumps([finding.to_dict() for finding in findings], indent=1))
    else:
        _show(findings, verbose=verbose)
    sys.exit(1 if any(finding.status in ("warn", "fail") for finding in findings) else 0)


def _put_right(findings: list[Finding], config: HostConfig) -> None:
    """Run the safe fixes, each once; one that fails is told, and the next look shows what is left."""
    # A fix names this program as its user would, for this cloud.
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}",
        "NOVA_DOCKER_NAME": config.name,
        "NOVA_DOCKER_ROOT": str(config.root),
        "NOVA_DOCKER_RUN_DIR": str(config.run_dir),
    }
    safe = [each for each in findings if each.safe and each.status in ("warn", "fail")]
    for command in dict.fromkeys(each.fix.split("   #")[0] for each in safe):
        click.echo(
            f"{', '.join(each.id for each in safe if each.fix.startswith(command))}: {command}", err=True
        )
        try:
            run.run(["sh", "-c", command], seconds=900, environment=environment)
        except run.CommandFailed as error:
            progress.explain(error)


def looked_at(config: HostConfig) -> tuple[Cloud | None, Evidence]:
    """The cloud of ours, if it can be remembered, and what is seen of it or of what is here instead."""
    known, damaged = None, ""
    try:
        known = cloud.recall(config)
    except NovaDockerError as error:
        damaged = f"{error.summary}\n{error.facts}".strip()
    except (ValueError, LookupError, TypeError) as error:
        damaged = f"{type(error).__name__}: {error}"
    except OSError as error:
        # Not for everybody's eyes: the rest of the machine is.
        click.echo(f"A cloud of ours, if there is one here, is not looked at: {error}", err=True)
    return known, gather.gather(known, root=config.root, environment=os.environ, damaged=damaged)


def _read(source: Path) -> Evidence:
    try:
        return archive.evidence(source)
    except ValueError as error:
        raise NovaDockerError(f"{source} holds no evidence.", facts=str(error)) from error


def _show(findings: list[Finding], *, verbose: bool) -> None:
    console = Console(highlight=False)
    counts = {status: sum(finding.status == status for finding in findings) for status in _MARKS}
    for finding in findings:
        if finding.status == "ok" and not verbose:
            continue
        if finding.status == "skip":
            if verbose:
                console.print(f"{_MARKS['skip']} {finding.id}: {escape(finding.cause)}", soft_wrap=True)
            continue
        console.print(
            f"{_MARKS[finding.status]} {finding.id}: {escape(finding.cause or finding.asks)}", soft_wrap=True
        )
        for line in finding.evidence:
            console.print(f"    {escape(line)}", style="dim", soft_wrap=True)
        if finding.fix:
            console.print(f"    → {escape(finding.fix)}", soft_wrap=True)
    console.print(
        f"{counts['ok']} checks found nothing, {counts['fail']} failures, {counts['warn']} warnings, "
        f"{counts['skip']} not looked at{' (-v says why)' if counts['skip'] and not verbose else ''}."
    )
