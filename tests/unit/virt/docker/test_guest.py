# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a server is given: passwords, files, a config drive."""

import base64
import inspect
import io
import stat
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from nova import exception
from nova.api.metadata import base
from tests.fakes import nova_objects
from tests.fakes.nova_objects import CONTEXT
from tests.unit.virt.docker.conftest import CONF, Bench, spawn

from novadocker.virt.docker import accounts, files, injection, metadata
from novadocker.virt.docker.errors import SettingRejected
from novadocker.virt.docker.facts import File

SHADOW = File(content=b"root:*:19000:0:99999:7:::\nweb:!:19000::::::\n\n", mode=0o640, uid=0, gid=42)


@pytest.mark.parametrize(
    ("password", "salt", "rounds", "hashed"),
    [  # those of the specification
        (
            "Hello world!",
            "saltstring",
            5000,
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJue"
            "sI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        ),
        (
            "Hello world!",
            "saltstringsaltst",
            10000,
            "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbH"
            "bbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
        ),
        (
            "a very much longer text to encrypt.  This one even stretches over morethan one line.",
            "anotherlongsalts",
            1400,
            "$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbt"
            "EW7o7UmJEiDwGqd8p4ur1",
        ),
    ],
)
def test_a_password_is_hashed_as_the_c_library_does(
    password: str, salt: str, rounds: int, hashed: str
) -> None:
    assert accounts.hashed(password, salt=salt, rounds=rounds) == hashed


def test_a_password_is_set_and_nothing_else_changes() -> None:
    changed = accounts.with_password(SHADOW, user="root", password="secret")
    assert (changed.mode, changed.uid, changed.gid) == (0o640, 0, 42)
    first, *rest = changed.content.split(b"\n")
    assert first.startswith(b"root:$6$rounds=20000$")
    assert first.endswith(b":0:99999:7:::")
    assert rest == SHADOW.content.split(b"\n")[1:]
    assert accounts.with_password(SHADOW, user="nobody", password="secret") is None


def test_files_become_root_s_and_bring_no_directories() -> None:
    packed = injection.archive([("/etc/motd", b"hello"), ("srv//a/./b", b"")])
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        found = [(entry.name, entry.mode, entry.uid, entry.size) for entry in tar]
    assert found == [("etc/motd", 0o644, 0, 5), ("srv/a/b", 0o644, 0, 0)]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../etc/passwd", "No file can be put in"),
        ("/srv/../../etc/passwd", "No file can be put in"),
        ("/", "No file can be put in"),
        ("", "No file can be put in"),
        ("/srv/", "No file can be put in"),
        ("/etc/a\0b", "No file can be put in"),
        ("/etc//hosts", "comes from the server's ports"),
        ("/proc/sys/kernel/core_pattern", "another file system"),
        ("/dev/sda", "another file system"),
        ("/config-drive/openstack/latest/user_data", "another file system"),
    ],
)
def test_paths_no_file_can_have_are_refused(path: str, words: str) -> None:
    with pytest.raises(SettingRejected, match=words):
        injection.archive([(path, b"")])


def test_a_config_drive_is_readable_inside_and_closed_to_others_outside(tmp_path: Path) -> None:
    folder = tmp_path / "guest" / "config-drive"
    for _ in range(2):
        files.make_drive(folder, group=tmp_path.stat().st_gid)
    files.write_drive(folder, [("openstack/latest/meta_data.json", b"{}")])
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (folder.parent, folder, folder / "openstack", folder / "openstack/latest/meta_data.json")
    ]
    assert modes == [0o710, 0o755, 0o755, 0o644]


def _told(made: Any) -> list[dict[str, Any]]:
    """Make what Nova would write to a drive a file of ours, and return what it was asked for."""
    asked: list[dict[str, Any]] = []

    def content(instance: Any, network_info: Any, **given: Any) -> list[tuple[str, bytes]]:
        asked.append({**given, "ports": len(network_info)})
        return [("openstack/latest/meta_data.json", b"{}")]

    made._servers._guest._content = content
    return asked


