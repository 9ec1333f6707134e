# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What every engine does: the fake, and a real dockerd."""

import io
import json
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import docker_archive
from tests.fakes.engine import FakeEngine
from tests.fakes.namespaces import FakeNamespaces
from tests.functional.virt.docker import daemons

from novadocker import oci_runtime
from novadocker.virt.docker import archive, disk_image, injection, names, pause, spec
from novadocker.virt.docker.containers import Containers
from novadocker.virt.docker.doors import Engine
from novadocker.virt.docker.engine import DockerEngine
from novadocker.virt.docker.errors import (
    Busy,
    EngineError,
    EngineUnreachable,
    NotFound,
    ProcessFailed,
    ReadOnlyRoot,
)
from novadocker.virt.docker.facts import File
from novadocker.virt.docker.gates import Gates
from novadocker.virt.docker.namespaces import Namespaces

HOST = "host-docker"


class Bench:
    """An engine with an image that runs on, one that ends with code 3, and one that cannot start."""

    def __init__(
        self, engine: Engine, *, real: bool, spool: Path, gates: Path, place: Path | None = None
    ) -> None:
        self.engine = engine
        self.place = place
        self.gates = Gates(gates)
        self.real = real
        self._spool = spool
        self._number = 0

    def image(self, name: str, command: list[str]) -> str:
        path = self._spool / name
        path.write_bytes(docker_archive.busybox(command, tags=["tenant/own:latest"]))
        found = archive.inspect(path, architecture="amd64", disk_limit=1 << 30)
        tag = names.image_tag(name)
        self.engine.load(archive.rewritten(found, tag=tag))
        return tag

    def put(self, name: str, file: str, content: bytes) -> None:
        """Write a file into a container's root directory."""
        self.engine.put(name, docker_archive.tar({file: content}))

    def files(self, layer: Iterable[bytes]) -> dict[str, bytes]:
        """Return the files in a tar."""
        with tarfile.open(fileobj=io.BytesIO(b"".join(layer))) as tar:
            return {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isreg()}

    def await_shells_end(self, name: str) -> None:
        """Wait until a shell that was told to end has; a fake's ends at once."""
        deadline = time.monotonic() + 10
        while self.real and self.engine._api().inspect_container(name).get("ExecIDs"):
            assert time.monotonic() < deadline, "a shell outlives its terminal"
            time.sleep(0.05)

    def container(self, kind: str = "runs", **changes: object) -> str:
        commands = {
            "runs": ["sleep", "1000"] if self.real else ["runs"],
            "ends": ["sh", "-c", "echo last words; exit 3"] if self.real else ["exit", "3"],
            "missing": ["missing"],
        }
        self._number += 1
        uuid = f"uuid-{kind}-{self._number}"
        known = {
            "name": names.container(uuid=uuid, role=names.WORKLOAD),
            "image": self.image(f"image-{kind}", commands[kind]),
            "labels": names.labels(uuid=uuid, host=HOST, role=names.WORKLOAD, name=uuid),
            "network": "none",
            "memory": 64 << 20,
            "pids": 100,
        }
        wanted = spec.ContainerSpec(**{**known, **changes})
        self.engine.create(wanted)
        return wanted.name


@pytest.fixture(
    scope="module",
    params=[
        "fake",
        pytest.param("overlay2", marks=pytest.mark.functional),
        pytest.param("btrfs", marks=pytest.mark.functional),
    ],
)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as spool:
        if request.param == "fake":
            gates = Path(spool) / "gates"
            yield Bench(FakeEngine(gates=gates), real=False, spool=Path(spool), gates=gates)
            return
        daemons.require("dockerd", "busybox", "mkfs.btrfs")
        if request.param not in Path("/proc/filesystems").read_text().replace("overlay", "overlay2"):
            pytest.skip(f"machine cannot: mount {request.param}")
        with daemons.dockerd(storage=request.param) as daemon:
            engine = DockerEngine(url=daemon.url, timeout=30)
            yield Bench(engine, real=True, spool=Path(spool), gates=daemon.gates, place=daemon.place)


