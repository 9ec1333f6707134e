# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A kernel, a switch, os-vif and Neutron in memory."""

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from novadocker.virt.docker import names
from novadocker.virt.docker.doors import Chassis, DhcpPort, HostDevice, InterfaceConfig, SwitchPort
from novadocker.virt.docker.errors import LinkError, PortNotReady, ServiceError, SwitchUnreachable


class FakeNetlink:
    """Devices by name, and the interfaces of each namespace by its path."""

    def __init__(self) -> None:
        self.devices: dict[str, HostDevice] = {}
        self.peers: dict[str, str] = {}
        self.namespaces: dict[str, dict[str, InterfaceConfig]] = {}
        self.ends: dict[str, str] = {}
        self.bridges: dict[str, str] = {}
        self.steps: list[str] = []

    def add_pair(
        self, host_device: str, peer: str, *, mtu: int, alias: str, namespace: str | None = None
    ) -> None:
        if host_device in self.devices or peer in self.peers:
            raise LinkError(f"Could not make the pair {host_device} and {peer}.", facts="File exists")
        self.devices[host_device] = HostDevice(
            name=host_device, kind="veth", alias=alias, peer_here=namespace is None
        )
        self.peers[peer] = host_device
        self.steps.append(f"pair {host_device}")

    def device(self, name: str) -> HostDevice | None:
        return self.devices.get(name)

    def owned(self, owner: str) -> list[HostDevice]:
        return [one for one in self.devices.values() if names.alias_owner(one.alias) == owner]

    def delete(self, name: str) -> None:
        self.devices.pop(name, None)
        for inside in self.namespaces.values():  # a pair goes with either end
            inside.pop(self.ends.pop(name, ""), None)
        self.peers = {peer: host for peer, host in self.peers.items() if host != name}
        self.steps.append(f"delete {name}")

    def join_bridge(self, name: str, *, bridge: str) -> None:
        self.bridges[name] = bridge

    def bring_in(self, peer: str, *, namespace: str, config: InterfaceConfig) -> None:
        if peer not in self.peers:
            raise LinkError(f"Could not move {peer} into {namespace}.", facts="no such device")
        host = self.peers.pop(peer)
        self.devices[host] = replace(self.devices[host], peer_here=False)
        self.namespaces.setdefault(namespace, {})[config.name] = config
        self.ends[host] = config.name
        self.steps.append(f"bring in {config.name}")

    def adjust(self, *, namespace: str, config: InterfaceConfig) -> None:
        if config.name not in self.namespaces.get(namespace, {}):
            raise LinkError(f"Could not configure {config.name} in {namespace}.")
        self.namespaces[namespace][config.name] = config

    def inside(self, *, namespace: str) -> dict[str, str]:
        return {name: config.mac for name, config in self.namespaces.get(namespace, {}).items()}

    def loopback(self, *, namespace: str) -> None:
        self.steps.append(f"lo up in {namespace}")

    def announce(self, *, namespace: str) -> None:
        for name, config in self.namespaces.get(namespace, {}).items():
            self.steps.append(f"announce {', '.join(config.addresses)} on {name}")


class FakeSwitch:
    """An Open vSwitch database. `installs` tells whether an ovn-controller is at work."""

    def __init__(self, *, hostname: str = "chassis", installs: bool = True) -> None:
        self.reachable = True
        self.installs = installs
        self.hostname = hostname
        self.bridge = ""
        self.ports: dict[str, SwitchPort] = {}
        self._changed = threading.Condition()

    def add(self, device: str, *, port_id: str, server: str) -> None:
        with self._changed:
            known = self.ports.get(device) or SwitchPort(
                device=device, port_id=port_id, server=server, owner="", installed=False, error=""
            )
            self.ports[device] = replace(known, installed=known.installed or self.installs)
            self._changed.notify_all()

    def install(self, device: str) -> None:
        with self._changed:
            self.ports[device] = replace(self.ports[device], installed=True)
            self._changed.notify_all()

    def chassis(self) -> Chassis:
        self._answer()
        return Chassis(hostname=self.hostname, system_id="id", remote="unix:sb", bridge=self.bridge)

    def port(self, device: str) -> SwitchPort | None:
        self._answer()
        return self.ports.get(device)

    def owned(self, owner: str) -> list[SwitchPort]:
        self._answer()
        return [port for port in self.ports.values() if port.owner == owner]

    def mark(self, device: str, *, owner: str) -> None:
        self._answer()
        if device not in self.ports:
            raise SwitchUnreachable("Could not change the Open vSwitch database.", facts=f"no {device}")
        self.ports[device] = replace(self.ports[device], owner=owner)

    def remove(self, device: str) -> None:
        self._answer()
        self.ports.pop(device, None)

    def wait_installed(self, devices: list[str], *, timeout: float) -> list[str]:
        self._answer()
        deadline = time.monotonic() + timeout
        with self._changed:
            while missing := [d for d in devices if d not in self.ports or not self.ports[d].installed]:
                left = deadline - time.monotonic()
                if left <= 0:
                    return missing
                self._changed.wait(left)
        return []

    def close(self) -> None:
        return

    def _answer(self) -> None:
        if not self.reachable:
            raise SwitchUnreachable("The Open vSwitch database does not answer.")


class FakePlugging:
    """os-vif on a fake switch: it refuses a port whose device is not there, where os-vif would make a tap."""

    def __init__(self, switch: FakeSwitch, netlink: FakeNetlink) -> None:
        self.unplugged: list[str] = []
        self.bridges: dict[str, str] = {}
        self._switch = switch
        self._netlink = netlink

    def plug(self, instance: Any, vif: Mapping[str, Any]) -> str | None:
        self._switch._answer()
        if vif["devname"] not in self._netlink.devices:
            raise PortNotReady("os-vif would make a tap now")
        self._netlink.steps.append(f"plug {vif['devname']}")
        self.bridges[vif["id"]] = vif["network"]["bridge"]
        self._switch.add(vif["devname"], port_id=vif["id"], server=instance.uuid)
        return None

    def unplug(self, instance: Any, vif: Mapping[str, Any]) -> None:
        if vif["type"] != "ovs":
            raise PortNotReady(f"Port {vif['id']} is of type {vif['type']}")
        self._switch.remove(vif["devname"])
        self.unplugged.append(vif["id"])


class FakeService:
    """Neutron's answers."""

    def __init__(
        self, *, metadata: tuple[str, ...] = (), domain: str = "", agents: list[dict[str, Any]] | None = None
    ) -> None:
        self.metadata = metadata
        self.domain = domain
        self.known_agents = agents if agents is not None else []
        self.fails = False

    def dhcp(self, context: Any, network_id: str) -> DhcpPort:
        if self.fails:
            raise ServiceError("Neutron does not tell the network's DHCP ports.")
        return DhcpPort(addresses=self.metadata, domain=self.domain)

    def agents(self, context: Any, host: str) -> list[dict[str, Any]]:
        if self.fails:
            raise ServiceError("Neutron does not tell its agents.")
        return self.known_agents
