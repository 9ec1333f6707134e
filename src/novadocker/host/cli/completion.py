# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker completion`."""

import click
from click import shell_completion

PROGRAM = "nova-docker"
# The variable by which click's own scripts ask this program for words; click derives the same name.
VARIABLE = "_NOVA_DOCKER_COMPLETE"


@click.command(
    epilog='Example: eval "$(nova-docker completion bash)"',
    short_help="Teach a shell the verbs and options.",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what a shell needs to complete verbs, options and the names of services.

    For good: bash, in ~/.bashrc the line of the example; zsh, the same in ~/.zshrc; fish,
    `nova-docker completion fish > ~/.config/fish/completions/nova-docker.fish`.
    """
    kind = shell_completion.get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    click.echo(kind(context.find_root().command, {}, PROGRAM, VARIABLE).source())
