# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Every relative link in the documents leads to a file."""

import re
from pathlib import Path

import pytest
from tools.reference.pages import ROOT

DOCUMENTS = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
FENCED = re.compile(r"^(```+|~~~+).*?^\1", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)


def links(text: str) -> list[str]:
    """Return the links of a document, but those to other sites and those within it."""
    prose = INLINE_CODE.sub("code", FENCED.sub("", text))
    found = [inline or reference for inline, reference in LINK.findall(prose)]
    return [link for link in found if not re.match(r"[a-z][a-z+.-]*:|#", link)]


def test_links_are_found() -> None:
    text = "[a](b.md) [c](<d.md#e> 'f') [g](https://h) [i](#j) `[k](l)`\n```\n[m](n)\n```\n[o]: p.md\n"
    assert links(text) == ["b.md", "d.md#e", "p.md"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    missing = [
        link
        for link in links(document.read_text())
        if not (document.parent / link.partition("#")[0]).exists()
    ]
    assert missing == []
