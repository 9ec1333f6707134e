# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The network backends, by the name the configuration has for each."""

from collections.abc import Mapping

from novadocker.host.services import ml2_ovn, ml2_ovs
from novadocker.host.services.backend import Backend
from novadocker.host.services.model import Cloud

BY_NAME: Mapping[str, Backend] = {"ovn": ml2_ovn.BACKEND, "ovs": ml2_ovs.BACKEND}


def of(cloud: Cloud) -> Backend:
    """The backend that the cloud's configuration names."""
    return BY_NAME[cloud.config.network_backend]
