# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`doctor` and `bundle` where there is no cloud of ours: on a bare machine, and beside another's OpenStack.

Each runs in namespaces of its own, in which /run is empty and /etc can be written over.
"""

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tests.functional.host import grounds

from novadocker.host.checks import registry

PROGRAM = [sys.executable, str(Path(sys.executable).with_name("nova-docker"))]
SECRET = "a-password-of-theirs"
WAITS = f"#!{sys.executable}\nimport time\ntime.sleep(600)\n"
NOVA = f"""\
[DEFAULT]
compute_driver = libvirt.LibvirtDriver
vif_plugging_is_fatal = false
transport_url = rabbit://openstack:{SECRET}@controller:5672/
[keystone_authtoken]
password = {SECRET}
"""
NEUTRON = "[DEFAULT]\nnotify_nova_on_port_status_changes = false\nsend_events_interval = 30\n"


@pytest.fixture(autouse=True)
def _root():
    grounds.require("unshare", "mount", "hostname")


def machine(script: str, place: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a shell on a machine that is bare but for its file system; `$place` is a folder, `$doctor` runs."""
    begin = 'set -e; mount -t tmpfs none /run; hostname nowhere; ip link set lo up; doctor="$*"; '
    return subprocess.run(
        ["unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc",
         "/bin/sh", "-c", begin + script, "sh", *PROGRAM, "--root", str(place / "none")],
        check=False, capture_output=True, text=True, timeout=120,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(place), "place": str(place), **environment},
    )  # fmt: skip


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, list[dict]]:
    assert "Traceback" not in done.stderr, done.stderr
    found: dict[str, list[dict]] = {}
    for each in json.loads(done.stdout):
        found.setdefault(each["id"], []).append(each)
    return found


def test_before_anything_is_installed(tmp_path):
    """No program is on the path, no service runs, no name resolves: it looks at what there is."""
    done = machine("PATH=/nonexistent $doctor doctor --json", tmp_path)
    found = findings(done)
    assert done.returncode == 1
    assert set(found) == {check.id for check in registry.ALL}
    assert "does not resolve" in found["own-name"][0]["cause"]
    assert "OS_CLOUD" in found["failed-servers"][0]["cause"]
    assert found["room"][0]["status"] in ("ok", "warn", "fail")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_memory_is_a_finding(tmp_path):
    data = tmp_path / "none" / "data"
    data.mkdir(parents=True)
    (data / "state.json").write_text("{")
    found = findings(machine("$doctor doctor --json", tmp_path))
    assert found["cloud-files"][0]["status"] == "fail"
    assert "state.json" in " ".join(found["cloud-files"][0]["evidence"])


def test_who_is_not_root_is_told_what_was_not_looked_at(tmp_path):
    done = machine("setpriv --reuid=65534 --clear-groups $doctor doctor --json || test $? = 1", tmp_path)
    if "Permission denied" in done.stderr and not done.stdout:
        pytest.skip("nobody may not enter the folder of this Python")
    found = findings(done)
    assert "only root" in found["held-mounts"][0]["cause"]
    assert found["held-mounts"][0]["status"] == "skip"


def test_somebody_else_s_openstack_is_judged_and_not_touched(tmp_path):
    """Two nova-compute that share /etc/nova with its identity, a switch that listens elsewhere, no sudo."""
    for name, text in {
        "nova/nova.conf": NOVA,
        "nova/compute_id": "1b2c",
        "neutron/neutron.conf": NEUTRON,
    }.items():
        file = tmp_path / "etc" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("nova-compute", "neutron-server"):
        (programs / name).write_text(WAITS)
        (programs / name).chmod(0o755)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("ovs-vsctl", "ovs-ofctl", "ip", "iptables", "iptables-save", "ps", "cat"):
        if found := shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            (tools / name).symlink_to(found)
    done = machine(
        'mount -t tmpfs none /mnt; mkdir /mnt/up /mnt/work; cp -r "$place/etc/." /mnt/up; '
        "mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/up,workdir=/mnt/work /etc; "
        "mkdir /run/openvswitch; ovsdb-tool create /run/conf.db; "
        "ovsdb-server /run/conf.db --remote=punix:/run/openvswitch/db.sock --unixctl=/run/c --detach "
        "--pidfile=/run/p --log-file=/dev/null; "
        "ovs-vsctl --db=unix:/run/openvswitch/db.sock --no-wait init; "
        'for name in nova-compute nova-compute neutron-server; do "$place/bin/$name" & done; '
        "sum() { find /etc/nova /etc/neutron -type f -exec md5sum {} + -exec stat -c '%n %Y %a' {} +; }; "
        'before=$(sum); PATH="$place/tools"; export PATH; '
        '$doctor bundle -o "$place/bundle.tar.gz" >&2; $doctor doctor --json || [ $? = 1 ]; '
        'PATH=/usr/bin:/bin; [ "$before" = "$(sum)" ]',
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = findings(done)
    causes = {name: " ".join(each["cause"] for each in some) for name, some in found.items()}
    assert "share one identity" in causes["compute-identity"]
    assert "plugs no port" in causes["switch-database"]
    assert "by sudo" in causes["privileged-helper"]
    assert "does not wait" in causes["port-events"]
    assert "does not tell Nova" in causes["port-events"]
    assert "30 s" in causes["port-events"]
    assert SECRET not in done.stdout
    with tarfile.open(tmp_path / "bundle.tar.gz") as archive:
        packed = {entry.name.partition("/")[2]: archive.extractfile(entry).read() for entry in archive}
    assert b"rabbit://openstack:***@controller" in packed["config/etc/nova/nova.conf"]
    assert not [name for name, data in packed.items() if SECRET.encode() in data]
    assert {each["id"]: each["status"] for each in json.loads(packed["findings.json"])}.keys() == found.keys()
