# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Many servers at once: as many threads as Nova builds in, one daemon, one switch."""

from concurrent.futures import ThreadPoolExecutor

from tests.fakes import nova_objects
from tests.functional.virt.docker import daemons
from tests.functional.virt.docker.conftest import Bench, Machine

COUNT = 10


def test_ten_servers_come_and_go_together(machine: Machine, bench: Bench) -> None:
    first = machine.server(["sleep", "99"])
    servers = [first, *(machine.server(["sleep", "99"], image_ref=first.image_ref) for _ in range(COUNT - 1))]
    ports = [
        nova_objects.port(address=f"10.20.0.{number}", mac=f"fa:16:3e:00:00:{number:02x}")
        for number in range(10, 10 + COUNT)
    ]
    with ThreadPoolExecutor(COUNT) as pool:
        list(pool.map(lambda pair: bench.spawn(pair[0], [pair[1]]), zip(servers, ports, strict=True)))
        assert bench.driver.get_num_instances() == COUNT
        for server, port in zip(servers, ports, strict=True):
            assert port["address"] in bench.inside(server, "ip", "link", "show", "dev", "eth0")
            assert bench.driver._switch.port(port["devname"]).owner == "host-docker"
        list(pool.map(lambda pair: bench.destroy(pair[0], [pair[1]]), zip(servers, ports, strict=True)))
    assert bench.driver.get_num_instances() == 0
    assert not {port["devname"] for port in ports} & set(
        daemons.vsctl(machine.switch, "list-ports", "ndk-test").splitlines()
    )
