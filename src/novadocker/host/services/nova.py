# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Nova: its two APIs, conductor, scheduler, and the two nova-compute services of the machine."""

from dataclasses import replace

from novadocker.host.capacity import Share, processor_ratio
from novadocker.host.services import backends, docker, rabbitmq, shared
from novadocker.host.services.ini import Sections, ini
from novadocker.host.services.model import Cloud, ConfigFile, Folder, Listens, Probe, Service

# Two of Nova's programs in one process.
CONTROL = "novadocker.programs.nova_control"

FILTERS = (
    "ComputeFilter",
    "ComputeCapabilitiesFilter",
    "ImagePropertiesFilter",
    "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
    "NUMATopologyFilter",
    "PciPassthroughFilter",
    "ImageKindFilter",
)


def _settings(cloud: Cloud) -> Sections:
    layout = cloud.layout
    return {
        "DEFAULT": {
            **shared.default_section(),
            # As the cloud knows it: on a renamed machine, or another one, the conductor is not a second one.
            "host": cloud.hostname,
            "transport_url": shared.transport_url(cloud),
            "my_ip": "127.0.0.1",
            "state_path": str(layout.data / "nova"),
            "allow_resize_to_same_host": True,
            "resume_guests_state_on_host_boot": True,
            # How long SIGTERM may take (the defaults add up to 180 s).
            "graceful_shutdown_timeout": 8,
            "manager_shutdown_timeout": 5,
            # A boot on a network that is not there ends within half a minute, scheduling included.
            "vif_plugging_timeout": 15,
            "vif_plugging_is_fatal": True,
            "enabled_apis": "osapi_compute,metadata",
        },
        "api": {"auth_strategy": "keystone", "max_limit": 1000},
        "wsgi": {"api_paste_config": str(cloud.venv / "etc" / "nova" / "api-paste.ini")},
        "api_database": shared.database_section(cloud, "nova_api", user="nova"),
        "database": shared.database_section(cloud, "nova", user="nova"),
        **shared.token_sections(cloud, "nova"),
        **shared.messaging_sections(cloud),
        "placement": shared.auth_section(cloud, "placement"),
        "glance": {"api_servers": cloud.url("glance"), "num_retries": 2},
        "neutron": {
            **shared.auth_section(cloud, "neutron"),
            "service_metadata_proxy": True,
            "metadata_proxy_shared_secret": cloud.secrets["metadata-proxy"],
            "ovs_bridge": cloud.config.integration_bridge,
            "http_retries": 3,
        },
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1, "max_attempts": 3, "discover_hosts_in_cells_interval": -1},
        "filter_scheduler": {
            "available_filters": "nova.scheduler.filters.all_filters",
            "enabled_filters": FILTERS,
            # A weigher would otherwise prefer one machine's one half to the other; the filter has decided
            # before.
            "track_instance_changes": False,
        },
        "oslo_policy": {"policy_file": str(layout.etc / "nova" / "policy.yaml")},
        "oslo_concurrency": {"lock_path": str(layout.run / "nova")},
        "os_brick": {"lock_path": str(layout.run / "nova-compute" / "os-brick")},
        "vnc": {"enabled": False},
        # Only the docker service offers consoles: libvirt would open a TCP port per VM, on which everybody on
        # this machine finds the VM's terminal without a token.
        "serial_console": {
            "enabled": False,
            "base_url": f"ws://127.0.0.1:{cloud.config.ports['nova-serialproxy']}/",
            "serialproxy_host": "127.0.0.1",
            "serialproxy_port": cloud.config.ports["nova-serialproxy"],
        },
        "quota": {
            "instances": 200,
            "cores": 400,
            "ram": 1024 * 1024,
            "server_groups": 50,
            "server_group_members": 50,
            "metadata_items": 128,
            "injected_files": 10,
        },
    }


def _shared_file(cloud: Cloud) -> ConfigFile:
    text = ini(_settings(cloud)).replace(
        "available_filters = nova.scheduler.filters.all_filters\n",
        "available_filters = nova.scheduler.filters.all_filters\n"
        "available_filters = novadocker.scheduler.image_kind.ImageKindFilter\n",
    )
    return ConfigFile(path=cloud.layout.etc / "nova" / "nova.conf", content=text)


