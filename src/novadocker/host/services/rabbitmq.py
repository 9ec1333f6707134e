# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ: the services' messages, on loopback, with an Erlang port mapper of its own."""

from novadocker.host.services.model import Cloud, ConfigFile, Consumed, Folder, Service, Tcp

USER = "rabbitmq"
# As which every service speaks to it.
CLIENT = "nova-docker"


def rabbitmq(cloud: Cloud) -> Service:
    """The broker; its user is made from its configuration at the first start."""
    layout, ports = cloud.layout, cloud.config.ports
    etc, data = layout.etc / "rabbitmq", layout.data / "rabbitmq"
    settings = (
        f"listeners.tcp.1 = 127.0.0.1:{ports['rabbitmq']}\n"
        f"default_user = {CLIENT}\n"
        f"default_pass = {cloud.secrets['rabbitmq']}\n"
        "default_permissions.configure = .*\ndefault_permissions.read = .*\ndefault_permissions.write = .*\n"
        "log.console = true\nlog.console.level = warning\nlog.file = false\n"
        "vm_memory_high_watermark.absolute = 512MB\ndisk_free_limit.absolute = 100MB\n"
        # RabbitMQ reads each connection into a buffer as large as what the kernel would send at once: 3.9 MB
        # on loopback, of which bursts touch more and more. Twice this, as the kernel makes it, is a frame.
        "tcp_listen_options.sndbuf = 65536\ntcp_listen_options.recbuf = 65536\n"
    )
    return Service(
        name="rabbitmq",
        user=USER,
        command=("/usr/lib/rabbitmq/bin/rabbitmq-server",),
        environment={
            "HOME": str(data),
            # `localhost` resolves everywhere; a machine's own name often does not, or changes.
            "RABBITMQ_NODENAME": f"{cloud.config.name}@localhost",
            "RABBITMQ_CONFIG_FILE": str(etc / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(etc / "rabbitmq-env.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(etc / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(etc / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(data / "mnesia"),
            "RABBITMQ_LOG_BASE": str(data / "log"),
            "RABBITMQ_PID_FILE": str(layout.run / "rabbitmq" / "pid"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(layout.run / "rabbitmq"),
            "RABBITMQ_DIST_PORT": str(ports["rabbitmq-dist"]),
            "ERL_EPMD_PORT": str(ports["epmd"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # A scheduler that does not spin, and room for 65536 Erlang processes instead of a million (their
            # table is 11 MB): a broker for a dozen services needs no more.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none +P 65536 "
            "-kernel inet_dist_use_interface {127,0,0,1}",
        },
        files=(
            ConfigFile(path=etc / "rabbitmq.conf", content=settings),
            ConfigFile(path=etc / "rabbitmq-env.conf", content=""),
            ConfigFile(path=etc / "advanced.config", content="[].\n"),
            ConfigFile(path=etc / "enabled_plugins", content="[].\n"),
            ConfigFile(path=data / ".erlang.cookie", content=cloud.secrets["erlang-cookie"], mode=0o400),
        ),
        folders=(
            Folder(path=data), Folder(path=data / "mnesia"), Folder(path=data / "log"),
            Folder(path=layout.run / "rabbitmq"),
        ),
        ready=Tcp(ports["rabbitmq"]),
        within=90,
        stop_seconds=20,
    )  # fmt: skip


def consumed(cloud: Cloud, queue: str) -> Consumed:
    """The probe of a service that takes its work from this queue."""
    return Consumed(queue, cloud.config.ports["rabbitmq"], CLIENT, cloud.secrets["rabbitmq"])
