# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Real neutron-openvswitch-agents on a bridge of their own in the cloud's switch; the article has two."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.cloud import BIN, Cloud

BRIDGE = "e2e-agents"
_PRIVILEGED = ("privsep", "privsep_dhcp_release", "privsep_ovs_vsctl", "privsep_namespace",
               "privsep_conntrack", "privsep_link")  # fmt: skip


@contextmanager
def agent(cloud: Cloud, place: Path, *, name: str, port: int) -> Iterator[subprocess.Popen]:
    """An agent with a host name of its own; `port` is where it speaks OpenFlow."""
    settings = place / f"{name}.conf"
    neutron = (cloud.root / "etc" / "neutron" / "neutron.conf").read_text().splitlines()
    transport = next(line for line in neutron if line.startswith("transport_url"))
    helper = f"{BIN}/privsep-helper --config-file {settings}"
    text = (
        f"[DEFAULT]\nhost = {name}\n{transport}\nuse_stderr = true\n"
        f"[ovs]\nintegration_bridge = {BRIDGE}\novsdb_connection = unix:{cloud.run_dir}/ovs/db.sock\n"
        f"datapath_type = netdev\nof_listen_port = {port}\n"
        "[agent]\nroot_helper = env\nroot_helper_daemon =\nextensions =\n"
        "[securitygroup]\nenable_security_group = false\nfirewall_driver = noop\n"
        f"[oslo_concurrency]\nlock_path = {place}\n"
    )
    settings.touch(mode=0o600)
    settings.write_text(text + "".join(f"[{each}]\nhelper_command = {helper}\n" for each in _PRIVILEGED))
    with (place / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [BIN / "neutron-openvswitch-agent", "--config-file", settings],
            stdout=log,
            stderr=log,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        )
    try:
        yield process
    finally:
        # Asked to end, it waits for an answer of Neutron's that never comes.
        process.kill()
        process.wait()


def cookies(cloud: Cloud) -> set[str]:
    """The marks on the flows of their bridge; empty while there is none."""
    shown = subprocess.run(
        ["ovs-ofctl", "dump-flows", f"unix:{cloud.run_dir}/ovs/{BRIDGE}.mgmt"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    words = shown.stdout.replace(",", " ").split()
    return {word for word in words if word.startswith("cookie=") and word != "cookie=0x0"}
