# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The little of Markdown that the pages are made of."""

from collections.abc import Iterable, Sequence


def written_from(source: str) -> str:
    """Return the remark, unseen by readers, on where a page comes from."""
    return f"<!-- Written out of {source} by `make docs-reference`; a test compares the two. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell's line breaks become spaces and its bars do not end it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, cells))} |" for cells in lines)


def page(*parts: str) -> str:
    """Return a page of parts with an empty line between them."""
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
