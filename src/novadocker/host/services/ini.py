# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Text in the oslo.config and MariaDB manner: sections of `name = value`."""

from collections.abc import Mapping, Sequence

Value = str | int | float | bool | Sequence[str]
Sections = Mapping[str, Mapping[str, Value]]

HEADER = "# Written by nova-docker; `nova-docker up` writes it anew.\n"


def ini(sections: Sections) -> str:
    """Render sections in order; lists as comma-separated, booleans in small letters."""
    parts = [HEADER]
    for section, options in sections.items():
        parts.append(f"\n[{section}]\n")
        parts.extend(f"{name} = {_text(value)}\n" for name, value in options.items())
    return "".join(parts)


def added(sections: Sections) -> str:
    """Render options to stand after those of `ini`: both MariaDB and oslo.config heed the last of a name."""
    return "\n# Added by the configuration.\n" + ini(sections).removeprefix(HEADER)


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    return ",".join(value)
