# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""OVN: two databases, northd between them, and the controller that is this machine's one chassis."""

from novadocker.host.services.model import Cloud, Command, Folder, Service, Socket
from novadocker.host.services.ovs import environment


def _database(cloud: Cloud, *, side: str, file: str) -> Service:
    run = cloud.layout.run / "ovn"
    socket = cloud.layout.ovn_nb_socket if side == "nb" else cloud.layout.ovn_sb_socket
    return Service(
        name=f"ovn-{side}",
        needs=("ovn-files",),
        # The network API runs as this user and speaks to both through their sockets.
        user=cloud.config.user,
        command=(
            "/usr/sbin/ovsdb-server",
            str(cloud.layout.data / "ovn" / file),
            f"--remote=punix:{socket}",
            f"--unixctl={run / f'ovn{side}.ctl'}",
            "--no-chdir",
            "-vconsole:info",
            "-vsyslog:off",
        ),
        environment=environment(cloud),
        folders=(Folder(path=cloud.layout.data / "ovn"), Folder(path=run, mode=0o755)),
        ready=Socket(socket),
    )


def northbound(cloud: Cloud) -> Service:
    """What Neutron wants."""
    return _database(cloud, side="nb", file="ovnnb.db")


def southbound(cloud: Cloud) -> Service:
    """What the chassis does about it."""
    return _database(cloud, side="sb", file="ovnsb.db")


def northd(cloud: Cloud) -> Service:
    """The translator from one to the other."""
    control = cloud.layout.run / "ovn" / "northd.ctl"
    return Service(
        name="ovn-northd",
        needs=("ovn-nb", "ovn-sb"),
        user=cloud.config.user,
        command=(
            "/usr/bin/ovn-northd",
            f"--ovnnb-db=unix:{cloud.layout.ovn_nb_socket}",
            f"--ovnsb-db=unix:{cloud.layout.ovn_sb_socket}",
            f"--unixctl={control}",
            "-vconsole:warn",
            "-vsyslog:off",
        ),
        environment=environment(cloud),
        ready=Command(("ovn-appctl", f"--target={control}", "version")),
    )


def controller(cloud: Cloud) -> Service:
    """The chassis."""
    run = cloud.layout.run / "ovn"
    return Service(
        name="ovn-controller",
        needs=("ovn-sb", "chassis"),
        command=(
            "/usr/bin/ovn-controller",
            f"unix:{cloud.layout.ovs_socket}",
            f"--pidfile={run / 'ovn-controller.pid'}",
            "--overwrite-pidfile",
            "-vconsole:warn",
            "-vsyslog:off",
        ),
        environment=environment(cloud),
        # Asked to end, it takes its chassis out of the southbound database, and with it what the agent wrote
        # there; killed, it finds all as it was, flows included.
        stop_signal="KILL",
        # OVN 23.03's controller names its control socket after its pid; the pid file leads there.
        ready=Command(
            ("env", f"OVN_RUNDIR={run}", "ovn-appctl", "--target=ovn-controller", "connection-status"),
            says="connected",
        ),
    )
