# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Run one of OpenStack's programs in one process: `single.py /path/to/PROGRAM ARGUMENT…`.

The program is its own, unchanged; what is replaced are two services of libraries that would start more
processes.
"""

import runpy
import sys
from pathlib import Path

from novadocker.programs import claims, eventlet, namespaces, openvswitch_agent


def main() -> None:
    """Prepare the process and become the program."""
    with eventlet.kept_out():
        from oslo_service import backend

        # As all of them choose by now; libraries decide when they are imported.
        backend.init_backend(backend.BackendType.THREADING)
        from novadocker.programs import launcher, rights
    launcher.install()
    rights.install()
    namespaces.install()
    sys.argv = sys.argv[1:]
    name = Path(sys.argv[0]).name
    for each in (claims, openvswitch_agent):
        if name == each.PROGRAM:
            each.install()
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
