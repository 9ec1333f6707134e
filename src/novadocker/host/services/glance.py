# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Glance: images, as files under the root."""

from novadocker.host.services import shared
from novadocker.host.services.ini import ini
from novadocker.host.services.model import Cloud, ConfigFile, Folder, Service


def glance(cloud: Cloud) -> Service:
    """The image API."""
    etc = cloud.layout.etc / "glance"
    data = cloud.layout.data / "glance"
    return shared.api(
        cloud,
        name="glance",
        application="glance.wsgi.api:application",
        environment={"OS_GLANCE_CONFIG_DIR": str(etc)},
        needs=("glance-schema",),
        path="/healthcheck",
        files=(
            ConfigFile(
                path=etc / "glance-api.conf",
                content=ini(
                    {
                        "DEFAULT": {
                            **shared.default_section(),
                            "enabled_backends": "files:file",
                            "image_size_cap": 64 * 1024**3,
                            "node_staging_uri": f"file://{data}/staging",
                        },
                        "database": shared.database_section(cloud, "glance"),
                        **shared.token_sections(cloud, "glance"),
                        "paste_deploy": {
                            "flavor": "keystone",
                            "config_file": str(cloud.venv / "etc" / "glance" / "glance-api-paste.ini"),
                        },
                        "glance_store": {"default_backend": "files"},
                        "files": {"filesystem_store_datadir": str(data / "images")},
                        "os_glance_staging_store": {"filesystem_store_datadir": f"{data}/staging"},
                        "os_glance_tasks_store": {"filesystem_store_datadir": f"{data}/tasks"},
                        "oslo_concurrency": {"lock_path": str(cloud.layout.run / "glance")},
                    }
                ),
            ),
        ),
        folders=(
            Folder(path=data),
            Folder(path=data / "images"),
            Folder(path=data / "staging"),
            Folder(path=data / "tasks"),
            Folder(path=cloud.layout.run / "glance"),
        ),
    )
