# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The demo images, built from real packages, and run: one by dockerd, one by QEMU."""

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from novadocker.host.images.build import demo_images

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return demo_images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def daemon(tmp_path_factory):
    """A private dockerd without network, as it will be in the cloud."""
    folder = tmp_path_factory.mktemp("dockerd")
    # Unix socket addresses hold 107 bytes only, and pytest's folders are deep.
    run_folder = Path(tempfile.mkdtemp(prefix="dkr.", dir="/tmp"))
    host = f"unix://{run_folder}/docker.sock"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "dockerd", "--bridge=none", "--iptables=false", "--ip-forward=false", "--storage-driver=vfs",
                f"--data-root={folder / 'data'}", f"--exec-root={run_folder / 'exec'}", f"--host={host}",
                f"--pidfile={run_folder / 'pid'}", f"--cgroup-parent=/{run_folder.name}",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        _until(lambda: _docker(host, "version", check=False).returncode == 0, seconds=30)
        yield host
        for container in _docker(host, "ps", "-aq").stdout.split():
            _docker(host, "rm", "--force", container)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(run_folder, ignore_errors=True)
        for group in Path("/sys/fs/cgroup").rglob(run_folder.name):
            group.rmdir()  # dockerd leaves the parent it made


def test_the_same_bytes_twice(built, tmp_path):
    (tmp_path / "packages").symlink_to(built.container.parent / "packages")
    again = demo_images(tmp_path)
    assert again.changed
    assert again.container.read_bytes() == built.container.read_bytes()
    assert again.machine.read_bytes() == built.machine.read_bytes()


def test_what_is_built_is_kept(built):
    assert not demo_images(built.container.parent).changed


def test_a_damaged_image_is_built_again(built, tmp_path):
    shutil.copytree(built.container.parent, tmp_path, dirs_exist_ok=True)
    (tmp_path / "vm.img").write_bytes(b"")
    assert demo_images(tmp_path).changed
    assert (tmp_path / "vm.img").read_bytes() == built.machine.read_bytes()


def test_nova_recognises_the_disk_as_raw(built):
    inspector = pytest.importorskip("oslo_utils.imageutils.format_inspector")
    assert str(inspector.detect_file_format(str(built.machine))) == "raw"


def test_the_container_serves_its_page_without_privileges_and_stops_at_once(built, daemon):
    said = _docker(daemon, "load", "--input", str(built.container)).stdout
    assert "nova-docker/httpd:latest" in said
    _docker(
        daemon, "run", "--detach", "--name=page", "--network=none", "--cap-drop=ALL",
        "--security-opt=no-new-privileges", "nova-docker/httpd",
    )  # fmt: skip
    wget = ("exec", "page", "wget", "-qO-")
    page = _until(lambda: _docker(daemon, *wget, "http://127.0.0.1/", check=False).stdout)
    assert "Congratulations" in page
    fetch = "http://127.0.0.1/cgi-bin/fetch?http://127.0.0.1/"
    assert "Congratulations" in _docker(daemon, *wget, fetch).stdout
    assert "502" in _docker(daemon, "exec", "page", "wget", "-O-", f"{fetch[:-1]}:1/", check=False).stderr
    assert "serving its page on port 80" in _docker(daemon, "logs", "page").stdout
    started = time.monotonic()
    _docker(daemon, "stop", "--time=20", "page")
    assert time.monotonic() - started < 10
    (state,) = json.loads(_docker(daemon, "inspect", "page").stdout)
    assert state["State"]["ExitCode"] == 0


def test_the_vm_boots_serves_its_page_and_obeys_the_power_button(built, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    console = tmp_path / "console"
    process = subprocess.Popen(
        [
            "qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", "128", "-display", "none", "-no-reboot",
            "-serial", f"file:{console}", "-monitor", "stdio", "-nodefaults",
            "-drive", f"file={built.machine},if=virtio,format=raw,snapshot=on",
            "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{port}-:80", "-device", "virtio-net-pci,netdev=n",
        ],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        page = _until(lambda: _page(f"http://127.0.0.1:{port}/"), seconds=60)
        assert "virtual machine" in page
        assert "10.0.2.15/24" in page
        said = _page(f"http://127.0.0.1:{port}/cgi-bin/fetch?http://10.0.2.15/")
        assert "virtual machine" in said
        assert "serving its page on port 80 at 10.0.2.15" in console.read_text(errors="replace")
        assert "did not load" not in console.read_text(errors="replace")
        process.stdin.write(b"system_powerdown\n")
        process.stdin.flush()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def _docker(host: str, *words: str, check: bool = True):
    command = ["docker", "--host", host, *words]
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=60)


def _page(url: str) -> str:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()
    return ""


def _until(ask, *, seconds: float = 20):
    """What `ask` answers, once it is something."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"nothing after {seconds} s"
        time.sleep(0.1)
    return answer
