# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The error every room raises: what failed, the facts, and what to do next."""


class NovaDockerError(Exception):
    """Something failed, told so that the reader can act on it.

    :param summary: one sentence with the names the reader used.
    :param facts: what was seen (found and wanted, a log line, an exit code).
    :param hint: one command, option or file to turn to.
    """

    def __init__(self, summary: str, *, facts: str = "", hint: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.facts = facts
        self.hint = hint

    def __str__(self) -> str:
        return " ".join(part for part in (self.summary, self.facts, self.hint) if part)