def test_what_is_given_is_there_before_the_process_starts(bench: Bench) -> None:
    server, made = bench.server(config_drive="True"), bench.driver()
    asked = _told(made)
    given = [("/etc/motd", b"hello")]
    spawn(made, server, [nova_objects.port()], injected_files=given, admin_password="secret")
    name = f"nova-{server.uuid}"
    place = bench.folder / "instances" / server.uuid / "guest" / "config-drive"
    assert bench.engine.files[name]["/etc/motd"].content == b"hello"
    assert bench.engine.specs[name].binds[str(place)] == "/config-drive"
    assert asked == [{"files": given, "password": "secret", "ports": 1}]
    assert (place / "openstack/latest/meta_data.json").read_bytes() == b"{}"
    made.power_off(server)
    made.power_on(CONTEXT, server, [])
    assert len(asked) == 1, "a drive is written once"
    made.destroy(CONTEXT, server, [])
    assert not place.parents[1].exists()


@pytest.mark.parametrize("property_", [None, "optional", "mandatory"])
@pytest.mark.parametrize("forced", [False, True])
def test_nova_decides_who_has_a_config_drive(bench: Bench, property_: str | None, forced: bool) -> None:
    CONF.set_override("force_config_drive", forced)
    try:
        kept = {"image_img_config_drive": property_} if property_ else {}
        server, made = bench.server(system_metadata=kept), bench.driver()
        _told(made)
        spawn(made, server, [])
    finally:
        CONF.clear_override("force_config_drive")
    wanted = forced or property_ == "mandatory"
    assert ("/config-drive" in bench.engine.specs[f"nova-{server.uuid}"].binds.values()) is wanted


def test_a_file_that_cannot_be_put_in_ends_the_build(bench: Bench) -> None:
    server, made = bench.server(), bench.driver()
    with pytest.raises(exception.BuildAbortException, match="No file can be put in"):
        spawn(made, server, [], injected_files=[("/a/../b", b"")])
    assert made.list_instance_uuids() == []


def test_a_setting_that_cannot_be_meant_ends_the_build(bench: Bench) -> None:
    server, made = bench.server(metadata={"docker_command": "'"}), bench.driver()
    with pytest.raises(exception.BuildAbortException, match="metadata docker_command cannot be used"):
        spawn(made, server, [])


def test_a_process_is_as_image_and_metadata_say(bench: Bench) -> None:
    server = bench.server(
        system_metadata={"image_docker_environment": "A=1"},
        metadata={"docker_user": "web", "docker_working_dir": "/www", "docker_command": "runs x"},
    )
    spawn(bench.driver(), server, [])
    made = bench.engine.specs[f"nova-{server.uuid}"]
    assert (made.command, made.environment) == (("runs", "x"), {"A": "1"})
    assert (made.user, made.working_dir) == ("web", "/www")


def test_a_password_is_changed_where_there_is_such_an_account(bench: Bench) -> None:
    server, made = bench.server(), bench.driver()
    spawn(made, server, [], admin_password="made up by Nova")
    with pytest.raises(exception.SetAdminPasswdNotSupported):
        made.set_admin_password(server, "secret")
    name = f"nova-{server.uuid}"
    bench.engine.put(name, injection.packed([(accounts.SHADOW, SHADOW)]))
    made.set_admin_password(server, "secret")
    assert b"root:$6$" in bench.engine.files[name][accounts.SHADOW].content
    server.system_metadata = {"image_os_admin_user": "nobody"}
    with pytest.raises(exception.SetAdminPasswdNotSupported):
        made.set_admin_password(server, "secret")


def test_a_changed_password_is_kept_for_who_has_the_rsa_key() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    saved: list[str] = []
    instance = SimpleNamespace(
        key_data=public.decode(), system_metadata={}, save=lambda: saved.append("saved")
    )
    metadata.save_password(instance, "secret")
    hidden = base64.b64decode("".join(instance.system_metadata[f"password_{part}"] for part in range(4)))
    assert key.decrypt(hidden, padding.PKCS1v15()) == b"secret"
    assert saved == ["saved"]
    for other in (None, "ssh-ed25519 AAAA"):
        metadata.save_password(SimpleNamespace(key_data=other), "secret")  # nothing is asked of it


def test_nova_s_metadata_takes_what_we_give() -> None:
    wanted = {"content", "extra_md", "network_info"}
    assert wanted <= set(inspect.signature(base.InstanceMetadata.__init__).parameters)
    assert inspect.isgeneratorfunction(base.InstanceMetadata.metadata_for_config_drive)
