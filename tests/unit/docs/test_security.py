# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""docs/explanation/security.md says of users, capabilities and the sandbox what the code does."""

import re

from tests.fakes import clouds
from tools.reference.pages import ROOT

from novadocker import extra_specs
from novadocker.host.config import BACKENDS, HostConfig
from novadocker.host.services import registry
from novadocker.host.services.model import Service
from novadocker.virt.docker import pause, spec

SECURITY = (ROOT / "docs/explanation/security.md").read_text()


def _rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading."""
    section = page.partition(f"{heading}\n")[2].partition("\n#")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


def test_every_service_is_told_with_its_user() -> None:
    told = {
        name: user.strip("`")
        for user, services in _rows(SECURITY, "## Who runs as what")
        for name in re.findall(r"`([^`]+)`", services)
    }
    services: dict[str, Service] = {}
    for backend in BACKENDS:
        services |= registry.services(clouds.cloud(config=HostConfig(network_backend=backend)))
    assert told == {name: service.user or "root" for name, service in services.items()}


def test_every_capability_is_told_with_its_reason() -> None:
    told = [name for names, _ in _rows(SECURITY, "### The capabilities kept") for name in names.split(", ")]
    assert sorted(name.strip("`") for name in told) == sorted(extra_specs.KEPT_CAPABILITIES)


def test_the_sandbox_is_as_told() -> None:
    sandbox = spec.sandbox(
        spec.Server(
            uuid="u", name="n", host="h", hostname="n", vcpus=1, memory_mb=64, swap_mb=0,
            root_gb=1,
        ),
        image="i",
        ground=spec.Ground(files=ROOT, pids=4096),
    )  # fmt: skip
    assert (sandbox.cap_add, sandbox.read_only, sandbox.user) == ((), True, "65534:65534")
    assert f"user 65534, {sandbox.memory >> 20} MiB of memory, {sandbox.pids} processes" in SECURITY
    assert f"{len(pause.program('amd64'))} bytes on amd64" in SECURITY
