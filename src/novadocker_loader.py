# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Lets Nova find the driver where Nova and nova-docker live in different places.

Nova imports drivers from below ``nova.virt`` only. Our wheel puts ``nova/virt/novadocker`` there, which is
enough in one site-packages. A distribution's Nova in dist-packages, or a checkout installed with `pip
install -e`, leaves that folder in another place, where the package ``nova`` never looks. So
``nova-docker-loader.pth`` calls `install` when Python starts.

That runs in every Python of the environment: nothing is imported here but what Python has loaded already,
and nothing of Nova until somebody asks for ``nova.virt.novadocker``. It is a module beside the package, not
in it: the package once imported would hide a checkout that comes later on the path.

Python reads .pth files in its site folders and not along PYTHONPATH. Where nova-docker is only on that
path, write ``import site; site.addsitedir("<folder>")`` into a .pth file of a site folder.
"""

import sys

TYPE_CHECKING = False  # typing's own would have to be imported, at every start of Python
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

NAME = "nova.virt.novadocker"


class DriverFinder:
    """Finds the one module ``nova.virt.novadocker``; its children then have a path of their own."""

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Return where our tree is, or None for every other name.

        :param fullname: the dotted name Python looks for.
        :param path: the parent's folders; they lack our tree, or Python would not have come here.
        :param target: unused.
        """
        if fullname != NAME:
            return None
        from importlib.util import spec_from_file_location
        from pathlib import Path

        folder = Path(__file__).resolve().parent.joinpath(*NAME.split("."))
        return spec_from_file_location(
            fullname, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


def install() -> None:
    """Add the finder behind Python's own, so that a tree that lies beside Nova goes first; once."""
    if not any(isinstance(finder, DriverFinder) for finder in sys.meta_path):
        sys.meta_path.append(DriverFinder())
