# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Open vSwitch: the chassis' database and its switch, a private pair."""

from novadocker.host.config import HostConfig
from novadocker.host.services.model import Cloud, Command, Folder, Service, Socket

# Debian keeps the switch out of the path; /usr/sbin/ovs-vswitchd is an alternative that may be DPDK's.
VSWITCHD = "/usr/lib/openvswitch-switch/ovs-vswitchd"


def ovsdb(cloud: Cloud) -> Service:
    """The Open_vSwitch database server."""
    run = cloud.layout.run / "ovs"
    return Service(
        name="ovsdb",
        needs=("ovs-files",),
        command=(
            "/usr/sbin/ovsdb-server", str(cloud.layout.data / "ovs" / "conf.db"),
            f"--remote=punix:{cloud.layout.ovs_socket}", f"--unixctl={run / 'ovsdb.ctl'}",
            "--no-chdir", "-vconsole:info", "-vsyslog:off",
        ),
        environment=environment(cloud),
        folders=(Folder(path=cloud.layout.data / "ovs"), Folder(path=run, mode=0o755)),
        ready=Socket(cloud.layout.ovs_socket),
        oom_score=-500,
    )  # fmt: skip


def vswitchd(cloud: Cloud) -> Service:
    """The switch itself."""
    run = cloud.layout.run / "ovs"
    return Service(
        name="vswitchd",
        needs=("ovsdb",),
        command=(
            VSWITCHD, f"unix:{cloud.layout.ovs_socket}", f"--unixctl={run / 'vswitchd.ctl'}", "--no-chdir",
            "-vconsole:warn", "-vsyslog:off",
        ),
        environment=environment(cloud),
        prepare=_own_tap(cloud) if cloud.datapath == "netdev" else (),
        ready=Command(("ovs-appctl", f"--target={run / 'vswitchd.ctl'}", "version")),
        # Every server's network hangs on it.
        oom_score=-500,
    )  # fmt: skip


def tap_name(config: HostConfig) -> str:
    """What the tap of the cloud's userspace datapath is called; see `datapath_tap`."""
    return f"{config.integration_bridge[:12]}-dp"


def _own_tap(cloud: Cloud) -> tuple[str, ...]:
    """Take away the tap of a switch that was killed, and name the new one's when it is there."""
    tap = tap_name(cloud.config)
    waiter = f"{cloud.bin('python')} -m novadocker.host.datapath_tap"
    # The shell's pid becomes the switch's. In parentheses: it is no child of the switch, which reaps none.
    return (
        f"ip link delete {tap} 2>/dev/null || true",
        f"({waiter} {tap} $$ &)",
    )


def environment(cloud: Cloud) -> dict[str, str]:
    """Where Open vSwitch's and OVN's programs look for their own."""
    return {
        "OVS_RUNDIR": str(cloud.layout.run / "ovs"),
        "OVS_DBDIR": str(cloud.layout.data / "ovs"),
        "OVS_LOGDIR": str(cloud.layout.logs),
        "OVN_RUNDIR": str(cloud.layout.run / "ovn"),
        "OVN_LOGDIR": str(cloud.layout.logs),
    }
