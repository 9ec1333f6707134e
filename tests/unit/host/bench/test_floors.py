# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the floors ask for is what the drivers ask for, but for the network."""

import xml.etree.ElementTree as ET
from pathlib import Path

from novadocker.host.bench import floor_domain, floor_engine, nothing
from novadocker.virt import nothing as driver

INSPECTED = {
    "Image": "sha256:d5a7",
    "Config": {"Labels": {"nova.docker.uuid": "u"}},
    "HostConfig": {
        "NetworkMode": "container:abc", "Binds": ["/x:/etc/hosts"], "Memory": 67108864, "CpuShares": 1024,
        "StorageOpt": {"size": "1073741824"}, "Init": True, "CgroupParent": "/nova-docker/servers",
    },
}  # fmt: skip
DOMAIN = """<domain type='qemu' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>instance-00000001</name><uuid>11111111-1111-4111-8111-111111111111</uuid>
  <metadata><nova:instance xmlns:nova='http://x'/></metadata>
  <memory unit='KiB'>65536</memory><sysinfo type='smbios'/><os><smbios mode='sysinfo'/></os>
  <devices>
    <disk type='file' device='disk'><source file='/i/disk' index='1'/>
      <backingStore type='file'><source file='/i/_base/a'/></backingStore><target dev='vda'/></disk>
    <interface type='ethernet'><target dev='tap1'/></interface>
    <serial type='pty'><log file='/i/console.log' append='off'/></serial>
  </devices></domain>"""


def test_a_container_of_docker_s_floor_has_the_driver_s_limits_and_no_network():
    asked = floor_engine.alike(INSPECTED, image="sha256:d5a7")
    host = asked["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert "Binds" not in host
    assert {name: host[name] for name in ("Memory", "CpuShares", "StorageOpt", "Init", "CgroupParent")} == {
        name: INSPECTED["HostConfig"][name]
        for name in ("Memory", "CpuShares", "StorageOpt", "Init", "CgroupParent")
    }
    # With the driver's labels, it would be taken for a server.
    assert asked["Labels"] == {floor_engine.LABEL: "yes"}


def test_a_domain_of_libvirt_s_floor_shares_nothing_with_the_server_it_is_like():
    made = floor_domain.alike(DOMAIN, name="b", uuid="u", disk=Path("/b/disk"), folder=Path("/b"))
    root = ET.fromstring(made)
    assert (root.findtext("name"), root.findtext("uuid"), root.get("id")) == ("b", "u", None)
    assert root.findtext("memory") == "65536"
    assert root.find("devices/interface") is None
    assert root.find("metadata") is None
    assert [each.get("file") for each in root.iter("source")] == ["/b/disk"]
    assert root.find("devices/serial/log").get("file") == "/b/console.log"


def test_servers_of_nothing_ask_for_what_the_driver_that_does_nothing_offers():
    asked = {name.removeprefix("resources:") for name, amount in nothing.EXTRA_SPECS.items() if amount != "0"}
    assert asked == set(driver.RESOURCES)
    refused = {name for name, amount in nothing.EXTRA_SPECS.items() if amount == "0"}
    assert refused == {"resources:VCPU", "resources:MEMORY_MB", "resources:DISK_GB"}
