# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What is installed here, of what a saved cloud depends on."""

import importlib.metadata
import platform
import re

from novadocker import __version__, run
from novadocker.host.saved import manifest


def architecture() -> str:
    """The processor's kind."""
    return platform.machine()


def installed() -> dict[str, str]:
    """The versions by name; of MariaDB the series, whose files are of one kind.

    :raises novadocker.run.CommandFailed: if it is not installed.
    """
    found = {"nova-docker": __version__}
    for name in manifest.RELEASE:
        try:
            found[name] = _series() if name == "mariadb" else importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _series() -> str:
    said = run.run(["/usr/sbin/mariadbd", "--version"]).out
    known = re.search(r"Ver (\d+\.\d+)", said)
    return known[1] if known else said.strip()
