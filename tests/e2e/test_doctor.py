# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`doctor` on a real cloud: nothing where nothing is wrong, and what is planted by its name.

What it finds is planted for real: on a bridge of their own, two agents; on the cloud's own parts, one fault
after the other, each put right before the next.
"""

import json
import shlex
import subprocess
import tarfile
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.e2e import agents
from tests.e2e.backends import BOTH
from tests.e2e.cloud import BIN, CONTAINER, until
from tests.e2e.containers import docker, namespaces
from tests.fakes import docker_archive

from novadocker.host import cgroups


@pytest.fixture
def examined(cloud):
    def examine(*words):
        found = json.loads(cloud.control("doctor", "--json", *words, check=False).stdout)
        return {each["id"]: each for each in reversed(found)}

    return examine


@pytest.fixture
def switch(cloud):
    def tell(*words):
        subprocess.run(
            ["ovs-vsctl", f"--db=unix:{cloud.run_dir}/ovs/db.sock", "--timeout=20", *words], check=True
        )

    return tell


def ill(finding) -> bool:
    return finding["status"] in ("warn", "fail")


@BOTH
def test_a_healthy_cloud_has_nothing(cloud, servers, examined):
    # Room that servers of the tests before gave back may still be on its way back.
    def well():
        return [each for each in examined().values() if each["status"] != "ok"] == []

    until(well, seconds=90, why="nothing is found")
    assert cloud.control("doctor").returncode == 0


def test_traffic_that_is_cut_off_is_named_and_put_right(own_cloud, servers, examined):
    rules = subprocess.run(["iptables", "-S", "FORWARD"], check=True, capture_output=True, text=True).stdout
    mark = f"nova-docker:{own_cloud.name}"
    for rule in rules.splitlines():
        if mark in rule:
            subprocess.run(["iptables", "-D", *shlex.split(rule)[1:]], check=True)
    # The bridge without its address, as after a reboot.
    network = own_cloud.connection.network
    (subnet,) = network.subnets(network_id=network.find_network("public").id)
    address = f"{subnet.gateway_ip}/{subnet.cidr.partition('/')[2]}"
    subprocess.run(["ip", "address", "delete", address, "dev", "ndk-ex"], check=True)
    # A container's checksums, as they are without the driver.
    namespace = namespaces(own_cloud) / servers[CONTAINER].id / "net"
    ethtool = ["nsenter", f"--net={namespace}", "--", "ethtool", "-K", "eth0", "tx"]
    netdev = docker_netdev(own_cloud)
    if netdev:
        subprocess.run([*ethtool, "on"], check=True, capture_output=True)
    found = examined()
    assert ill(found["forwarding"])
    assert found["forwarding"]["fix"] == "nova-docker up"
    assert ill(found["external-bridge"])
    assert ill(found["checksum-offload"]) == netdev
    assert own_cloud.control("status", check=False).returncode == 1
    assert not any(map(ill, examined("--fix").values()))
    assert "Congratulations" in servers[CONTAINER].page()


def docker_netdev(cloud) -> bool:
    shown = subprocess.run(
        ["ovs-vsctl", f"--db=unix:{cloud.run_dir}/ovs/db.sock", "get", "bridge", "ndk-int", "datapath_type"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return "netdev" in shown.stdout


def test_a_chassis_of_another_name_is_named_and_put_right(own_cloud, examined, switch):
    """No agent answers for the hosts ports are bound to, by the machine's renaming."""
    switch("set", "open_vswitch", ".", "external_ids:hostname=renamed.example.com")
    found = until(
        lambda: (seen := examined()) and ill(seen["host-without-agent"]) and seen,
        seconds=40,
        why="it is seen",
    )
    assert found["host-renamed"]["fix"].startswith("nova-docker up")
    assert own_cloud.host in found["host-without-agent"]["cause"]
    until(lambda: not any(map(ill, examined("--fix").values())), seconds=60, why="all is well again")


def test_a_compute_host_that_no_agent_answers_for(own_cloud, examined):
    """A nova-compute that binds its ports to a name of its own, as in the article without its agent."""
    bound = {"docker": {"binding_host": "nobody"}}
    with own_cloud.configured("nova-docker/nova-docker.conf", bound, restart=["nova-docker"]):
        found = examined()["host-without-agent"]
    assert "No network agent answers for nobody" in found["cause"]
    assert own_cloud.docker_host in " ".join(found["evidence"])
    assert own_cloud.host in found["fix"]


