# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""An operator's nova.conf, read as oslo.config reads it, without oslo.

They hold passwords: what is read here is asked for by name, and nothing else of it goes anywhere.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from novadocker.errors import NovaDockerError


@dataclass(frozen=True)
class NovaConf:
    """Options of one or more files, all values of each in their order; the last counts, or all of a list."""

    files: tuple[Path, ...] = ()
    options: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict, repr=False)

    def get(self, name: str, *, section: str = "DEFAULT") -> str:
        """The value that counts; empty if there is none."""
        return self.all(name, section=section)[-1:][0] if self.all(name, section=section) else ""

    def all(self, name: str, *, section: str = "DEFAULT") -> tuple[str, ...]:
        """Every value of an option that may stand more than once."""
        return self.options.get((section, name), ())

    def number(self, name: str, *, usual: int) -> int:
        """A whole number of [DEFAULT]; `usual` where nothing, or something else, is said."""
        text = self.get(name)
        return int(text) if text.isdigit() else usual

    def has(self, section: str) -> bool:
        """Whether anything is said in a section."""
        return any(named == section for named, _ in self.options)


def read(paths: Iterable[Path]) -> NovaConf:
    """Read files, later ones laid over earlier ones; those that are not there are left out.

    :raises NovaDockerError: if one may not be read.
    """
    found = []
    options: dict[tuple[str, str], tuple[str, ...]] = {}
    for path in paths:
        try:
            text = path.read_text(errors="replace")
        except FileNotFoundError:
            continue
        except PermissionError as error:
            raise NovaDockerError(
                f"{path} may not be read.",
                facts=str(error),
                hint="Run it with sudo, or give a copy by --nova-conf.",
            ) from error
        found.append(path)
        for key, values in parse(text).items():
            options[key] = (*options.get(key, ()), *values)
    return NovaConf(tuple(found), options)


def parse(text: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """Options by section and name; a line that begins with a blank goes on with the one before."""
    options: dict[tuple[str, str], list[str]] = {}
    section, last = "DEFAULT", None
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if line[0] in " \t" and last is not None:
            options[last][-1] = f"{options[last][-1]} {stripped}".strip()
        elif stripped.startswith("[") and stripped.endswith("]"):
            section, last = stripped[1:-1], None
        else:
            ends = [at for at in (stripped.find("="), stripped.find(":")) if at > 0]
            if ends:
                name, value = stripped[: min(ends)].strip(), stripped[min(ends) + 1 :].strip()
                last = (section, name)
                options.setdefault(last, []).append(value.strip("\"'") if value[:1] == value[-1:] else value)
    return {key: tuple(values) for key, values in options.items()}
