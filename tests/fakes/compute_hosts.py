# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Made-up compute hosts of somebody else's cloud."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.fakes import clouds

from novadocker.host.overlay import nova_conf
from novadocker.host.overlay.look import Seen
from novadocker.host.overlay.nova_conf import NovaConf

PASSWORD = "a-password-that-goes-nowhere"
NOVA_CONF = f"""
[DEFAULT]
host = compute1
state_path = /var/lib/nova
log_dir = /var/log/nova
compute_driver = libvirt.LibvirtDriver
transport_url = rabbit://nova:{PASSWORD}@controller/
[placement]
password = {PASSWORD}
[neutron]
password = {PASSWORD}
[glance]
api_servers = http://controller:9292
[service_user]
password = {PASSWORD}
"""
# Processors by number, and filters of its own.
DIVIDED = (
    NOVA_CONF + "[compute]\ncpu_shared_set = 2-7,^3\n"
    "[filter_scheduler]\nenabled_filters = ComputeFilter, MyFilter\navailable_filters = mine.MyFilter\n"
)
MACHINE = replace(clouds.MACHINE, hostname="compute1", cpus=8, memory_mb=32000, disk_gb=200, disk_free_gb=120)


def conf(text: str, *, path: str = "/etc/nova/nova.conf") -> NovaConf:
    """A file of this text."""
    return NovaConf((Path(path),), nova_conf.parse(text))


def seen(text: str = NOVA_CONF, **other: Any) -> Seen:
    """A chassis of OVN with nova-compute for libvirt, of this nova.conf; `other` facts replace its own."""
    nova = conf(text)
    known: dict[str, Any] = {
        "hostname": "compute1",
        "machine": MACHINE,
        "nova": nova,
        "libvirt": nova,
        "scheduler": None,
        "neutron": NovaConf(),
        "earlier": NovaConf(),
        "program": Path("/opt/nova/bin/nova-compute"),
        "program_source": "the one that runs",
        "runs_libvirt": True,
        "libvirt_unit": "nova-compute.service",
        "computes": (),
        "external_ids": {"ovn-remote": "ssl:controller:6642", "hostname": "compute1.example"},
        "agents": ("ovn-controller",),
    }
    return Seen(**known | other)
