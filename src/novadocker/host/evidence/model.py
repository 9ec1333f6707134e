# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence: parts by name, each a plain value or the reason why it could not be had."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class NotSeen(Exception):
    """A part of the evidence is not there; the text says why."""


@dataclass(frozen=True)
class Evidence:
    """What was seen.

    :ivar parts: what JSON can hold, by name; see the rooms of this package for the shapes.
    :ivar missing: why a part is not there.
    """

    parts: Mapping[str, Any]
    missing: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """Return a part.

        :raises NotSeen: with the reason, if it could not be had.
        """
        if name not in self.parts:
            raise NotSeen(self.missing.get(name, "it was not looked at"))
        return self.parts[name]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a bundle."""
        return {"parts": dict(self.parts), "missing": dict(self.missing)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Evidence":
        """From what `to_dict` gave.

        :raises ValueError: if it is something else.
        """
        parts, missing = values.get("parts"), values.get("missing")
        if not isinstance(parts, dict) or not isinstance(missing, dict):
            raise ValueError("this is no evidence: `parts` and `missing` are not both there")  # noqa: TRY004
        return cls(parts=parts, missing=missing)