def test_it_knows_itself(bench: Bench) -> None:
    facts = bench.engine.facts()
    assert facts.cpus > 0
    assert facts.version_number > 20_000_000
    assert facts.image_architecture in {"amd64", "arm64"}


def test_a_container_lives_and_goes(bench: Bench) -> None:
    name = bench.container()
    assert bench.engine.inspect(name).status == "created"
    bench.engine.start(name)
    bench.engine.start(name)
    found = bench.engine.inspect(name)
    assert (found.status, found.pid > 0) == ("running", True)
    assert name in {one.name for one in bench.engine.list(host=HOST, role=names.WORKLOAD)}
    assert bench.engine.list(host="another", role=names.WORKLOAD) == []
    bench.engine.kill(name)
    assert bench.engine.wait(name, timeout=5) == 137
    bench.engine.kill(name)
    assert bench.engine.inspect(name).status == "exited"
    bench.engine.remove(name)
    bench.engine.remove(name)
    assert bench.engine.inspect(name) is None


def _held(bench: Bench) -> Containers:
    bench.gates.prepare()
    return Containers(
        engine=bench.engine,
        host=HOST,
        gates=bench.gates,
        namespaces=Namespaces(None, host="h", store=FakeNamespaces()),
    )


def test_a_held_process_begins_when_it_is_let(bench: Bench) -> None:
    name = bench.container()
    with _held(bench).held(name.removeprefix("nova-")) as begin:
        assert name in {one.name for one in bench.engine.list(host=HOST, role=names.WORKLOAD)}
        begin()
        assert bench.engine.inspect(name).status == "running"
    assert bench.engine.inspect(name).status == "running"
    bench.engine.remove(name)


def test_a_held_process_never_begins_where_something_else_failed(bench: Bench) -> None:
    name = bench.container()
    with pytest.raises(KeyError), _held(bench).held(name.removeprefix("nova-")):
        raise KeyError
    found = bench.engine.inspect(name)
    assert (found.running, found.started_at[:4] in {"", "0001"}) == (False, True)
    bench.engine.start(name)
    assert bench.engine.inspect(name).status == "running"
    bench.engine.remove(name)


def test_a_held_process_that_cannot_run_says_so_when_it_is_let(bench: Bench) -> None:
    name = bench.container("missing")
    with (
        _held(bench).held(name.removeprefix("nova-")) as begin,
        pytest.raises(ProcessFailed, match="not found"),
    ):
        begin()
    bench.engine.remove(name)


def test_a_sandbox_takes_none_of_the_kernel_s_keys(bench: Bench) -> None:
    if not bench.real:
        return
    sandboxes = [bench.container(runtime=oci_runtime.SANDBOXES) for _ in range(5)]
    before = _keys()
    for name in sandboxes:
        bench.engine.start(name)
    assert _keys() <= before  # those of containers that have ended go in the course of time
    for name in sandboxes:
        bench.engine.remove(name)


def test_a_sandbox_s_start_runs_no_program_of_docker_s(bench: Bench, tmp_path: Path) -> None:
    if not bench.real:
        return
    tag, packed = pause.archive(bench.engine.facts().image_architecture)
    bench.engine.load([packed])
    server = spec.Server(
        uuid="uuid-hooks", name="i", host=HOST, hostname="web", vcpus=1, memory_mb=64, swap_mb=0, root_gb=0
    )
    ground = spec.Ground(files=tmp_path, pids=100, sandbox_runtime=oci_runtime.SANDBOXES)
    wanted = spec.sandbox(server, image=tag, ground=ground)
    identity = bench.engine.create(wanted)
    bench.engine.start(identity)
    found = bench.engine._api().inspect_container(identity)
    # That this Docker needs a hook for its `none` network and not for this, only version 20.10 shows.
    assert found["Config"].get("NetworkDisabled") is True
    (bundle,) = bench.place.glob(f"exec/containerd/**/{identity}/config.json")
    settings = json.loads(bundle.read_text())
    assert not any((settings.get("hooks") or {}).values())
    assert settings["linux"]["sysctl"]["net.ipv4.ip_unprivileged_port_start"] == "0"

    workload = bench.container(network=f"container:{wanted.name}")
    bench.engine.start(workload)
    pids = [bench.engine.inspect(name).pid for name in (wanted.name, workload)]
    for kind in ("net", "user"):
        one, other = (Path(f"/proc/{pid}/ns/{kind}").readlink() for pid in pids)
        assert one == other != Path(f"/proc/thread-self/ns/{kind}").readlink()
    for name in (workload, wanted.name):
        bench.engine.remove(name)


