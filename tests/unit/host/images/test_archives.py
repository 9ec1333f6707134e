# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import io
import tarfile

from novadocker.host.images import archives
from novadocker.host.images.archives import character_device, file, folder, link

NODES = [
    file("b/run", "x", executable=True),
    link("b/alias", "run"),
    file("a", b"abc"),
    folder("tmp", mode=0o1777),
]


def test_a_tree_is_sorted_and_has_its_folders():
    assert [node.path for node in archives.tree(NODES)] == ["a", "b", "b/alias", "b/run", "tmp"]


def test_a_tar_does_not_depend_on_the_order_of_its_input():
    assert archives.tar(NODES) == archives.tar(list(reversed(NODES)))


def test_a_tar_holds_what_was_put_in():
    with tarfile.open(fileobj=io.BytesIO(archives.tar(NODES))) as tar:
        entries = {entry.name: entry for entry in tar}
        assert tar.extractfile("a").read() == b"abc"
    assert {entry.mtime for entry in entries.values()} == {archives.TIME}
    assert {(entry.uid, entry.gid) for entry in entries.values()} == {(0, 0)}
    assert entries["b/run"].mode == 0o755
    assert entries["b/alias"].linkname == "run"
    assert entries["tmp"].mode == 0o1777


def test_a_cpio_is_what_the_kernel_expects():
    console = character_device("dev/console", major=5, minor=1)
    data = archives.cpio([console, file("init", "#!", executable=True)])
    entries = dict(_read_cpio(data))
    assert list(entries) == ["dev", "dev/console", "init", "TRAILER!!!"]
    assert entries["init"] == (0o100755, b"#!", (0, 0))
    assert entries["dev/console"] == (0o020600, b"", (5, 1))


def _read_cpio(data: bytes):
    """cpio newc, read independently of the writer."""
    at = 0
    while at < len(data):
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        assert data[at : at + 6] == b"070701"
        name = data[at + 110 : at + 110 + fields[11] - 1].decode()
        at += -(-(110 + fields[11]) // 4) * 4
        yield name, (fields[1], data[at : at + fields[6]], (fields[9], fields[10]))
        at += -(-fields[6] // 4) * 4
