# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A Nova server and its ports, as Nova's manager hands them to a driver."""

import contextlib
import uuid as uuids
from collections.abc import Iterator
from typing import Any

from nova import context, exception, objects
from nova.network import model

objects.register_all()

CONTEXT = context.get_admin_context()


def server(**changes: Any) -> objects.Instance:
    """Return a server of 1 vCPU, 64 MiB and 1 GiB."""
    flavor = objects.Flavor(
        id=1,
        flavorid="1",
        name="m1.test",
        vcpus=1,
        memory_mb=64,
        root_gb=1,
        ephemeral_gb=0,
        swap=0,
        extra_specs={},
    )
    known = {
        "id": 1,
        "uuid": str(uuids.uuid4()),
        "project_id": "project",
        "user_id": "user",
        "hostname": "test1",
        "display_name": "test1",
        "image_ref": str(uuids.uuid4()),
        "flavor": flavor,
        "trusted_certs": None,
        "config_drive": "",
        "launched_at": None,
        "key_data": None,
        "system_metadata": {},
        "metadata": {},
        "host": "host-docker",
        "vm_state": "active",
        "task_state": None,
        "info_cache": None,
        "migration_context": None,
        "device_metadata": None,
    }
    return objects.Instance(CONTEXT, **{**known, **changes})


def image_meta(instance: objects.Instance, **properties: Any) -> objects.ImageMeta:
    return objects.ImageMeta.from_dict(
        {
            "id": instance.image_ref,
            "container_format": "docker",
            "disk_format": "raw",
            "properties": properties,
        }
    )


def port(
    *,
    address: str = "10.20.0.5",
    cidr: str = "10.20.0.0/24",
    gateway: str = "10.20.0.1",
    mac: str = "fa:16:3e:00:00:05",
    bridge: str = "ndk-test",
    dns: tuple[str, ...] = ("10.20.0.2",),
    routes: tuple[tuple[str, str], ...] = (),
    datapath: str = "netdev",
    vif_type: str = "ovs",
    mtu: int = 1442,
    **more: Any,
) -> model.VIF:
    """Return one bound port of a network with one subnet."""
    port_id = str(uuids.uuid4())
    subnet = model.Subnet(
        cidr=cidr,
        gateway=model.IP(address=gateway, type="gateway"),
        ips=[model.FixedIP(address=address)],
        routes=[model.Route(cidr=net, gateway=model.IP(address=hop)) for net, hop in routes],
        dns=[model.IP(address=one, type="dns") for one in dns],
        enable_dhcp=True,
    )
    network = model.Network(id=str(uuids.uuid4()), bridge=bridge, label="private", subnets=[subnet], mtu=mtu)
    known = {
        "id": port_id,
        "address": mac,
        "network": network,
        "type": vif_type,
        "details": {"datapath_type": datapath, "port_filter": True, "ovs_create_tap": True},
        "devname": f"tap{port_id}"[:14],
        "ovs_interfaceid": port_id,
        "active": False,
        "delegate_create": True,
    }
    return model.VIF(**{**known, **more})


def cached(instance: objects.Instance, *ports: model.VIF) -> None:
    """Write the ports Nova knows of into a server's record."""
    instance.info_cache = objects.InstanceInfoCache(network_info=model.NetworkInfo(ports))


class VirtAPI:
    """Nova's manager as drivers see it: `outcome` is what becomes of awaited events."""

    def __init__(self, outcome: str = "completed") -> None:
        self.outcome = outcome
        self.awaited: list[tuple[str, str]] = []

    @contextlib.contextmanager
    def wait_for_instance_event(
        self, instance: Any, names: list[tuple[str, str]], *, timeout: float, error_callback: Any = None
    ) -> Iterator[None]:
        self.awaited += names
        yield
        if self.outcome == "timeout":
            raise exception.InstanceEventTimeout
        if self.outcome == "failed":
            error_callback(names[0], instance)
