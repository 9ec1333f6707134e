# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Open vSwitch: the chassis' database and its switch, a private pair."""

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
        ready=Command(("ovs-appctl", f"--target={run / 'vswitchd.ctl'}", "version")),
    )  # fmt: skip


def environment(cloud: Cloud) -> dict[str, str]:
    """Where Open vSwitch's and OVN's programs look for their own."""
    return {
        "OVS_RUNDIR": str(cloud.layout.run / "ovs"),
        "OVS_DBDIR": str(cloud.layout.data / "ovs"),
        "OVS_LOGDIR": str(cloud.layout.logs),
        "OVN_RUNDIR": str(cloud.layout.run / "ovn"),
        "OVN_LOGDIR": str(cloud.layout.logs),
    }