def _folders(cloud: Cloud) -> tuple[Folder, ...]:
    return (Folder(path=cloud.layout.data / "nova"), Folder(path=cloud.layout.run / "nova"))


def _environment(cloud: Cloud) -> dict[str, str]:
    return {"OS_NOVA_CONFIG_DIR": str(cloud.layout.etc / "nova")}


def _paste(cloud: Cloud) -> ConfigFile:
    source = cloud.venv / "etc" / "nova" / "api-paste.ini"
    # Nova's WSGI entry looks for it beside nova.conf, whatever [wsgi] says (nova/api/openstack/wsgi_app.py).
    content = source.read_text() if source.is_file() else ""
    return ConfigFile(path=cloud.layout.etc / "nova" / "api-paste.ini", content=content, mode=0o644)


def _policy(cloud: Cloud) -> ConfigFile:
    # Nova answers "Unexpected API Error" (500) where the catalogue has no block storage: this is a refusal.
    text = (
        "# There are no volumes in this cloud. With a block storage service in it, remove this rule.\n"
        '"os_compute_api:os-volumes-attachments:create": "!"\n'
    )
    return ConfigFile(path=cloud.layout.etc / "nova" / "policy.yaml", content=text, mode=0o644)


def nova_api(cloud: Cloud) -> Service:
    """The compute API, and the metadata API behind 169.254.169.254: two ports of one process."""
    return shared.api(
        cloud,
        name="nova-api",
        application="nova.wsgi.osapi_compute:application",
        also=("nova.wsgi.metadata:application", "nova-metadata"),
        environment=_environment(cloud),
        # Not the broker, which takes longest to come: it is connected to by the first message.
        needs=("nova-schema",),
        threads=20,
        files=(_shared_file(cloud), _paste(cloud), _policy(cloud)),
        folders=_folders(cloud),
    )


def _worker(cloud: Cloud, name: str, *, ready: Probe) -> Service:
    return Service(
        name=name,
        needs=("nova-schema", "identity", "rabbitmq"),
        user=cloud.config.user,
        command=shared.program(cloud, name, "--config-file", str(cloud.layout.etc / "nova" / "nova.conf")),
        files=(_shared_file(cloud),),
        folders=_folders(cloud),
        ready=ready,
        within=90,
        stop_seconds=15,
    )


def _listening(cloud: Cloud, topic: str, *, host: str) -> Probe:
    # Nova calls a service up for a minute after its end, and a nova-compute that starts puts into ERROR what
    # was asked of it before it listens: its queue is the one place that tells at once.
    return rabbitmq.consumed(cloud, f"{topic}.{host}")


def conductor(cloud: Cloud) -> Service:
    """The one that speaks to the database for the computes, and in the same process the one that chooses.

    Each is a service of Nova's with its own queue and report; nova-scheduler's log is this one's.
    """
    # The scheduler is the second to start.
    service = _worker(cloud, "nova-conductor", ready=_listening(cloud, "scheduler", host=cloud.hostname))
    return replace(service, command=(cloud.bin("python"), "-P", "-m", CONTROL, *service.command[-2:]))


def serialproxy(cloud: Cloud) -> Service:
    """The one that takes a user's websocket to the console of a server: loaded when the first one does."""
    port = cloud.config.ports["nova-serialproxy"]
    service = _worker(cloud, "nova-serialproxy", ready=Listens(port))
    on_demand = (cloud.bin("python"), "-P", "-m", shared.ON_DEMAND, "127.0.0.1", str(port))
    return replace(
        service,
        command=(*on_demand, *service.command[-3:]),
        # It forks for each console; Nova's other services do without eventlet by themselves.
        environment={"OS_NOVA_DISABLE_EVENTLET_PATCHING": "1"},
        needs=("nova-schema",),
    )


def _reserved(share: Share) -> dict[str, int]:
    return {
        "reserved_host_cpus": share.reserved_vcpus,
        "reserved_host_memory_mb": share.reserved_memory_mb,
        "reserved_host_disk_mb": share.reserved_disk_gb * 1024,
    }


