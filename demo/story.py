#!/usr/bin/env python3
# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The article's story on a cloud that is up, told with the clients a reader has.

A container and a VM, Nova servers both, side by side on this host; a floating IP each; both pages fetched.
Run it again as often as you like: it first removes what an earlier run made. `make demo` runs it after
`nova-docker up`.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openstack
from keystoneauth1.exceptions import ClientException
from openstack.connection import Connection
from openstack.exceptions import ConfigException, SDKException

from novadocker.host.images.build import demo_images
from novadocker.host.images.container import NAME as CONTAINER_IMAGE

MACHINE_IMAGE = "demo-vm"
CONTAINER, MACHINE = "test1", "test2"
BIN = Path(sys.executable).parent


class StoryError(Exception):
    """The story cannot go on; its text says why and where to look."""


class Story:
    """Prints what it does, and how long each part took."""

    def __init__(self, *, cloud: str, root: Path, run_dir: Path) -> None:
        self.cloud = cloud
        self.root = root
        self.docker = f"docker -H unix://{run_dir}/docker/docker.sock"
        self.control = "nova-docker" if cloud == "nova-docker" else f"nova-docker --name {cloud}"
        self.openstack = f"openstack --os-cloud {cloud}"
        # The nova client keeps what it has seen for a shell's completion, else in the user's home.
        self._seen = tempfile.TemporaryDirectory(prefix="nova-docker-demo-")
        self.environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "NOVACLIENT_UUID_CACHE_DIR": self._seen.name,
        }
        self.connection: Connection = openstack.connect(cloud=cloud)
        self._began = self._part = time.monotonic()

    def tell(self, text: str) -> None:
        """Begin a part."""
        self._part = time.monotonic()
        print(f"\n── {text}", flush=True)

    def told(self) -> None:
        """End a part with its time."""
        now = time.monotonic()
        print(f"   ({now - self._part:.1f} s; {now - self._began:.1f} s since the start)", flush=True)

    def show(self, *commands: str, only: str = "") -> list[str]:
        """Run commands at the same time, print each with its output in the order given, return the outputs.

        :param only: of a table of properties, those worth the reader's time.
        """
        with ThreadPoolExecutor() as pool:
            outputs = []
            for command, done in [(command, pool.submit(self.run, command)) for command in commands]:
                print(f"$ {command}", flush=True)
                outputs.append(done.result())
                print(_shortened(outputs[-1], only).rstrip() or "(done)", flush=True)
        return outputs

    def run(self, command: str) -> str:
        """What a command of a shell prints.

        :raises StoryError: if it fails.
        """
        words = ["bash", "-o", "pipefail", "-c", command]
        done = subprocess.run(
            words, env=self.environment, check=False, capture_output=True, text=True, timeout=120
        )
        if done.returncode != 0:
            raise StoryError(f"`{command}` ended with code {done.returncode}:\n{done.stderr.strip()}")
        return done.stdout

    def take_over(self, command: str) -> None:
        """Run a command for what it does to the environment of those after it."""
        print(f"$ {command}", flush=True)
        printed = self.run(f"{command}; env --null")
        self.environment = dict(line.split("=", 1) for line in printed.split("\0") if line)

    def clear(self) -> None:
        """Remove the servers, addresses and images of an earlier run."""
        compute, network, image = self.connection.compute, self.connection.network, self.connection.image
        servers = [server for name in (CONTAINER, MACHINE) for server in compute.servers(name=f"^{name}$")]
        addresses = {
            each["addr"] for server in servers for ports in server.addresses.values() for each in ports
        }
        for server in servers:
            compute.delete_server(server)
        for address in network.ips(project_id=self.connection.current_project_id):
            if address.floating_ip_address in addresses:
                network.delete_ip(address)
        for server in servers:
            compute.wait_for_delete(server, interval=0.5, wait=60)
        for name in (CONTAINER_IMAGE, MACHINE_IMAGE):
            for found in image.images(name=name, owner=self.connection.current_project_id):
                image.delete_image(found)

    def wait_until_active(self) -> None:
        """Wait for both servers.

        :raises StoryError: with the fault Nova gives, if one fails.
        """
        waiting, began = [CONTAINER, MACHINE], time.monotonic()
        while waiting:
            for server in [next(self.connection.compute.servers(name=f"^{name}$")) for name in waiting]:
                if server.status == "ACTIVE":
                    waiting.remove(server.name)
                elif server.status == "ERROR":
                    server = self.connection.compute.get_server(server)
                    raise StoryError(
                        f"{server.name} is in ERROR: {(server.fault or {}).get('message', 'no fault given')}"
                    )
                elif time.monotonic() - began > 120:
                    raise StoryError(
                        f"{server.name} is still {server.status} ({server.task_state}) after 120 s."
                    )
            time.sleep(0.25 if waiting else 0)

    def page(self, name: str, address: str, *, seconds: float = 60) -> str:
        """The page that a server shows to this host.

        :raises StoryError: if there is none in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(f"http://{address}/", timeout=2) as answer:
                    return str(answer.read().decode())
            except OSError as error:
                if time.monotonic() > deadline:
                    raise StoryError(f"{name} shows no page at http://{address}/: {error}.") from error
                time.sleep(0.2)


def tell(story: Story) -> None:
    """The whole story."""
    story.tell(
        "Two nova-compute services on one host, one for each hypervisor, and one network agent for both"
    )
    with ThreadPoolExecutor() as pool:
        images = pool.submit(demo_images, story.root / "images")
        cleared = pool.submit(story.clear)
        story.take_over(f'eval "$({story.control} env)"')
        story.show(
            "nova service-list", f"{story.openstack} hypervisor list", f"{story.openstack} network agent list"
        )
        built = images.result()
        cleared.result()
    story.told()

    story.tell("A Docker image and a VM image into Glance, without any property")
    story.show(f"{story.docker} load --quiet --input {built.container}")
    create = f"{story.openstack} image create"
    story.show(
        f"{story.docker} save {CONTAINER_IMAGE} |\n"
        f"    {create} --container-format docker --disk-format raw {CONTAINER_IMAGE}",
        f"{create} --container-format bare --disk-format raw --file {built.machine} {MACHINE_IMAGE}",
        only="name|status|size|container_format|disk_format",
    )
    # The daemon runs Glance's images; this one only came by.
    story.run(f"{story.docker} image rm {CONTAINER_IMAGE}")
    story.told()

    story.tell("A container and a VM")
    _, _, *addresses = story.show(
        f"nova boot --image {CONTAINER_IMAGE} --flavor m1.small {CONTAINER}",
        f"nova boot --image {MACHINE_IMAGE} --flavor m1.small --key-name nova-docker {MACHINE}",
        f"{story.openstack} floating ip create public",
        f"{story.openstack} floating ip create public",
        only="name|status|image|floating_ip_address",
    )
    addresses = [re.search(r"floating_ip_address\s*\|\s*(\S+)", table)[1] for table in addresses]
    story.wait_until_active()
    story.show(
        "nova list --fields name,status,OS-EXT-SRV-ATTR:host,networks",
        *(
            f"{story.openstack} server add floating ip {name} {address}"
            for name, address in zip((CONTAINER, MACHINE), addresses, strict=True)
        ),
    )
    story.told()

    story.tell("Both pages, from the host, through the floating IPs")
    for name, address in zip((CONTAINER, MACHINE), addresses, strict=True):
        print(f"GET http://{address}/    ({name})", flush=True)
        page = story.page(name, address)
        print(text_of(page), flush=True)
        if name == CONTAINER and "Congratulations" not in page:
            raise StoryError(f"The page of {CONTAINER} at {address} is not ours.")
    story.told()

    print(
        f"""