def _keys() -> int:
    """Return how many keys the users that are not root have (proc_key_users)."""
    lines = [line.split() for line in Path("/proc/key-users").read_text().splitlines()]
    return sum(int(words[2].split("/")[0]) for words in lines if words[0] != "0:")


def test_a_name_is_taken_once(bench: Bench) -> None:
    name = bench.container()
    with pytest.raises(Busy):
        bench.container(name=name)


def test_what_is_not_there_is_not_found(bench: Bench) -> None:
    assert bench.engine.inspect("nova-nobody") is None
    assert bench.engine.image("nova-docker/glance:nothing") is None
    with pytest.raises(NotFound):
        bench.engine.start("nova-nobody")
    with pytest.raises(NotFound):
        bench.container(image="sha256:" + "0" * 64)
    bench.engine.untag("nova-docker/glance:nothing")


def test_waiting_ends_with_the_time(bench: Bench) -> None:
    name = bench.container()
    bench.engine.start(name)
    assert bench.engine.wait(name, timeout=0.2) is None


def test_last_words_and_code_are_kept(bench: Bench) -> None:
    name = bench.container("ends")
    bench.engine.start(name)
    assert bench.engine.wait(name, timeout=5) == 3
    assert bench.engine.logs(name, limit=1000) == b"last words\n"
    assert bench.engine.logs(name, limit=6) == b"words\n"


def test_a_missing_command_is_an_error_with_its_name(bench: Bench) -> None:
    name = bench.container("missing")
    with pytest.raises(EngineError, match="missing"):
        bench.engine.start(name)


def test_freezing(bench: Bench) -> None:
    name = bench.container()
    with pytest.raises(Busy):
        bench.engine.pause(name)
    bench.engine.start(name)
    bench.engine.pause(name)
    assert bench.engine.inspect(name).status == "paused"
    bench.engine.unpause(name)
    assert bench.engine.inspect(name).status == "running"


def test_an_image_has_our_tag_alone(bench: Bench) -> None:
    tag = bench.image("one-tag", ["runs"])
    assert bench.engine.image(tag).command == ("runs",)
    assert bench.engine.image("tenant/own:latest") is None


def test_an_image_goes_when_no_container_is_made_of_it(bench: Bench) -> None:
    # One of its own: an image with another tag loses only the tag.
    tag = bench.image("to-go", ["runs", "to go"])
    name = bench.container(image=tag)
    assert tag in bench.engine.tagged(names.IMAGE_REPOSITORY)
    with pytest.raises(Busy):
        bench.engine.untag(tag)
    bench.engine.remove(name)
    assert bench.engine.image(tag).size > 0
    bench.engine.untag(tag)
    assert bench.engine.image(tag) is None
    assert tag not in bench.engine.tagged(names.IMAGE_REPOSITORY)
    assert bench.engine.tagged("nova-docker/gla") == []


def test_the_sandbox_image_loads(bench: Bench) -> None:
    tag, content = pause.archive("amd64")
    bench.engine.load([content])
    assert bench.engine.image(tag).command == ("/pause",)


