# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What Neutron's agents have in common: root's rights without sudo, and namespaces in a folder of ours."""

from dataclasses import replace
from pathlib import Path

from novadocker.host.services import shared
from novadocker.host.services.ini import Sections, ini
from novadocker.host.services.model import Cloud, ConfigFile, Folder, Probe, Running, Service
from novadocker.host.services.ovs import environment

_PRIVSEP_SECTIONS = (
    "privsep",
    "privsep_dhcp_release",
    "privsep_ovs_vsctl",
    "privsep_namespace",
    "privsep_conntrack",
    "privsep_link",
)


def metadata_socket(cloud: Cloud, agent: str) -> Path:
    """Where the proxies in the namespaces hand a server's question for metadata to `agent`."""
    return cloud.layout.run / agent / "metadata.sock"


def metadata_section(cloud: Cloud, agent: str) -> dict[str, str | int]:
    """Where an agent takes questions for metadata, and where it finds who answers them."""
    return {
        "nova_metadata_host": "127.0.0.1",
        "nova_metadata_port": cloud.config.ports["nova-metadata"],
        "metadata_proxy_shared_secret": cloud.secrets["metadata-proxy"],
        "metadata_proxy_socket": str(metadata_socket(cloud, agent)),
        "metadata_workers": 0,
        "metadata_proxy_user": "root",
        "metadata_proxy_group": "root",
    }


def agent(
    cloud: Cloud,
    *,
    name: str,
    program: str,
    needs: tuple[str, ...],
    settings: Sections,
    state: Path,
    ready: Probe | None = None,
) -> Service:
    """One of Neutron's agents, under the machine's name: there is one of each kind.

    :param state: where it keeps its state.
    """
    file = cloud.layout.etc / name / "agent.conf"
    helper = f"{cloud.bin('privsep-helper')} --config-file {file}"
    run = cloud.layout.run / name
    sections: Sections = {
        **settings,
        "DEFAULT": {
            **shared.default_section(),
            "state_path": str(state),
            "host": cloud.hostname,
            **settings.get("DEFAULT", {}),
        },
        "agent": {
            **settings.get("agent", {}),
            "root_helper": "env",
            "root_helper_daemon": "",
            # A killed metadata proxy or DHCP server is back by then.
            "check_child_processes_interval": 5,
        },
        "oslo_concurrency": {"lock_path": str(run)},
        **{section: {"helper_command": helper} for section in _PRIVSEP_SECTIONS},
    }
    return Service(
        name=name,
        needs=needs,
        command=shared.program(cloud, program, "--config-file", str(file)),
        # The agents call ovs-vsctl, and give it no address.
        environment={**environment(cloud), "PATH": f"{cloud.venv / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"},
        files=(ConfigFile(path=file, content=ini(sections)),),
        folders=tuple(Folder(path=path) for path in dict.fromkeys((state, run))),
        ready=ready or Running(),
    )


def with_namespaces(cloud: Cloud, service: Service, *, outlives: tuple[str, ...]) -> Service:
    """Let an agent make its network namespaces in the cloud's folder, which it sees as /run/netns.

    So they are ours to remove, and nobody else's `ip netns` lists them. The folder is a shared mount of the
    host's: what the agent mounts there is seen there too and outlives the agent, while its own view of /run
    stays its own.
    """
    return replace(
        service,
        needs=(*service.needs, "namespaces"),
        mounts="unchanged",
        prepare=(
            "mkdir -p /run/netns",
            'mount --make-slave "$(findmnt -n -o TARGET -T /run/netns | tail -n 1)"',
            f"mount --rbind {cloud.layout.run / 'netns'} /run/netns",
        ),
        outlives=outlives,
    )