def test_two_openvswitch_agents_on_one_bridge(own_cloud, examined, switch, tmp_path):
    """The article's own set-up: the second deletes the first's flows as it starts."""
    cloud = own_cloud
    with ExitStack() as stack:
        stack.callback(switch, "--if-exists", "del-br", agents.BRIDGE)
        first = stack.enter_context(agents.agent(cloud, tmp_path, name="e2e-one", port=6701))
        before = until(lambda: agents.cookies(cloud), seconds=90, why="the first writes its flows")
        second = stack.enter_context(agents.agent(cloud, tmp_path, name="e2e-two", port=6702))
        until(lambda: agents.cookies(cloud) - before, seconds=90, why="the second writes its own")
        found = examined()["two-ovs-agents"]
        assert f"work on bridge {agents.BRIDGE}" in found["cause"]
        told = " ".join(found["evidence"])
        assert all(name in told for name in ("e2e-one", "e2e-two", str(first.pid), str(second.pid)))
        assert found["fix"].startswith(f"kill {second.pid}")
        until(lambda: not agents.cookies(cloud) & before, seconds=60, why="the first's flows are gone")
        # What is seen while both write, or one that was killed has left its own.
        flow = ["ovs-ofctl", "add-flow", f"unix:{cloud.run_dir}/ovs/{agents.BRIDGE}.mgmt"]
        subprocess.run([*flow, "cookie=0xe2e,table=77,actions=drop"], check=True)
        assert agents.BRIDGE in examined()["flows-of-two-agents"]["cause"]


@contextmanager
def private_mounts(unit: str):
    """A process in a mount namespace of its own, as PrivateTmp makes, in a unit's control group."""
    group = cgroups.hierarchies().follow / "system.slice" / unit
    above = [path for path in (group, group.parent) if not path.exists()]
    group.mkdir(parents=True, exist_ok=True)
    enter = f"echo $$ > {group}/cgroup.procs && exec unshare --mount --propagation private sleep 3600"
    process = subprocess.Popen(["sh", "-c", enter])
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for path in above:
            until(lambda path=path: not _still(path), seconds=10, why=f"{path} is gone")


def _still(group: Path) -> bool:
    try:
        group.rmdir()
    except OSError:
        return True
    return False


def test_who_holds_a_container_s_mounts_is_named_and_the_server_goes_all_the_same(
    own_cloud, images, examined
):
    """Docker mounts no namespace of a server's, but that of a container it makes a network for itself.

    What keeps a server's own, others may see: it goes with its files.
    """
    cloud = own_cloud
    with cloud.server("e2e-held", images[CONTAINER]) as server, ExitStack() as stack:
        assert cloud.settled(server).status == "ACTIVE"
        image = docker(
            cloud, "ps", f"--filter=label=nova.docker.uuid={server.id}", "--format={{.Image}}"
        ).split()[0]
        beside = docker(
            cloud, "run", "--detach", "--network=none", "--entrypoint=sleep", image, "3600"
        ).strip()
        stack.callback(docker, cloud, "rm", "--force", beside)
        holder = stack.enter_context(private_mounts("ndk-e2e-memcached.service"))
        mine = f"process {holder.pid}, unit ndk-e2e-memcached.service"
        until(lambda: mine in examined()["held-mounts"]["cause"], seconds=30, why="it is named")
        seen = Path(f"/proc/{holder.pid}/mounts")
        assert server.id in seen.read_text()
        cloud.remove(server.id)
        assert docker(cloud, "ps", "-aq", f"--filter=label=nova.docker.uuid={server.id}") == ""
        assert server.id not in seen.read_text()
        found = examined()["held-mounts"]
        # Since 3.18 a place that is removed loses its mounts in every namespace.
        assert mine in found["cause"]
        assert found["fix"].startswith("systemctl restart ndk-e2e-memcached.service")
    assert examined()["held-mounts"]["status"] == "ok"


