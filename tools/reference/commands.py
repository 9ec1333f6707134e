# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""docs/reference/cli.md: every verb of `nova-docker`, as its own help tells it."""

import inspect
import re

import click
from tools.reference import markdown

from novadocker.host.cli.main import cli

PROGRAM = "nova-docker"


def page() -> str:
    """Return the page."""
    above = click.Context(cli, info_name=PROGRAM, **cli.context_settings)
    verbs = [cli.commands[name] for name in sorted(cli.commands)]
    return markdown.page(
        f"# The command `{PROGRAM}`",
        markdown.written_from("novadocker.host.cli"),
        _help(cli),
        _usage(cli, above),
        "These stand before the verb:",
        _options(cli, above),
        markdown.table(
            ("verb", "what it does"),
            [
                (f"[`{verb.name}`](#{PROGRAM}-{verb.name})", verb.get_short_help_str(limit=200))
                for verb in verbs
            ],
        ),
        f"{cli.epilog} A verb that was interrupted ends with 130. What failed is told on standard error: "
        "what it was, the facts, and what to do; `-h` after a verb tells what is told here.",
        *(part for verb in verbs for part in _verb(verb, above)),
    )


def _verb(verb: click.Command, above: click.Context) -> list[str]:
    context = click.Context(verb, info_name=verb.name, parent=above)
    return [
        f"## `{PROGRAM} {verb.name}`",
        _help(verb),
        _usage(verb, context),
        _options(verb, context),
        f"Example:\n\n```console\n$ {_example(verb)}\n```",
    ]


def _help(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")


def _usage(command: click.Command, context: click.Context) -> str:
    return f"```text\n{' '.join([context.command_path, *command.collect_usage_pieces(context)])}\n```"


def _options(command: click.Command, context: click.Context) -> str:
    rows = []
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is None:
            continue
        words, told = record
        variable = getattr(parameter, "envvar", None)
        rows.append((f"`{words}`", f"{told} Also: `{variable}` in the environment." if variable else told))
    return markdown.table(("option", "what it does"), rows) if rows else ""


def _example(verb: click.Command) -> str:
    found = re.fullmatch(r"Example: (.+)", verb.epilog or "")
    if found is None:
        raise LookupError(f"The verb {verb.name} has no example in its epilog.")
    return found[1]
