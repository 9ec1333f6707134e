# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Plug a port into the switch and take it out again: os-vif, told about a veth pair instead of a tap."""

from collections.abc import Mapping
from typing import Any

import os_vif
from nova import exception
from nova.network import os_vif_util
from os_vif import exception as osvif_exception

from novadocker.virt.docker.errors import PortNotReady


class OsVif:
    """os-vif with its Open vSwitch plugin."""

    def __init__(self) -> None:
        os_vif.initialize()

    def plug(self, instance: Any, vif: Mapping[str, Any]) -> str | None:
        """Plug a port whose device exists; return the Linux bridge for it (hybrid plugging), or None."""
        described = self._describe(vif)
        try:
            os_vif.plug(described, os_vif_util.nova_to_osvif_instance(instance))
        except osvif_exception.ExceptionBase as error:
            raise PortNotReady(f"Port {vif['id']} could not be plugged.", facts=_cause(error)) from error
        return described.bridge_name if type(described).__name__ == "VIFBridge" else None

    def unplug(self, instance: Any, vif: Mapping[str, Any]) -> None:
        """Unplug a port; one that is out already is fine."""
        try:
            os_vif.unplug(self._describe(vif), os_vif_util.nova_to_osvif_instance(instance))
        except osvif_exception.ExceptionBase as error:
            raise PortNotReady(f"Port {vif['id']} could not be unplugged.", facts=_cause(error)) from error

    def _describe(self, vif: Mapping[str, Any]) -> Any:
        try:
            described = os_vif_util.nova_to_osvif_vif(vif)
        except exception.NovaException as error:
            raise PortNotReady(
                f"Port {vif['id']} is of a kind Nova cannot plug.", facts=str(error)
            ) from error
        if described is None or type(described).__name__ not in {"VIFOpenVSwitch", "VIFBridge"}:
            raise PortNotReady(
                f"Port {vif['id']} is of type {vif['type']}; a container can only use Open vSwitch."
            )
        # Neutron asks for a tap since 2026.1; os-vif makes one unless the device is there, and with the
        # pair in place it is. On unplug it would delete the device as if it were its tap: that is ours to
        # do.
        if "create_tap" in described.port_profile.fields:
            described.port_profile.create_tap = False
        return described


def _cause(error: Exception) -> str:
    # os-vif prints the whole port before the one thing that matters.
    return str(error).rpartition("Got error: ")[2]