── Now you
   export PATH={BIN}:$PATH
   curl http://{addresses[0]}/                            the container's page
   {story.openstack} server list
   {story.openstack} console log show {MACHINE}
   {story.openstack} server create --image {CONTAINER_IMAGE} --flavor m1.tiny --wait test3
   eval "$({story.control} env)"                        for clients without --os-cloud
   {story.control} status                               how it all is
   {story.control} down                                 and everything is gone"""
    )


def _shortened(table: str, only: str) -> str:
    lines = table.splitlines()
    if not only or not any(re.match(r"\|\s*(Field|Property)\s*\|", line) for line in lines):
        return table
    kept = [line for line in lines if re.match(rf"\|\s*({only})\s*\|", line)]
    return "\n".join(re.sub(r"\s+\|$", " |", line) for line in kept)


def text_of(page: str) -> str:
    """A page as a reader sees it, roughly: what is between the tags of its body."""
    body = page.partition("<body>")[2].partition("</body>")[0]
    text = re.sub(r"<[^>]*>", "", body).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return "\n".join(f"    {line}".rstrip() for line in text.strip("\n").splitlines())


def main() -> int:
    """Tell the story; the exit code is 0 if it came to its end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cloud", default=os.environ.get("NOVA_DOCKER_NAME", "nova-docker"))
    parser.add_argument("--root", type=Path, default=None, help="[/var/lib/CLOUD]")
    parser.add_argument("--run-dir", type=Path, default=None, help="[/run/CLOUD]")
    options = parser.parse_args()
    root = options.root or Path("/var/lib") / options.cloud
    try:
        tell(Story(cloud=options.cloud, root=root, run_dir=options.run_dir or Path("/run") / options.cloud))
    except ConfigException as error:
        print(f"✗ {error}\n  → Run `nova-docker up` first.", file=sys.stderr)
        return 1
    except (StoryError, SDKException, ClientException) as error:
        print(f"\n✗ {error}", file=sys.stderr)
        print(f"  → nova-docker status; the services' logs are in {root}/log.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