def _compute(
    cloud: Cloud, *, name: str, host: str, share: Share, needs: tuple[str, ...], overlay: Sections
) -> Service:
    layout = cloud.layout
    settings = layout.etc / name / f"{name}.conf"
    main = layout.etc / "nova" / "nova.conf"
    helper = f"{cloud.bin('privsep-helper')} --config-file {main} --config-file {settings}"
    default = {
        "host": host,
        "state_path": str(layout.data / name),
        **_reserved(share),
        "initial_cpu_allocation_ratio": 8.0,
        "initial_ram_allocation_ratio": 1.0,
        "initial_disk_allocation_ratio": 1.0,
        **overlay.get("DEFAULT", {}),
    }
    sections: Sections = {
        "DEFAULT": default,
        **{section: options for section, options in overlay.items() if section != "DEFAULT"},
        "oslo_concurrency": {"lock_path": str(layout.run / name)},
        # os-vif waits for the switch at every change; a dead one must not hold a delete for two minutes.
        "os_vif_ovs": {
            "ovsdb_connection": f"unix:{layout.ovs_socket}",
            "ovs_vsctl_timeout": 10,
            # Until the agent has seen it, a port is on no network, instead of on all.
            "isolate_vif": cloud.config.network_backend == "ovs",
        },
        **{
            section: {"helper_command": helper}
            for section in ("vif_plug_ovs_privileged", "nova_sys_admin", "privsep_osbrick")
        },
    }
    return Service(
        name=name,
        needs=("nova-conductor", "placement", "glance", "neutron", *needs),
        command=shared.program(
            cloud, "nova-compute", "--config-file", str(main), "--config-file", str(settings)
        ),
        environment={"PATH": f"{cloud.venv / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"},
        files=(_shared_file(cloud), ConfigFile(path=settings, content=ini(sections))),
        folders=(
            Folder(path=layout.data / name, mode=0o755),
            Folder(path=layout.data / name / "instances", mode=0o755),
            Folder(path=layout.run / name),
            Folder(path=layout.run / "nova-compute"),
            Folder(path=layout.run / "nova-compute" / "os-brick"),
        ),
        ready=_listening(cloud, "compute", host=host),
        within=90,
        stop_seconds=15,
    )


def compute_libvirt(cloud: Cloud) -> Service:
    """nova-compute with VMs."""
    kind = "kvm" if cloud.kvm else "qemu"
    return _compute(
        cloud,
        name="nova-libvirt",
        host=cloud.hostname,
        share=cloud.split.libvirt,
        needs=("libvirtd", backends.of(cloud).switching),
        overlay={
            "DEFAULT": {"compute_driver": "libvirt.LibvirtDriver"},
            "libvirt": {
                "virt_type": kind,
                "connection_uri": f"qemu+unix:///system?socket={cloud.layout.libvirt_socket}",
                "images_type": "qcow2",
                "cpu_mode": "host-model" if cloud.kvm else "none",
            },
        },
    )


def compute_docker(cloud: Cloud) -> Service:
    """nova-compute with containers: the article's overlay file over the shared nova.conf."""
    return _compute(
        cloud,
        name="nova-docker",
        host=cloud.docker_host,
        share=cloud.split.docker,
        needs=("dockerd", backends.of(cloud).switching),
        overlay={
            "DEFAULT": {
                "compute_driver": "novadocker.virt.docker.DockerDriver",
                "initial_cpu_allocation_ratio": processor_ratio(cloud.split.docker),
            },
            "serial_console": {"enabled": True, "proxyclient_address": "127.0.0.1"},
            "docker": {
                "host": f"unix://{cloud.layout.docker_socket}",
                "binding_host": cloud.hostname,
                "network_backend": cloud.config.network_backend,
                "port_ready_timeout": 15,
                "console_port": cloud.config.ports["docker-consoles"],
                "cgroup_parent": f"/{cloud.config.name}/servers",
                "start_gates": str(docker.start_gates(cloud)),
                "namespaces": str(docker.namespaces(cloud)),
            },
        },
    )


def compute_nothing(cloud: Cloud) -> Service:
    """nova-compute with a driver that does nothing, which `bench` runs for a while to measure Nova alone."""
    return _compute(
        cloud,
        name="nova-nothing",
        host=f"{cloud.hostname}-nothing",
        share=cloud.split.docker,
        needs=(),
        overlay={
            "DEFAULT": {"compute_driver": "novadocker.virt.nothing.NothingDriver"},
            "docker": {"binding_host": cloud.hostname},
        },
    )