def test_lost_and_left_things_are_named(own_cloud, examined, tmp_path):
    """A domain Nova does not have, an image of another processor, a folder closed to its user."""
    cloud = own_cloud
    domain, name = str(uuid.uuid4()), "instance-0000ffff"
    virsh = [*("virsh", "-q", "-c"), f"qemu+unix:///system?socket={cloud.run_dir}/libvirt/libvirt-sock"]
    xml = tmp_path / "domain.xml"
    xml.write_text(
        f"<domain type='qemu'><name>{name}</name><uuid>{domain}</uuid><memory unit='MiB'>16</memory>"
        "<os><type arch='x86_64'>hvm</type></os></domain>"
    )
    layer = docker_archive.tar({"etc/": None})
    foreign = docker_archive.config([layer], command=["sh"], architecture="s390x")
    archive = docker_archive.save([layer], configuration=foreign)
    folder = cloud.root / "data" / "rabbitmq"
    owner = folder.stat()
    image = cloud.image("e2e-foreign", archive, container_format="docker")
    try:
        subprocess.run([*virsh, "define", str(xml)], check=True)
        folder.chmod(0o500)
        found = examined()
        assert domain in found["unknown-domains"]["cause"]
        assert "built for s390x" in found["unbootable-images"]["cause"]
        assert "rabbitmq" in found["folders"]["cause"]
    finally:
        folder.chmod(owner.st_mode & 0o7777)
        subprocess.run([*virsh, "undefine", name], check=True)
        cloud.connection.image.delete_image(image)


def test_a_server_that_is_stuck_in_deletion(own_cloud, images, examined):
    """Its nova-compute is gone before it is asked: the server waits, and `--fix` ends it."""
    cloud = own_cloud
    server = cloud.create("e2e-stuck", images[CONTAINER])
    assert cloud.settled(server).status == "ACTIVE"
    cloud.supervisor.stopProcess("nova-docker")
    cloud.connection.compute.delete_server(server.id)
    found = until(
        lambda: (seen := examined()) and ill(seen["stuck-servers"]) and seen, seconds=120, why="it is named"
    )
    assert "e2e-stuck has been deleting" in found["stuck-servers"]["cause"]
    assert "its container is there still" in found["stuck-servers"]["evidence"]
    assert found["stuck-servers"]["safe"]
    assert "nova-docker" in found["services-stopped"]["cause"]
    assert ill(found["services-down"])
    cloud.control("doctor", "--fix", check=False)
    until(
        lambda: cloud.connection.compute.find_server(server.id, ignore_missing=True) is None,
        seconds=90,
        why="it is gone",
    )


def test_a_bundle_tells_no_secret_and_is_judged_elsewhere(own_cloud, servers, tmp_path):
    """With services down in it: the database and dockerd are stopped while it is packed."""
    cloud = own_cloud
    file = tmp_path / "bundle.tar.gz"
    cloud.control("bundle", "-o", str(file))
    whole = _unpacked(file)
    assert json.loads(whole["status.json"])["services"]
    for name in ("mariadb", "dockerd"):
        cloud.supervisor.stopProcess(name)
    try:
        cloud.control("bundle", "-o", str(file))
        here = cloud.control("doctor", "--json", check=False)
    finally:
        cloud.control("up")
    broken = _unpacked(file)
    assert file.stat().st_mode & 0o777 == 0o600
    known = list(json.loads((cloud.root / "data" / "secrets.json").read_text()).values())
    for folder in ("keystone/fernet-keys", "keystone/credential-keys"):
        known += [path.read_text().strip() for path in (cloud.root / "data" / folder).iterdir()]
    (key,) = [path for path in (cloud.root / "data" / "keys").iterdir() if path.suffix != ".pub"]
    known += [line for line in key.read_text().splitlines() if not line.startswith("-")]
    assert len(known) > 15
    told = {name for name, text in {**whole, **broken}.items() for value in known if value in text}
    assert told == set()
    assert "transport_url = rabbit://nova-docker:***@" in whole["config/nova/nova.conf"]
    assert "req-" in whole["logs/nova-api.log"]
    # On a machine that has no cloud.
    there = subprocess.run(
        [BIN / "nova-docker", "--root", tmp_path / "none", "doctor", "--json", "--from", file],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert there.returncode == 1
    assert json.loads(there.stdout) == json.loads(broken["findings.json"])
    found = {each["id"]: each for each in json.loads(there.stdout)}
    assert "mariadb" in found["services-stopped"]["cause"]
    alike = {each["id"]: each["status"] for each in json.loads(here.stdout)}
    assert {name: each["status"] for name, each in found.items()} == alike


def _unpacked(file: Path) -> dict[str, str]:
    with tarfile.open(file) as archive:
        return {
            entry.name.partition("/")[2]: archive.extractfile(entry).read().decode(errors="replace")
            for entry in archive
        }
