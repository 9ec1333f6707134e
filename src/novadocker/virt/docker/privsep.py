# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The one privilege context: what must be root, and the capabilities it needs.

NET_ADMIN and SYS_ADMIN to make devices, and to make, keep and enter namespaces; SETUID and SETGID to say who
a user namespace's users are; SYS_PTRACE to open another user's, DAC_OVERRIDE to write its /proc/sys; CHOWN to
give root of a container its config drive and ephemeral disks.
"""

import os
from collections.abc import Callable
from typing import TypeVar, cast

from oslo_privsep import capabilities, priv_context

F = TypeVar("F", bound=Callable[..., object])

context = priv_context.PrivContext(
    "novadocker",
    cfg_section="novadocker_privileged",
    pypath=__name__ + ".context",
    capabilities=[
        capabilities.CAP_NET_ADMIN,
        capabilities.CAP_SYS_ADMIN,
        capabilities.CAP_SYS_PTRACE,
        capabilities.CAP_DAC_OVERRIDE,
        capabilities.CAP_SETUID,
        capabilities.CAP_SETGID,
        capabilities.CAP_CHOWN,
    ],
)

# A nova-compute that is root already gains nothing from a second root process, which takes a second to start.
if os.geteuid() == 0:
    context.set_client_mode(False)


def privileged(function: F) -> F:
    """Run a function with the context's privileges; its arguments and result must be plain values."""
    return cast(F, context.entrypoint(function))
