# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a process inside a container server can do: by the daemon's own socket, which only root has."""

import contextlib
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

from tests.e2e.cloud import Cloud


def container(server_id: str) -> str:
    """The name of a server's container."""
    return f"nova-{server_id}"


def docker(cloud: Cloud, *words: str, check: bool = True, seconds: float = 60) -> Any:
    """`docker …` on the cloud's daemon."""
    command = ["docker", "-H", f"unix://{cloud.run_dir}/docker/docker.sock", *words]
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=seconds)


def run(cloud: Cloud, server_id: str, script: str, *, check: bool = True, user: str = "0") -> Any:
    """A shell script in a server, as the user given; `out` and `err` are one text in `stdout`."""
    done = docker(
        cloud, "exec", "--user", user, container(server_id), "sh", "-c", f"exec 2>&1\n{script}", check=False
    )
    assert not check or done.returncode == 0, (
        f"{script!r} ended with {done.returncode}: {done.stdout}{done.stderr}"
    )
    return done


@contextlib.contextmanager
def flavor(cloud: Cloud, specs: dict[str, str], *, validated: bool = True, **size: int) -> Iterator[Any]:
    """A flavor that is gone afterwards, with extra specs."""
    compute = cloud.connection.compute
    known = {"ram": 128, "vcpus": 1, "disk": 1}
    made = compute.create_flavor(name=f"e2e-{uuid.uuid4().hex[:8]}", **{**known, **size})
    try:
        if specs:
            answer = say(cloud, made, specs, microversion="2.86" if validated else "2.85")
            assert answer.status_code == 200, answer.text
        yield made
    finally:
        compute.delete_flavor(made)


def say(cloud: Cloud, made: Any, specs: dict[str, str], *, microversion: str, member: bool = False) -> Any:
    """What the API answers to extra specs for a flavor."""
    compute = cloud.connect(f"{cloud.name}-member" if member else cloud.name).compute
    return compute.post(
        f"/flavors/{made.id}/os-extra_specs", json={"extra_specs": specs}, microversion=microversion
    )