SHADOW = File(content=b"root:*:1:0:99999:7:::\n", mode=0o640, uid=0, gid=42)


@pytest.mark.parametrize("running", [False, True])
def test_files_go_in_and_come_out_as_they_are(bench: Bench, running: bool) -> None:
    name = bench.container()
    if running:
        bench.engine.start(name)
    readme = File(content=bytes(range(256)) * 9, mode=0o644, uid=0, gid=0)
    bench.engine.put(name, injection.packed([("/etc/shadow", SHADOW), ("/srv/a/b/readme", readme)]))
    assert bench.engine.read(name, "/etc/shadow", limit=1000) == SHADOW
    assert bench.engine.read(name, "/srv/a/b/readme", limit=9 << 8) == readme
    with pytest.raises(EngineError, match="2304 bytes"):
        bench.engine.read(name, "/srv/a/b/readme", limit=2303)
    changed = replace(SHADOW, content=b"root::1:0:99999:7:::\n")
    bench.engine.put(name, injection.packed([("/etc/shadow", changed)]))
    assert bench.engine.read(name, "/etc/shadow", limit=1000) == changed


def test_what_is_no_plain_file_is_not_read(bench: Bench) -> None:
    name = bench.container()
    for path in ("/nothing", "/etc", "/nothing/in/it"):
        assert bench.engine.read(name, path, limit=1 << 20) is None


def test_a_directory_does_not_give_way_to_a_file(bench: Bench) -> None:
    name = bench.container()
    bench.engine.put(name, injection.packed([("/etc/shadow", SHADOW)]))
    with pytest.raises(EngineError, match="cannot overwrite directory"):
        bench.engine.put(name, injection.packed([("/etc", SHADOW)]))
    assert bench.engine.read(name, "/etc/shadow", limit=1000) == SHADOW


def test_nothing_is_put_on_a_read_only_disk(bench: Bench) -> None:
    name = bench.container(read_only=True)
    with pytest.raises(ReadOnlyRoot):
        bench.engine.put(name, injection.packed([("/etc/shadow", SHADOW)]))


def test_a_container_s_disk_becomes_an_image_with_its_own_image_s_settings(bench: Bench) -> None:
    name = bench.container(hostname="server", command=("sh", "-c", "sleep 999"), user="1:1")
    bench.engine.start(name)
    bench.put(name, "made", b"by the server")
    bench.engine.commit(name, reference="nova-docker/kept:one")
    kept = bench.engine.image("nova-docker/kept:one")
    origin = bench.engine.image(bench.engine.inspect(name).image)
    assert kept.settings == origin.settings
    assert (kept.architecture, kept.command) == (origin.architecture, origin.command)
    assert bench.engine.inspect(name).status == "running"
    again = bench.container(image=kept.id)
    assert bench.files(bench.engine.export(again))["made"] == b"by the server"
    bench.engine.remove(again)
    bench.engine.remove(name)
    bench.engine.untag("nova-docker/kept:one")
    assert bench.engine.image("nova-docker/kept:one") is None
    assert bench.engine.image(kept.id) is None


def test_committing_what_is_not_there(bench: Bench) -> None:
    with pytest.raises(NotFound):
        bench.engine.commit("nova-nobody", reference="nova-docker/kept:nobody")
    assert bench.engine.image("nova-docker/kept:nobody") is None


@pytest.mark.parametrize("running", [True, False])
def test_a_disk_that_stands_still_reads_the_same_twice(bench: Bench, running: bool) -> None:
    name = bench.container()
    if running:
        bench.engine.start(name)
        bench.engine.pause(name)
    bench.put(name, "made", b"x" * 5000)
    content = disk_image.measured(bench.engine.export(name))
    assert content == disk_image.measured(bench.engine.export(name))
    assert bench.files(bench.engine.export(name))["made"] == b"x" * 5000
    bench.engine.remove(name)
    with pytest.raises(NotFound):
        next(bench.engine.export(name))


