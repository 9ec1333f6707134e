# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Tell a person at a terminal how the steps go; a pipe gets only what failed, unless it asked for all."""

import sys
import time

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from novadocker.errors import NovaDockerError
from novadocker.host.steps import Step


class Progress:
    """A listener of steps that writes to standard error."""

    def __init__(self, *, verbose: bool) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._began = time.monotonic()
        self._running: list[str] = []
        self._verbose = verbose
        self._status: Status | None = None
        # Who reads a file wants the end; who waits wants the way.
        self._quiet = not (verbose or self._console.is_terminal)
        self.unchanged = 0
        self.checked = 0
        if self._console.is_terminal:
            self._status = self._console.status("…")
            self._status.start()

    @property
    def elapsed(self) -> float:
        """Seconds since the first line."""
        return time.monotonic() - self._began

    def began(self, step: Step) -> None:
        """Show the step among those under way."""
        self._running.append(step.name)
        self._show()

    def ended(self, step: Step, *, seconds: float, changed: bool) -> None:
        """Say that the step is done, and what it took."""
        self._running.remove(step.name)
        self.checked += 1
        self.unchanged += not changed
        if self._verbose or (changed and not self._quiet):
            what = {"service": "ready"}.get(step.kind, "done") if changed else "as it should be"
            self._line(f"[green]✓[/green] {escape(step.name)} {what} [dim]({seconds:.1f} s)[/dim]")
        self._show()

    def failed(self, step: Step, error: NovaDockerError, *, seconds: float) -> None:
        """Say that the step failed; the reason follows at the end."""
        self._running.remove(step.name)
        # A command's words or a log's may look like markup.
        self._line(f"[red]✗[/red] {escape(step.name)}: {escape(error.summary)} [dim]({seconds:.1f} s)[/dim]")
        self._show()

    def close(self) -> None:
        """Take the line of what is under way from the screen."""
        if self._status is not None:
            self._status.stop()

    def _line(self, text: str) -> None:
        self._console.print(f"[dim]{self.elapsed:6.1f} s[/dim] {text}", soft_wrap=True)

    def _show(self) -> None:
        if self._status is not None:
            self._status.update(f"{self.elapsed:.0f} s  " + ", ".join(self._running[:6]))


def explain(error: NovaDockerError) -> None:
    """Write an error as its three parts to standard error."""
    console = Console(stderr=True, highlight=False, markup=False)
    console.print(f"✗ {error.summary}", soft_wrap=True)
    for line in error.facts.splitlines():
        console.print(f"    {line}", soft_wrap=True)
    if error.hint:
        console.print(f"  → {error.hint}", soft_wrap=True)
    sys.stderr.flush()
