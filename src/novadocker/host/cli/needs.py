# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a verb needs before it begins, and the words where it is not there."""

import os

from novadocker.errors import NovaDockerError
from novadocker.host import cloud
from novadocker.host.config import HostConfig
from novadocker.host.services.model import Cloud


def root() -> None:
    """Refuse to go on as anybody but root.

    :raises NovaDockerError: for every other user.
    """
    if os.geteuid() != 0:
        raise NovaDockerError(
            "This needs root.", facts=f"you are user {os.geteuid()}", hint="Run it with sudo."
        )


def a_cloud(config: HostConfig) -> Cloud:
    """Return the cloud that an earlier `up` made.

    :raises NovaDockerError: where there is none.
    """
    known = cloud.recall(config)
    if known is None:
        raise NovaDockerError(
            f"There is no cloud {config.name} here.",
            facts=f"{config.root} holds none",
            hint="Run `nova-docker up`.",
        )
    return known