def test_a_disk_as_an_image_of_one_layer_loads(bench: Bench, tmp_path: Path) -> None:
    name = bench.container()
    bench.put(name, "made", b"by the server")
    origin = bench.engine.image(bench.engine.inspect(name).image).origin
    content = disk_image.measured(bench.engine.export(name))
    chunks = list(disk_image.one_layer(bench.engine.export(name), content=content, origin=origin))
    assert sum(map(len, chunks)) == disk_image.size(content, origin=origin)
    _loads(bench, chunks, place=tmp_path / "one-layer")


def test_a_saved_image_loads(bench: Bench, tmp_path: Path) -> None:
    name = bench.container()
    bench.put(name, "made", b"by the server")
    bench.engine.commit(name, reference="nova-docker/kept:saved")
    _loads(bench, bench.engine.save("nova-docker/kept:saved"), place=tmp_path / "saved")
    bench.engine.untag("nova-docker/kept:saved")
    with pytest.raises(NotFound):
        next(bench.engine.save("nova-docker/kept:saved"))


def _loads(bench: Bench, chunks: Iterable[bytes], *, place: Path) -> None:
    place.write_bytes(b"".join(chunks))
    found = archive.inspect(place, architecture="amd64", disk_limit=1 << 30)
    bench.engine.load(archive.rewritten(found, tag="nova-docker/glance:again"))
    again = bench.container(image="nova-docker/glance:again")
    bench.engine.start(again)
    assert bench.engine.inspect(again).status == "running"
    assert bench.files(bench.engine.export(again))["made"] == b"by the server"
    bench.engine.remove(again)
    bench.engine.untag("nova-docker/glance:again")


def test_an_image_has_two_tags_and_is_saved_whole(bench: Bench) -> None:
    name = bench.container()
    bench.engine.commit(name, reference="nova-docker/before:two")
    before = bench.engine.image("nova-docker/before:two")
    bench.engine.tag("nova-docker/before:two", reference="nova-docker/kept:two")
    bench.engine.untag("nova-docker/before:two")
    assert bench.engine.image("nova-docker/kept:two") == before
    saved = b"".join(bench.engine.save("nova-docker/kept:two"))
    bench.engine.untag("nova-docker/kept:two")
    bench.engine.load([saved])
    assert bench.engine.image("nova-docker/kept:two").command == before.command
    bench.engine.untag("nova-docker/kept:two")
    with pytest.raises(NotFound):
        b"".join(bench.engine.save("nova-docker/kept:two"))


def test_an_image_without_a_tag_goes_with_its_last_container(bench: Bench) -> None:
    bench.engine.commit(bench.container(), reference="nova-docker/kept:three")
    older = bench.engine.image("nova-docker/kept:three").id
    name = bench.container(image="nova-docker/kept:three")
    bench.engine.drop(older)
    assert bench.engine.image(older)  # it has a tag
    bench.put(name, "made", b"since")
    bench.engine.commit(name, reference="nova-docker/kept:three")
    bench.engine.drop(older)
    assert bench.engine.image(older)  # it has a container
    bench.engine.remove(name)
    bench.engine.drop(older)
    assert bench.engine.image(older) is None
    assert bench.engine.image("nova-docker/kept:three")
    bench.engine.drop(older)
    bench.engine.untag("nova-docker/kept:three")


def test_a_container_takes_another_name(bench: Bench) -> None:
    name, other = bench.container(), bench.container()
    before = bench.engine.inspect(name)
    with pytest.raises(Busy):
        bench.engine.rename(name, name=other)
    bench.engine.rename(name, name=f"{name}-rescued")
    assert bench.engine.inspect(name) is None
    after = bench.engine.inspect(f"{name}-rescued")
    assert (after.id, after.labels) == (before.id, before.labels)
    assert f"{name}-rescued" in {one.name for one in bench.engine.list(host=HOST, role=names.WORKLOAD)}
    with pytest.raises(NotFound):
        bench.engine.rename(name, name="nova-nobody")


def test_a_disk_is_mounted_in_another_container(bench: Bench) -> None:
    name = bench.container()
    bench.put(name, "made", b"by the server")
    if isinstance(bench.engine, FakeEngine):
        assert bench.engine.disk(name)["device"]
    else:
        script = "cat /mnt/made; echo mended > /mnt/made; id > /mnt/new; test ! -e /made"
        other = bench.container(mounts={"/mnt": bench.engine.disk(name)}, command=("sh", "-c", script))
        bench.engine.start(other)
        assert bench.engine.wait(other, timeout=10) == 0
        assert bench.engine.logs(other, limit=100) == b"by the server"
        bench.engine.remove(other)
        assert not bench.engine._connect().volumes()["Volumes"]
        assert bench.files(bench.engine.export(name))["made"] == b"mended\n"
        bench.engine.start(name)
        assert bench.engine.inspect(name).status == "running"
    with pytest.raises(NotFound):
        bench.engine.disk("nova-nobody")


def test_events_tell_who_and_what(bench: Bench) -> None:
    seen, arrived = [], threading.Event()
    stream = bench.engine.events(host=HOST)

    def follow() -> None:
        try:
            for event in stream:
                seen.append(event)
                if event.action == "destroy":
                    arrived.set()
        except EngineUnreachable:
            return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    name = bench.container("ends")
    bench.engine.start(name)
    bench.engine.wait(name, timeout=5)
    bench.engine.remove(name)
    assert arrived.wait(5)
    stream.close()
    thread.join(5)
    assert not thread.is_alive()
    told = [(event.action, event.exit_code) for event in seen if event.action in {"start", "die", "destroy"}]
    assert told == [("start", None), ("die", 3), ("destroy", None)]
    assert {event.uuid for event in seen} == {name.removeprefix("nova-")}
    assert {event.role for event in seen} == {names.WORKLOAD}


def test_a_terminal(bench: Bench) -> None:
    name = bench.container()
    command = ("/bin/sh", "-c", "exec sh", "a-mark")
    with pytest.raises(Busy):
        bench.engine.shell(name, command=command)
    bench.engine.start(name)
    shell = bench.engine.shell(name, command=command)
    said = shell.read()
    shell.write(b"echo it is\n")
    while b"it is" not in said:
        said += shell.read()
    assert bench.engine.end_shells(name, mark="another") == 0
    shell.hang_up()
    bench.await_shells_end(name)
    assert bench.engine.end_shells(name, mark="a-mark") == 0, "it ended with its terminal"
    left = bench.engine.shell(name, command=command)
    left.read()
    assert bench.engine.end_shells(name, mark="a-mark") == 1
    ended = bench.engine.shell(name, command=command)
    ended.write(b"exit\n")
    while ended.read():
        pass
    ended.hang_up()
    with pytest.raises(NotFound):
        bench.engine.shell("nova-nobody", command=command)


def test_output_is_kept_byte_for_byte(bench: Bench) -> None:
    if bench.real:
        name = bench.container(command=("sh", "-c", r"printf '\377\376\000\200a'; printf '\303\274\n' >&2"))
        bench.engine.start(name)
        assert bench.engine.wait(name, timeout=5) == 0
        said = bench.engine.logs(name, limit=1000)
        assert sorted(said) == sorted(b"\xff\xfe\x00\x80a\xc3\xbc\n")


def test_threads_that_live_on_share_few_connections(bench: Bench) -> None:
    before, asked, enough = _open_files(), threading.Semaphore(0), threading.Event()

    def ask(number: int) -> None:
        for reference in (f"one:{number}", f"two:{number}"):
            bench.engine.image(reference)
        asked.release()
        enough.wait(30)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
        assert asked.acquire(timeout=10)
    open_files = _open_files()
    enough.set()
    for thread in threads:
        thread.join()
    assert open_files <= before + 5


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
